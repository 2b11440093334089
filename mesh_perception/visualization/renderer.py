"""One renderer for overlays and for synthetic scenes: OpenGL 3.3 on EGL, on a GPU or on a CPU (Mesa's llvmpipe).

Vertices come in the camera's optical frame (x right, y down, z forward, metres) and land on the image as the pinhole
matrix `k` says, pixel (0, 0) being the centre of the top-left pixel. What is nearer hides what is farther, between
people too; what lies behind the camera is cut off at the near plane. A camera with lens distortion is served by moving
the vertices first: see `lens.bend_vertices`.

A renderer belongs to the thread that made it (an OpenGL context does): create it where it is used.
"""
import threading
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mesh_perception.visualization.topology import TopologyCache

NEAR = 0.05  # m; the far plane lies at infinity
_SAMPLES = 4  # antialiasing; OpenGL 3.3 promises at least four
_MAX_DEVICES = 16
LIGHT = (-0.35, -0.55, -0.75)  # towards the light: above the camera and to its left


class RendererUnavailable(RuntimeError):  # noqa: N818 - a state of the machine more than a mistake
    """There is no usable EGL here."""


class Rendering(NamedTuple):
    """A picture with its geometry."""
    rgb: np.ndarray     # (H, W, 3) uint8, antialiased
    depth: np.ndarray   # (H, W) float32, z in metres at each pixel's centre, inf where nothing was drawn
    person: np.ndarray  # (H, W) int32, index of the person (counted through the meshes in order), -1 for none


@dataclass
class Mesh:
    """N bodies of one topology."""
    vertices: np.ndarray       # (N, V, 3) m, camera frame
    faces: np.ndarray          # (F, 3)
    colors: np.ndarray         # (3,), (N, 3) or (N, V, 3); uint8, or floating point in [0, 1]
    normals: np.ndarray = None  # (N, V, 3) unit; computed if absent


# With row 0 of the framebuffer as the picture's top row nothing has to be flipped; infinite far plane.
_PROJECTION = '''#version 330
uniform mat3 projection;  // camera frame -> clip x, y, w
uniform float near;
in vec3 position;
vec4 project(vec3 p) {
    vec3 q = projection * p;
    return vec4(q.xy, p.z - 2.0 * near, q.z);
}
'''
_SHADED_VERTEX = _PROJECTION + '''
in vec3 normal; in vec4 color;
out vec3 v_position; out vec3 v_normal; out vec3 v_color;
void main() {
    v_position = position; v_normal = normal; v_color = color.rgb;
    gl_Position = project(position);
}'''
_SHADED_FRAGMENT = '''#version 330
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
}'''
_BUFFER_VERTEX = _PROJECTION + '''
uniform int vertex_count; uniform int first_person;
out float v_depth; flat out int v_person;
void main() {
    v_depth = position.z; v_person = first_person + gl_VertexID / vertex_count;
    gl_Position = project(position);
}'''
_BUFFER_FRAGMENT = '''#version 330
in float v_depth; flat in int v_person;
layout(location = 0) out float depth; layout(location = 1) out int person;
void main() { depth = v_depth; person = v_person + 1; }'''
_COMPOSE_VERTEX = '''#version 330
const vec2 corners[3] = vec2[3](vec2(-1, -1), vec2(3, -1), vec2(-1, 3));
void main() { gl_Position = vec4(corners[gl_VertexID], 0.0, 1.0); }'''
_COMPOSE_FRAGMENT = f'''#version 330
uniform sampler2DMS shaded; uniform sampler2D background; uniform float opacity;
out vec4 rgba;
void main() {{
    ivec2 p = ivec2(gl_FragCoord.xy);
    vec4 sum = vec4(0.0);
    for (int i = 0; i < {_SAMPLES}; i++) sum += texelFetch(shaded, p, i);
    sum *= opacity / {_SAMPLES}.0;
    rgba = vec4(texelFetch(background, p, 0).rgb * (1.0 - sum.a) + sum.rgb, 1.0);
}}'''


class Renderer:
    """Draws meshes into pictures of one size (changeable with `resize`); use it for many frames, then `close` it.

    Works as a context manager. Raises RendererUnavailable where EGL is missing, RuntimeError when used from a thread
    other than the one that made it or after `close`.
    """

    def __init__(self, width, height):
        self._gl, self._context = _create_context()
        self._thread = threading.get_ident()
        self._topologies = TopologyCache()
        with self._context:
            self.device = self._context.info['GL_RENDERER']
            program = self._context.program
            self._shaded = program(vertex_shader=_SHADED_VERTEX, fragment_shader=_SHADED_FRAGMENT)
            self._buffers = program(vertex_shader=_BUFFER_VERTEX, fragment_shader=_BUFFER_FRAGMENT)
            self._compose = program(vertex_shader=_COMPOSE_VERTEX, fragment_shader=_COMPOSE_FRAGMENT)
            self._compose['shaded'] = 0
            self._compose['background'] = 1
            self._screen = self._context.vertex_array(self._compose, [])
        self._targets = []
        self.resize(width, height)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """Gives the context and its memory back; may be called twice."""
        if self._context is not None:
            self._check_usable()
            self._context.release()
            self._context = None

    def resize(self, width, height):
        """Changes the pictures' size (pixels). Raises ValueError for a size that OpenGL cannot draw."""
        self._check_usable()
        context = self._context
        limit = context.info['GL_MAX_TEXTURE_SIZE']
        if not (1 <= width <= limit and 1 <= height <= limit):
            raise ValueError(f'renderer size {width}x{height}: expected 1 to {limit} pixels a side')
        self.width, self.height = size = int(width), int(height)
        with context:
            for target in self._targets:
                target.release()
            samples = context.texture(size, 4, samples=_SAMPLES)
            samples_depth = context.depth_renderbuffer(size, samples=_SAMPLES)
            picture = context.renderbuffer(size, 4)
            self._background = context.texture(size, 3, alignment=1)
            self._multisampled = context.framebuffer([samples], samples_depth)
            self._picture = context.framebuffer([picture])
            self._samples = samples
            self._geometry = None
            self._targets = [self._multisampled, self._picture, samples, samples_depth, picture, self._background]

    def render(self, vertices, faces, k, colors, background=None, **options):
        """Draws N bodies of one topology.

        Args: vertices (N, V, 3) m, camera frame; faces (F, 3); k (3, 3) pinhole matrix; colors (3,), (N, 3) or
        (N, V, 3), uint8 or floating point in [0, 1]; background (H, W, 3) uint8 RGB or None for black; options as in
        `render_scene`. Returns (H, W, 3) uint8 RGB. Raises ValueError for wrong shapes.
        """
        return self._draw([Mesh(vertices, faces, colors)], k, background, buffers=False, **options).rgb

    def render_buffers(self, vertices, faces, k, colors, background=None, **options):
        """As `render`, with depth and person index too. Returns Rendering."""
        return self._draw([Mesh(vertices, faces, colors)], k, background, buffers=True, **options)

    def render_scene(self, meshes, k, background=None, opacity=1.0, ambient=0.35, light=LIGHT, buffers=False):
        """Draws any number of meshes of different topologies together.

        Args: meshes: sequence of Mesh; k, background: as in `render`; opacity of the nearest surface over the
        background, in [0, 1]; ambient: the light's share without direction, in [0, 1]; light: direction towards the
        light, camera frame; buffers: whether depth and person are wanted.
        Returns Rendering (depth and person None unless wanted). Raises ValueError for wrong shapes.
        """
        return self._draw(meshes, k, background, opacity, ambient, light, buffers)

    def _draw(self, meshes, k, background=None, opacity=1.0, ambient=0.35, light=LIGHT, buffers=False):
        self._check_usable()
        k = _check_intrinsics(k)
        shape = (self.height, self.width, 3)
        if background is None:
            rgb = np.zeros(shape, np.uint8)
        else:
            background = np.asarray(background)
            if background.shape != shape or background.dtype != np.uint8:
                raise ValueError(f'background: expected uint8 {shape}, got {background.dtype} {background.shape}')
            rgb = background.copy()
        depth = np.full(shape[:2], np.inf, np.float32) if buffers else None
        person = np.full(shape[:2], -1, np.int32) if buffers else None
        meshes = [_check_mesh(mesh) for mesh in meshes]
        window = self._window(meshes, k)
        if window is None:
            return Rendering(rgb, depth, person)
        left, top, columns, rows = window
        part = (slice(top, top + rows), slice(left, left + columns))
        direction = np.asarray(light, dtype=np.float64)
        with self._context:
            self._shaded['light'] = tuple(direction / np.linalg.norm(direction))
            self._shaded['ambient'] = ambient
            self._compose['opacity'] = opacity
            uploaded = [self._upload(mesh) for mesh in meshes]
            rgb[part] = self._draw_picture(uploaded, k, window, rgb[part])
            if buffers:
                depth[part], person[part] = self._draw_geometry(uploaded, k, window)
            for mesh in uploaded:
                mesh.release()
        return Rendering(rgb, depth, person)

    def _window(self, meshes, k):
        """The part of the picture that may change: left, top, columns, rows; None if no mesh is in view."""
        size = np.array([self.width, self.height])
        low, high = size.astype(np.float64), np.zeros(2)
        for mesh in meshes:
            z = mesh.vertices[..., 2]
            if z.size == 0 or z.max() <= NEAR:
                continue
            if z.min() <= NEAR:  # a cut surface may reach anywhere
                return 0, 0, self.width, self.height
            pixels = (mesh.vertices[..., :2] / z[..., None]).reshape(-1, 2) @ k[:2, :2].T + k[:2, 2]
            low, high = np.minimum(low, pixels.min(0) - 1), np.maximum(high, pixels.max(0) + 2)
        low = np.maximum(np.floor(low), 0).astype(int)
        high = np.minimum(np.ceil(high), size).astype(int)
        return None if (high <= low).any() else (*map(int, low), *map(int, high - low))

    def _upload(self, mesh):
        people, vertex_count = mesh.vertices.shape[:2]
        topology = self._topologies.get(mesh.faces, vertex_count)
        normals = topology.normals(mesh.vertices) if mesh.normals is None else mesh.normals
        return _Uploaded(self._context, self._shaded, self._buffers, mesh, normals, topology.indices(people))

    def _draw_picture(self, uploaded, k, window, background):
        """The shaded window over its background: (rows, columns, 3) uint8."""
        columns, rows = window[2:]
        self._begin(self._multisampled, self._shaded, k, window)
        for mesh in uploaded:
            mesh.shaded.render()
        self._background.write(np.ascontiguousarray(background), viewport=(0, 0, columns, rows), alignment=1)
        self._picture.use()
        self._context.viewport = 0, 0, columns, rows
        self._context.disable(self._gl.DEPTH_TEST)
        self._samples.use(0)
        self._background.use(1)
        self._screen.render(vertices=3)
        result = self._picture.read(viewport=(0, 0, columns, rows), components=4, alignment=1)
        return np.frombuffer(result, np.uint8).reshape(rows, columns, 4)[..., :3]

    def _draw_geometry(self, uploaded, k, window):
        """Depth (inf where empty) and person index (-1 where empty) of the window, one sample at each pixel's centre."""
        if self._geometry is None:
            size = self.width, self.height
            parts = [self._context.renderbuffer(size, 1, dtype='f4'), self._context.renderbuffer(size, 1, dtype='i4'),
                     self._context.depth_renderbuffer(size)]
            self._geometry = self._context.framebuffer(parts[:2], parts[2])
            self._targets += [self._geometry, *parts]
        self._begin(self._geometry, self._buffers, k, window)
        first = 0
        for mesh in uploaded:
            self._buffers['first_person'] = first
            self._buffers['vertex_count'] = mesh.vertex_count
            mesh.buffers.render()
            first += mesh.people
        columns, rows = window[2:]
        depth, person = (
            np.frombuffer(self._geometry.read(viewport=(0, 0, columns, rows), components=1, attachment=i, alignment=1,
                                              dtype=kind), dtype).reshape(rows, columns)
            for i, (kind, dtype) in enumerate((('f4', np.float32), ('i4', np.int32))))
        return np.where(person > 0, depth, np.float32(np.inf)), person - 1

    def _begin(self, target, program, k, window):
        """Clears the target's first (columns, rows) pixels and makes them the picture's window."""
        left, top, columns, rows = window
        projection = np.array([
            2 / columns * (k[0] + (0.5 - left) * k[2]) - k[2],
            2 / rows * (k[1] + (0.5 - top) * k[2]) - k[2],
            k[2]])
        program['projection'].write(projection.T.astype('f4').tobytes())
        if 'near' in program:
            program['near'] = NEAR
        target.use()
        target.viewport = 0, 0, columns, rows
        target.clear(viewport=(0, 0, columns, rows))
        self._context.enable_only(self._gl.DEPTH_TEST)

    def _check_usable(self):
        if self._context is None:
            raise RuntimeError('renderer: used after close()')
        if threading.get_ident() != self._thread:
            raise RuntimeError('renderer: used from another thread than the one that made it')


class _Uploaded:
    """A mesh's buffers on the device, bound to both programs."""

    def __init__(self, context, shaded, geometry, mesh, normals, indices):
        self.people, self.vertex_count = mesh.vertices.shape[:2]
        positions = context.buffer(np.ascontiguousarray(mesh.vertices, np.float32))
        normals = context.buffer(np.ascontiguousarray(normals, np.float32))
        colors = context.buffer(_vertex_colors(mesh.colors, self.people, self.vertex_count))
        index = context.buffer(indices)
        self.shaded = context.vertex_array(
            shaded, [(positions, '3f', 'position'), (normals, '3f', 'normal'), (colors, '4f1', 'color')], index)
        self.buffers = context.vertex_array(geometry, [(positions, '3f', 'position')], index)
        self._parts = [self.shaded, self.buffers, positions, normals, colors, index]

    def release(self):
        for part in self._parts:
            part.release()


def _create_context():
    """(moderngl, a new context) on the first EGL device that works: GPUs come before Mesa's CPU one."""
    try:
        import moderngl
    except ImportError as error:
        raise RendererUnavailable(f'moderngl is not installed: {error}') from error
    reason = None
    for index in range(_MAX_DEVICES):
        try:
            return moderngl, moderngl.create_context(standalone=True, require=330, backend='egl', device_index=index)
        except Exception as error:  # moderngl raises bare Exception
            # The first failure names the cause; later ones only say that there are no more devices.
            reason = reason or error
            if 'requested device index' in str(error):
                break
    raise RendererUnavailable(f'no EGL device for OpenGL 3.3 (Debian: libegl1 libgl1-mesa-dri): {reason}') from reason


def _check_intrinsics(k):
    k = np.asarray(k, dtype=np.float64)
    if k.shape != (3, 3) or not np.isfinite(k).all() or k[0, 0] == 0 or k[1, 1] == 0 or (k[2] != (0, 0, 1)).any():
        raise ValueError(f'k: expected a (3, 3) pinhole matrix with last row 0 0 1, got {k.tolist()}')
    return k


def _check_mesh(mesh):
    vertices = np.asarray(mesh.vertices, dtype=np.float32)
    if vertices.ndim != 3 or vertices.shape[2] != 3:
        raise ValueError(f'vertices: expected (N, V, 3), got {vertices.shape}')
    finite = np.isfinite(vertices).all((1, 2))
    if not finite.all():  # a person without a finite mesh is not drawn, and keeps the index
        vertices = np.where(finite[:, None, None], vertices, np.float32(-1))
    normals = None if mesh.normals is None else np.asarray(mesh.normals, dtype=np.float32)
    if normals is not None and normals.shape != vertices.shape:
        raise ValueError(f'normals: expected {vertices.shape} like the vertices, got {normals.shape}')
    return Mesh(vertices, mesh.faces, np.asarray(mesh.colors), normals)


def _vertex_colors(colors, people, vertex_count):
    """uint8 (N, V, 4) from (3,), (N, 3) or (N, V, 3), uint8 or floating point."""
    shape = (people, vertex_count, 3)
    per_vertex = colors[:, None] if colors.shape == (people, 3) else colors
    if per_vertex.shape not in ((3,), (people, 1, 3), shape):
        raise ValueError(f'colors: expected (3,), ({people}, 3) or {shape}, got {colors.shape}')
    if per_vertex.dtype != np.uint8:
        per_vertex = np.clip(per_vertex * 255 + 0.5, 0, 255).astype(np.uint8)
    result = np.empty((people, vertex_count, 4), np.uint8)
    result[..., :3] = per_vertex
    return result
