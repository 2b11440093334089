"""What can be drawn, checked once for every way of drawing it."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

NEAR = 0.05  # m; nothing nearer is drawn
AMBIENT = 0.35
LIGHT = (-0.35, -0.55, -0.75)  # towards the light: above the camera and to its left
_BEHIND = np.float32(-1)


@dataclass
class Mesh:
    """N bodies of one topology."""

    vertices: np.ndarray  # (N, V, 3) m, camera frame
    faces: np.ndarray  # (F, 3)
    colors: np.ndarray  # (3,), (N, 3) or (N, V, 3); uint8, or floating point in [0, 1]
    normals: np.ndarray = None  # (N, V, 3) unit; computed if absent
    two_sided: bool = True  # False: faces are wound counter-clockwise seen from outside, the inside is not drawn

    def checked(self):
        """The same as arrays; a person whose vertices are not all finite is put behind the camera, which keeps the
        order of the others. Raises ValueError for wrong shapes."""
        vertices = np.asarray(self.vertices, dtype=np.float32)
        if vertices.ndim != 3 or vertices.shape[2] != 3:
            raise ValueError(f'vertices: expected (N, V, 3), got {vertices.shape}')
        finite = np.isfinite(vertices).all((1, 2))
        if not finite.all():
            vertices = np.where(finite[:, None, None], vertices, _BEHIND)
        faces = np.asarray(self.faces)
        if faces.ndim != 2 or faces.shape[1] != 3:
            raise ValueError(f'faces: expected (F, 3) vertex indices, got {faces.shape}')
        normals = None if self.normals is None else np.asarray(self.normals, dtype=np.float32)
        if normals is not None and normals.shape != vertices.shape:
            raise ValueError(f'normals: expected {vertices.shape} like the vertices, got {normals.shape}')
        return replace(
            self,
            vertices=vertices,
            faces=faces,
            normals=normals,
            colors=_person_or_vertex_colors(np.asarray(self.colors), *vertices.shape[:2]),
        )


class Rendering(NamedTuple):
    """A picture with its geometry."""

    rgb: np.ndarray  # (H, W, 3) uint8, antialiased
    depth: np.ndarray  # (H, W) float32, z in metres at each pixel's centre, inf where nothing was drawn
    person: np.ndarray  # (H, W) int32, index of the person (counted through the meshes in order), -1 for none


def check_intrinsics(k):
    """A (3, 3) pinhole matrix in float64. Raises ValueError for anything else."""
    k = np.asarray(k, dtype=np.float64)
    if k.shape != (3, 3) or not np.isfinite(k).all() or k[0, 0] == 0 or k[1, 1] == 0 or (k[2] != (0, 0, 1)).any():
        raise ValueError(f'k: expected a (3, 3) pinhole matrix with last row 0 0 1, got {k.tolist()}')
    return k


def canvas(background, width, height):
    """A fresh (height, width, 3) uint8 picture to draw on: the background's copy, or black for None."""
    shape = (height, width, 3)
    if background is None:
        return np.zeros(shape, np.uint8)
    background = np.asarray(background)
    if background.shape != shape or background.dtype != np.uint8:
        raise ValueError(f'background: expected uint8 {shape}, got {background.dtype} {background.shape}')
    return background.copy()


def project(vertices, k):
    """Pixels (..., 2) of vertices (..., 3) in front of the camera."""
    return (vertices[..., :2] / vertices[..., 2:]) @ k[:2, :2].T.astype(np.float32) + k[:2, 2].astype(np.float32)


def unit(direction):
    """(3,) float64 of length 1. Raises ValueError for a zero or non-finite direction."""
    direction = np.asarray(direction, dtype=np.float64)
    length = np.linalg.norm(direction)
    if direction.shape != (3,) or not 0 < length < np.inf:
        raise ValueError(f'light: expected a direction of three numbers, got {direction.tolist()}')
    return direction / length


def _person_or_vertex_colors(colors, people, vertex_count):
    """uint8 (N, 1, 3) or (N, V, 3)."""
    shape = (people, vertex_count, 3)
    if colors.shape == (3,):
        colors = np.broadcast_to(colors, (people, 3))
    if colors.shape == (people, 3):
        colors = colors[:, None]
    elif colors.shape != shape:
        raise ValueError(f'colors: expected (3,), ({people}, 3) or {shape}, got {colors.shape}')
    if colors.dtype != np.uint8:
        colors = np.clip(colors * 255 + 0.5, 0, 255).astype(np.uint8)
    return colors
