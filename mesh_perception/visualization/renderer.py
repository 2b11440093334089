"""One renderer for overlays and for synthetic scenes: OpenGL 3.3 on EGL, on a GPU or on a CPU (Mesa's llvmpipe).

Vertices come in the camera's optical frame (x right, y down, z forward, metres) and land on the image as the pinhole
matrix `k` says, pixel (0, 0) being the centre of the top-left pixel. What is nearer hides what is farther, between
people too; what lies behind the camera is cut off at the near plane. A camera with lens distortion is served by moving
the vertices first: see `lens.bend_vertices`.

A renderer belongs to the thread that made it (an OpenGL context does): create it where it is used.
"""

import threading

import numpy as np

from mesh_perception.visualization import shaders
from mesh_perception.visualization.egl import RendererUnavailable, create_context
from mesh_perception.visualization.mesh import (
    AMBIENT,
    LIGHT,
    NEAR,
    Mesh,
    Rendering,
    canvas,
    check_intrinsics,
    project,
    unit,
)
from mesh_perception.visualization.topology import TopologyCache

__all__ = ['Mesh', 'Renderer', 'RendererUnavailable', 'Rendering']


class Renderer:
    """Draws meshes into pictures of one size (changeable with `resize`); use it for many frames, then `close` it.

    Works as a context manager. Raises RendererUnavailable where EGL is missing, RuntimeError when used from a thread
    other than the one that made it or after `close`.
    """

    def __init__(self, width, height):
        self._gl, self._context = create_context()
        self._thread = threading.get_ident()
        self._topologies = TopologyCache()
        with self._context:
            self._context.front_face = 'cw'  # counter-clockwise turns around where row 0 is at the top
            self.device = self._context.info['GL_RENDERER']
            program = self._context.program
            self._shaded = program(vertex_shader=shaders.SHADED_VERTEX, fragment_shader=shaders.SHADED_FRAGMENT)
            self._buffers = program(vertex_shader=shaders.BUFFER_VERTEX, fragment_shader=shaders.BUFFER_FRAGMENT)
            self._compose = program(vertex_shader=shaders.COMPOSE_VERTEX, fragment_shader=shaders.COMPOSE_FRAGMENT)
            self._compose['shaded'] = 0
            self._compose['background'] = 1
            self._screen = self._context.vertex_array(self._compose, [])
        self._targets, self._capacity = [], (0, 0)
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
        """Changes the pictures' size (pixels); memory grows to the largest size so far, so going back and forth is
        cheap. Raises ValueError for a size that OpenGL cannot draw."""
        self._check_usable()
        limit = self._context.info['GL_MAX_TEXTURE_SIZE']
        if not (1 <= width <= limit and 1 <= height <= limit):
            raise ValueError(f'renderer size {width}x{height}: expected 1 to {limit} pixels a side')
        self.width, self.height = int(width), int(height)
        if self.width > self._capacity[0] or self.height > self._capacity[1]:
            self._capacity = max(self.width, self._capacity[0]), max(self.height, self._capacity[1])
            self._allocate()

    def render(self, vertices, faces, k, colors, background=None, two_sided=True, **options):
        """Draws N bodies of one topology.

        Args: vertices (N, V, 3) m, camera frame; faces (F, 3); k (3, 3) pinhole matrix; colors (3,), (N, 3) or
        (N, V, 3), uint8 or floating point in [0, 1]; background (H, W, 3) uint8 RGB or None for black; two_sided:
        see Mesh, False is faster; options: opacity, ambient, light, near of `render_scene`.
        Returns (H, W, 3) uint8 RGB. Raises ValueError for wrong shapes.
        """
        return self.render_scene([Mesh(vertices, faces, colors, None, two_sided)], k, background, **options).rgb

    def render_buffers(self, vertices, faces, k, colors, background=None, two_sided=True, **options):
        """As `render`, with depth and person index too. Returns Rendering."""
        mesh = Mesh(vertices, faces, colors, None, two_sided)
        return self.render_scene([mesh], k, background, buffers=True, **options)

    def render_scene(
        self, meshes, k, background=None, opacity=1.0, ambient=AMBIENT, light=LIGHT, near=NEAR, buffers=False
    ):
        """Draws any number of meshes of different topologies together.

        Args: meshes: sequence of Mesh; k, background: as in `render`; opacity of the nearest surface over the
        background, in [0, 1]; ambient: the light's share without direction, in [0, 1]; light: direction towards the
        light, camera frame; near: z in metres, nothing nearer is drawn; buffers: whether depth and person are wanted.
        Returns Rendering (depth and person None unless wanted). Raises ValueError for wrong shapes.
        """
        self._check_usable()
        k, light = check_intrinsics(k), unit(light)
        rgb = canvas(background, self.width, self.height)
        depth = np.full(rgb.shape[:2], np.inf, np.float32) if buffers else None
        person = np.full(rgb.shape[:2], -1, np.int32) if buffers else None
        meshes = [mesh.checked() for mesh in meshes]
        topologies = [self._topologies.get(mesh.faces, mesh.vertices.shape[1]) for mesh in meshes]
        window = self._window(meshes, k, near)
        if window is None:
            return Rendering(rgb, depth, person)
        left, top, columns, rows = window
        part = (slice(top, top + rows), slice(left, left + columns))
        with self._context:
            self._shaded['light'] = tuple(light)
            self._shaded['ambient'] = ambient
            self._compose['opacity'] = opacity
            uploaded = [self._upload(*pair) for pair in zip(meshes, topologies, strict=True)]
            rgb[part] = self._draw_picture(uploaded, k, near, window, rgb[part])
            if buffers:
                depth[part], person[part] = self._draw_geometry(uploaded, k, near, window)
            for mesh in uploaded:
                mesh.release()
        return Rendering(rgb, depth, person)

    def render_geometry(self, meshes, k, near=NEAR):
        """Depth (height, width) and person index (height, width) of `render_scene` alone, without its picture."""
        self._check_usable()
        k = check_intrinsics(k)
        depth = np.full((self.height, self.width), np.inf, np.float32)
        person = np.full((self.height, self.width), -1, np.int32)
        meshes = [mesh.checked() for mesh in meshes]
        window = self._window(meshes, k, near)
        if window is not None:
            left, top, columns, rows = window
            part = (slice(top, top + rows), slice(left, left + columns))
            with self._context:
                topologies = [self._topologies.get(mesh.faces, mesh.vertices.shape[1]) for mesh in meshes]
                uploaded = [_Bare(self._context, self._buffers, *pair) for pair in zip(meshes, topologies, strict=True)]
                depth[part], person[part] = self._draw_geometry(uploaded, k, near, window)
                for mesh in uploaded:
                    mesh.release()
        return depth, person

    def _allocate(self):
        context, size = self._context, self._capacity
        with context:
            for target in self._targets:
                target.release()
            self._samples = context.texture(size, 4, samples=shaders.SAMPLES)
            self._background = context.texture(size, 3, alignment=1)
            depth = context.depth_renderbuffer(size, samples=shaders.SAMPLES)
            picture = context.renderbuffer(size, 4)
            self._multisampled = context.framebuffer([self._samples], depth)
            self._picture = context.framebuffer([picture])
            self._geometry = None
            self._targets = [self._multisampled, self._picture, self._samples, self._background, depth, picture]

    def _window(self, meshes, k, near):
        """The part of the picture that may change: left, top, columns, rows; None if no mesh is in view."""
        size = np.array([self.width, self.height])
        low, high = size.astype(np.float64), np.zeros(2)
        for mesh in meshes:
            z = mesh.vertices[..., 2]
            ahead = z.max(1, initial=-np.inf) > near
            if not ahead.any():
                continue
            if z[ahead].min() <= near:  # a cut surface may reach anywhere
                return 0, 0, self.width, self.height
            pixels = project(mesh.vertices[ahead], k).reshape(-1, 2)
            low, high = np.minimum(low, pixels.min(0) - 1), np.maximum(high, pixels.max(0) + 2)
        low = np.maximum(np.floor(low), 0).astype(int)
        high = np.minimum(np.ceil(high), size).astype(int)
        return None if (high <= low).any() else (*map(int, low), *map(int, high - low))

    def _upload(self, mesh, topology):
        normals = topology.normals(mesh.vertices) if mesh.normals is None else mesh.normals
        return _Uploaded(self._context, self._shaded, self._buffers, mesh, normals, topology)

    def _draw_picture(self, uploaded, k, near, window, background):
        """The shaded window over its background: (rows, columns, 3) uint8."""
        columns, rows = window[2:]
        self._begin(self._multisampled, self._shaded, k, near, window)
        for mesh in uploaded:
            self._cull(mesh)
            mesh.shaded.render()
        self._background.write(np.ascontiguousarray(background), viewport=(0, 0, columns, rows), alignment=1)
        self._picture.use()
        self._context.viewport = 0, 0, columns, rows
        self._context.enable_only(self._gl.NOTHING)
        self._samples.use(0)
        self._background.use(1)
        self._screen.render(vertices=3)
        result = self._picture.read(viewport=(0, 0, columns, rows), components=4, alignment=1)
        return np.frombuffer(result, np.uint8).reshape(rows, columns, 4)[..., :3]

    def _draw_geometry(self, uploaded, k, near, window):
        """The window's depth (inf where empty) and person index (-1 where empty), sampled at each pixel's centre."""
        if self._geometry is None:
            size = self._capacity
            parts = [
                self._context.renderbuffer(size, 1, dtype='f4'),
                self._context.renderbuffer(size, 1, dtype='i4'),
                self._context.depth_renderbuffer(size),
            ]
            self._geometry = self._context.framebuffer(parts[:2], parts[2])
            self._targets += [self._geometry, *parts]
        self._begin(self._geometry, self._buffers, k, near, window)
        first = 0
        for mesh in uploaded:
            self._buffers['first_person'] = first
            self._buffers['vertex_count'] = mesh.vertex_count
            self._cull(mesh)
            mesh.buffers.render()
            first += mesh.people
        columns, rows = window[2:]
        depth, person = (
            np.frombuffer(
                self._geometry.read(
                    viewport=(0, 0, columns, rows), components=1, attachment=i, alignment=1, dtype=kind
                ),
                dtype,
            ).reshape(rows, columns)
            for i, (kind, dtype) in enumerate((('f4', np.float32), ('i4', np.int32)))
        )
        return np.where(person > 0, depth, np.float32(np.inf)), person - 1

    def _begin(self, target, program, k, near, window):
        """Clears the target and makes its first (columns, rows) pixels the picture's window."""
        left, top, columns, rows = window
        projection = np.array(
            [2 / columns * (k[0] + (0.5 - left) * k[2]) - k[2], 2 / rows * (k[1] + (0.5 - top) * k[2]) - k[2], k[2]]
        )
        program['projection'].write(projection.T.astype('f4').tobytes())
        program['near'] = near
        target.use()
        target.viewport = 0, 0, columns, rows
        target.clear()
        self._context.enable_only(self._gl.DEPTH_TEST)

    def _cull(self, mesh):
        (self._context.enable if mesh.culled else self._context.disable)(self._gl.CULL_FACE)

    def _check_usable(self):
        if self._context is None:
            raise RuntimeError('renderer: used after close()')
        if threading.get_ident() != self._thread:
            raise RuntimeError('renderer: used from another thread than the one that made it')


class _Bare:
    """A mesh's places and triangles on the device, for the geometry alone."""

    def __init__(self, context, geometry, mesh, topology):
        self.people, self.vertex_count = mesh.vertices.shape[:2]
        self.culled = not mesh.two_sided
        self._positions = context.buffer(np.ascontiguousarray(mesh.vertices, np.float32))
        self._index = context.buffer(topology.indices(self.people))
        self.buffers = context.vertex_array(geometry, [(self._positions, '3f', 'position')], self._index)
        self._parts = [self.buffers, self._positions, self._index]

    def release(self):
        for part in self._parts:
            part.release()


class _Uploaded(_Bare):
    """A mesh's buffers on the device, bound to both programs."""

    def __init__(self, context, shaded, geometry, mesh, normals, topology):
        super().__init__(context, geometry, mesh, topology)
        normals = context.buffer(np.ascontiguousarray(normals, np.float32))
        rgba = np.empty((self.people, self.vertex_count, 4), np.uint8)
        rgba[..., :3] = mesh.colors
        colors = context.buffer(rgba)
        attributes = [(self._positions, '3f', 'position'), (normals, '3f', 'normal'), (colors, '4f1', 'color')]
        self.shaded = context.vertex_array(shaded, attributes, self._index)
        self._parts += [self.shaded, normals, colors]
