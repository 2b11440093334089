"""What depends on a mesh's faces alone, computed once and kept: index buffers and smooth normals."""

import numpy as np


class Topology:
    """A triangle list over `vertex_count` vertices.

    Args: faces (F, 3) vertex indices. Raises ValueError if a face points outside the vertices.
    """

    def __init__(self, faces, vertex_count):
        if faces.size and not 0 <= faces.min() <= faces.max() < vertex_count:
            raise ValueError(f'faces: indices {faces.min()} to {faces.max()}, but the mesh has {vertex_count} vertices')
        self.faces = np.array(faces, dtype=np.int32)
        self.vertex_count = vertex_count
        self._corners = np.ascontiguousarray(self.faces.T)

    def matches(self, faces, vertex_count):
        """Whether `faces` is this topology, by value."""
        return self.vertex_count == vertex_count and np.array_equal(self.faces, faces)

    def indices(self, people):
        """Faces of `people` copies that lie one after the other in a vertex buffer: (people * F, 3) int32."""
        offsets = np.arange(people, dtype=np.int32) * self.vertex_count
        return (self.faces[None] + offsets[:, None, None]).reshape(-1, 3)

    def normals(self, vertices):
        """Smooth vertex normals (area-weighted face normals), unit length, zero where no face meets.

        Args: vertices (N, V, 3). Returns (N, V, 3) float32.
        """
        people = len(vertices)
        points = np.ascontiguousarray(np.transpose(vertices, (2, 0, 1)), dtype=np.float32)
        first, second, third = (points.take(corner, axis=2) for corner in self._corners)
        second -= first
        third -= first
        corner_index = self._corners.ravel()
        normals = np.zeros((people, self.vertex_count, 3), np.float32)
        for axis in range(3):
            after, last = (axis + 1) % 3, (axis + 2) % 3
            area = second[after] * third[last] - second[last] * third[after]
            for person in range(people):
                normals[person, :, axis] = np.bincount(
                    corner_index, np.tile(area[person], 3), minlength=self.vertex_count
                )
        length = np.sqrt(np.einsum('nvk,nvk->nv', normals, normals))
        normals /= np.maximum(length, np.float32(1e-20))[..., None]
        return normals


class TopologyCache:
    """The last few topologies, found again by value, so that callers pass plain faces every frame."""

    def __init__(self, size=8):
        self._size = size
        self._items = []

    def get(self, faces, vertex_count):
        for item in self._items:
            if item.matches(faces, vertex_count):
                return item
        item = Topology(faces, vertex_count)
        self._items = [item, *self._items[: self._size - 1]]
        return item
