"""Decimates an animated mesh to a subset of its own vertices: half-edge collapses by quadric error over several poses.

Garland and Heckbert, "Surface simplification using quadric error metrics", 1997, with the quadrics of several poses of
the same mesh added up, so that joints keep the edges they fold at. A collapse moves a vertex onto a neighbour, hence
every vertex that is left is an original one, in every pose and for every body shape.
"""

import heapq
from itertools import product

import cv2
import numpy as np


def decimate(poses, faces, importance, target, twin):
    """A closed face set (about `target`, 3) over some of the vertices.

    poses (P, V, 3): one closed mesh in several poses; importance (V,): how much an error counts there;
    twin (V,): each vertex's mirror image, collapsed along with it.
    """
    return _Mesh(poses, faces, importance).collapse(target, twin)


def seen_vertices(vertices, faces, size=1400):
    """Whether each vertex (V,) belongs to a face that can be seen from outside, from 26 directions."""
    seen = np.zeros(len(faces), bool)
    for direction in product((-1.0, 0.0, 1.0), repeat=3):
        if not any(direction):
            continue
        axis = np.array(direction) / np.linalg.norm(direction)
        side = np.cross(axis, [0.3, 0.5, 0.8])
        side /= np.linalg.norm(side)
        view = vertices @ np.stack([side, np.cross(axis, side), axis], 1)
        corners = view[faces]
        edges = corners[:, 1:, :2] - corners[:, :1, :2]
        front = np.flatnonzero(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0] > 0)
        low, high = view[:, :2].min(), view[:, :2].max()
        pixels = np.round((corners[..., :2] - low) / (high - low) * (size - 1) * 16).astype(np.int32)
        picture = np.zeros((size, size, 3), np.uint8)
        for face in front[np.argsort(corners[front, :, 2].mean(1))]:
            number = int(face) + 1
            cv2.fillConvexPoly(picture, pixels[face], (number & 255, number >> 8 & 255, number >> 16), shift=4)
        numbers = np.unique(picture.astype(np.int64) @ [1, 256, 65536])
        seen[numbers[numbers > 0] - 1] = True
    result = np.zeros(len(vertices), bool)
    result[faces[seen]] = True
    return result


class _Mesh:
    def __init__(self, poses, faces, importance):
        self.points = np.concatenate([poses, np.ones_like(poses[..., :1])], -1).transpose(1, 0, 2)  # (V, P, 4)
        self.faces = {number: tuple(face) for number, face in enumerate(faces.tolist())}
        self.around = [set() for _ in range(poses.shape[1])]
        corners = poses[:, faces]
        normals = np.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])
        areas = np.linalg.norm(normals, axis=-1, keepdims=True) + 1e-12
        planes = normals / areas
        planes = np.concatenate([planes, -(planes * corners[:, :, 0]).sum(-1, keepdims=True)], -1).transpose(1, 0, 2)
        terms = (planes[..., :, None] * planes[..., None, :]) * areas.transpose(1, 0, 2)[..., None]  # (F, P, 4, 4)
        self.quadrics = np.zeros((poses.shape[1], len(poses), 4, 4))
        for number, face in self.faces.items():
            for vertex in face:
                self.around[vertex].add(number)
                self.quadrics[vertex] += terms[number]
        self.quadrics *= importance[:, None, None, None]
        self.shortness = 1e-9 * importance  # among equals, short edges first: it keeps triangles well shaped

    def neighbours(self, vertex):
        return {other for face in self.around[vertex] for other in self.faces[face]} - {vertex}

    def targets(self, vertex):
        """(cost, neighbour) of moving a vertex onto each of its neighbours, cheapest first."""
        others = list(self.neighbours(vertex))
        points = self.points[others]
        errors = np.einsum('kpa,kpab,kpb->k', points, self.quadrics[vertex] + self.quadrics[others], points)
        lengths = ((points[:, 0] - self.points[vertex, 0]) ** 2).sum(-1)
        return sorted(zip((errors + self.shortness[vertex] * lengths).tolist(), others, strict=True))

    def allowed(self, vertex, other):
        """Whether the collapse keeps a closed surface that turns over in no pose."""
        if len(self.neighbours(vertex) & self.neighbours(other)) != 2:
            return False
        changed = [self.faces[face] for face in self.around[vertex] if other not in self.faces[face]]
        if len(changed) < 2:
            return False
        moved = [tuple(other if v == vertex else v for v in face) for face in changed]
        before, after = (self.points[np.array(f)][..., :3] for f in (changed, moved))
        before, after = (np.cross(c[:, 1] - c[:, 0], c[:, 2] - c[:, 0]) for c in (before, after))
        lengths = np.linalg.norm(before, axis=-1) * np.linalg.norm(after, axis=-1)
        return bool(((before * after).sum(-1) > 0.2 * lengths).all())

    def move(self, vertex, other):
        for number in self.around[vertex]:
            face = self.faces[number]
            if other in face:
                for corner in face:
                    if corner != vertex:
                        self.around[corner].discard(number)
                del self.faces[number]
            else:
                self.faces[number] = tuple(other if v == vertex else v for v in face)
                self.around[other].add(number)
        self.around[vertex] = set()
        self.quadrics[other] += self.quadrics[vertex]

    def collapse(self, target, twin):
        queue = [(self.targets(vertex)[0][0], vertex) for vertex in range(len(self.around)) if self.around[vertex]]
        heapq.heapify(queue)
        current = {vertex: cost for cost, vertex in queue}
        while queue and len(self.faces) > target:
            cost, vertex = heapq.heappop(queue)
            if current.get(vertex) != cost:
                continue
            choices = [(c, other) for c, other in self.targets(vertex) if self.allowed(vertex, other)]
            if not choices:
                del current[vertex]  # back in the queue when its surroundings change
                continue
            if choices[0][0] > cost * 1.0001 + 1e-18:
                current[vertex] = choices[0][0]
                heapq.heappush(queue, (choices[0][0], vertex))
                continue
            other = choices[0][1]
            pairs = [(vertex, other), (int(twin[vertex]), int(twin[other]))]
            for a, b in pairs[: 1 if pairs[0] == pairs[1] else 2]:
                if self.around[a] and b in self.neighbours(a) and self.allowed(a, b):
                    self.move(a, b)
                    current.pop(a, None)
                    for near in self.neighbours(b) | {b}:
                        current[near] = self.targets(near)[0][0]
                        heapq.heappush(queue, (current[near], near))
        return np.array(sorted(self.faces.values()))
