"""Simple solids to draw."""

import numpy as np


def sphere(center, radius, rings=40):
    """(1, V, 3) float32 vertices and (F, 3) faces, wound counter-clockwise seen from outside."""
    theta, phi = np.meshgrid(np.linspace(0, np.pi, rings), np.linspace(0, 2 * np.pi, 2 * rings), indexing='ij')
    points = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1).reshape(-1, 3)
    index = np.arange(len(points)).reshape(theta.shape)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    faces = np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)])
    return (points * radius + center)[None].astype(np.float32), faces


def square(x, y, z, half):
    """(1, 4, 3) float32 vertices and (2, 3) faces of a square that faces the camera's axis."""
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * half + (x, y, z)
    return corners[None].astype(np.float32), np.array([[0, 1, 2], [0, 2, 3]])
