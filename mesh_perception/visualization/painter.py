"""Drawing without OpenGL: triangles painted from far to near with OpenCV. Coarser and slower than the renderer, with
mistakes where surfaces cross; meant for light meshes of a few thousand triangles."""

import cv2
import numpy as np

from mesh_perception.visualization.mesh import AMBIENT, LIGHT, NEAR, Mesh, canvas, check_intrinsics, project, unit

_SHIFT = 4  # fractional bits of the coordinates that OpenCV gets
_FARTHEST = 30000  # px; beyond lies the range of OpenCV's coordinates


class Painter:
    """Takes the Renderer's place where there is no EGL: same `render`, `resize` and `close`, no buffers."""

    def __init__(self, width, height):
        self.resize(width, height)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def close(self):
        """Nothing to give back."""

    def resize(self, width, height):
        """Changes the pictures' size (pixels)."""
        self.width, self.height = int(width), int(height)

    def render(
        self,
        vertices,
        faces,
        k,
        colors,
        background=None,
        two_sided=True,
        opacity=1.0,
        ambient=AMBIENT,
        light=LIGHT,
        near=NEAR,
    ):
        """Draws N bodies of one topology; arguments, result and errors as Renderer.render. Triangles that reach behind
        the near plane are left out."""
        k, light = check_intrinsics(k), unit(light)
        mesh = Mesh(vertices, faces, colors, None, two_sided).checked()
        rgb = canvas(background, self.width, self.height)
        if not mesh.vertices.size or not mesh.faces.size:
            return rgb
        polygons, shades = self._triangles(mesh, k, ambient, light, near)
        painted = rgb.copy()
        for polygon, shade in zip(polygons, shades, strict=True):
            cv2.fillConvexPoly(painted, polygon, shade, shift=_SHIFT)
        return cv2.addWeighted(painted, opacity, rgb, 1 - opacity, 0)

    def _triangles(self, mesh, k, ambient, light, near):
        """What is in view, far to near: corners (T, 3, 2) int32 for OpenCV and colours, T lists of three."""
        corners = mesh.vertices[:, mesh.faces].reshape(-1, 3, 3)
        colors = np.broadcast_to(mesh.colors, mesh.vertices.shape)[:, mesh.faces].reshape(-1, 3, 3)
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-20)
        middles = corners.mean(1)
        facing = -np.einsum('tk,tk->t', normals, middles) / np.maximum(np.linalg.norm(middles, axis=-1), 1e-20)
        keep = corners[..., 2].min(1) > near
        if not mesh.two_sided:
            keep &= facing > 0
        keep = np.nonzero(keep)[0]
        pixels = project(corners[keep], k)
        size = np.array([self.width, self.height])
        inside = (pixels.max(1) > -1).all(1) & (pixels.min(1) < size).all(1) & (np.abs(pixels) < _FARTHEST).all((1, 2))
        keep, pixels = keep[inside], pixels[inside]
        order = np.argsort(-middles[keep, 2])
        keep, pixels = keep[order], pixels[order]
        side = np.sign(facing[keep])
        diffuse = 0.75 * np.maximum(side * (normals[keep] @ light), 0) + 0.25 * np.abs(facing[keep])
        shades = colors[keep].mean(1) * (ambient + (1 - ambient) * diffuse)[:, None]
        return np.round(pixels * 2**_SHIFT).astype(np.int32), shades.tolist()
