"""Pictures through a real lens: distortion for renderers that know pinholes alone."""

import numpy as np
import torch

from mesh_perception.visualization.mesh import NEAR


def bend_vertices(vertices, camera, near=NEAR):
    """Moves vertices so that the pinhole `camera.k` shows them where the lens does; their z stays.

    Straight edges stay straight, so it is exact at vertices and fine for dense meshes. Vertices nearer than `near` or
    behind the camera stay where they are. Args: vertices (..., 3) m, camera frame. Returns the same shape, float32.
    """
    vertices = np.asarray(vertices, dtype=np.float32)
    if camera.model == 'none':
        return vertices
    pixels = camera.project(torch.from_numpy(vertices)).numpy()
    rays = (pixels - camera.k[:2, 2]) @ np.linalg.inv(camera.k[:2, :2]).T
    depth = vertices[..., 2:]
    bent = np.concatenate([rays * depth, depth], -1).astype(np.float32)
    return np.where(depth > near, bent, vertices)
