"""The renderer's programs, OpenGL 3.3."""

SAMPLES = 4  # antialiasing; OpenGL 3.3 promises at least four

# With row 0 of the framebuffer as the picture's top row nothing has to be flipped; infinite far plane.
_PROJECTION = """#version 330
uniform mat3 projection;  // camera frame -> clip x, y, w
uniform float near;
in vec3 position;
vec4 project(vec3 p) {
    vec3 q = projection * p;
    return vec4(q.xy, p.z - 2.0 * near, q.z);
}
"""
SHADED_VERTEX = (
    _PROJECTION
    + """
in vec3 normal; in vec4 color;
out vec3 v_position; out vec3 v_normal; out vec3 v_color;
void main() {
    v_position = position; v_normal = normal; v_color = color.rgb;
    gl_Position = project(position);
}"""
)
SHADED_FRAGMENT = """#version 330
uniform vec3 light; uniform float ambient;
in vec3 v_position; in vec3 v_normal; in vec3 v_color;
out vec4 rgba;
void main() {
    vec3 view = normalize(v_position);
    vec3 n = v_normal / max(length(v_normal), 1e-12);
    if (dot(n, view) > 0.0) n = -n;  // both sides of a surface are drawn
    float facing = -dot(n, view);
    // A weak light from the camera keeps the shadow side readable.
    float diffuse = 0.75 * max(dot(n, light), 0.0) + 0.25 * facing;
    rgba = vec4(v_color * (ambient + (1.0 - ambient) * diffuse), 1.0);
}"""
BUFFER_VERTEX = (
    _PROJECTION
    + """
uniform int vertex_count; uniform int first_person;
out float v_depth; flat out int v_person;
void main() {
    v_depth = position.z; v_person = first_person + gl_VertexID / vertex_count;
    gl_Position = project(position);
}"""
)
BUFFER_FRAGMENT = """#version 330
in float v_depth; flat in int v_person;
layout(location = 0) out float depth; layout(location = 1) out int person;
void main() { depth = v_depth; person = v_person + 1; }"""
COMPOSE_VERTEX = """#version 330
const vec2 corners[3] = vec2[3](vec2(-1, -1), vec2(3, -1), vec2(-1, 3));
void main() { gl_Position = vec4(corners[gl_VertexID], 0.0, 1.0); }"""
COMPOSE_FRAGMENT = f"""#version 330
uniform sampler2DMS shaded; uniform sampler2D background; uniform float opacity;
out vec4 rgba;
void main() {{
    ivec2 p = ivec2(gl_FragCoord.xy);
    vec4 sum = vec4(0.0);
    for (int i = 0; i < {SAMPLES}; i++) sum += texelFetch(shaded, p, i);
    sum *= opacity / {SAMPLES}.0;
    rgba = vec4(texelFetch(background, p, 0).rgb * (1.0 - sum.a) + sum.rgb, 1.0);
}}"""
