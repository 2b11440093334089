"""The scene from above and from the side, to scale, with the camera and a grid of metres."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from mesh_perception.visualization.marks import draw_label, draw_skeletons, line_width
from mesh_perception.visualization.palette import track_colors

_AWAY = 200.0  # m; from so far a pinhole camera sees as good as in parallel (0.5 % a metre)
_GROUND, _GRID, _AXIS, _INK, _FIELD = (250,) * 3, (226,) * 3, (190,) * 3, (90,) * 3, (200, 214, 232)
_STEP = 2  # m; a fitted reach grows in such steps, so that a video's views seldom jump


@dataclass
class _View:
    """A square picture of `size` px that shows `reach` metres; `turn` is the rotation camera -> view frame."""

    turn: np.ndarray
    size: int
    reach: float
    origin: tuple  # where the camera stands, in parts of the size

    def pixels(self, points):
        """(..., 3) m, camera frame -> (..., 2) px, in parallel."""
        return (np.asarray(points, np.float64) @ self.turn.T)[..., :2] * self.scale + self._center

    def far_camera(self, points):
        """The points as seen by a pinhole far away, and its matrix: what the renderer needs."""
        focal = self.scale * _AWAY
        k = np.array([[focal, 0, self._center[0]], [0, focal, self._center[1]], [0, 0, 1]])
        return (points @ self.turn.T + (0, 0, _AWAY)).astype(np.float32), k

    @property
    def scale(self):
        """Pixels a metre."""
        return self.size / self.reach

    @property
    def _center(self):
        return np.array(self.origin) * self.size


def top_view(camera, people, vertices, size, draw_meshes=None, reach=None, label=True):
    """From above: the camera at the bottom looks up in the picture, its right is right.

    Args: camera: Camera; people: People on the CPU; vertices (N, V, 3) m; size: side of the square picture in px;
    draw_meshes(vertices, k, people, background, near=...) -> picture, or None for skeletons; reach: metres that the
    picture shows, fitted to the people (in steps of 2 m) if None; label: whether ids are written.
    Returns (size, size, 3) uint8 RGB.
    """
    view = _View(np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]), size, reach or _reach(people), (0.5, 0.94))
    return _draw(view, 'top', camera, people, vertices, draw_meshes, label)


def side_view(camera, people, vertices, size, draw_meshes=None, reach=None, label=True):
    """From the camera's right: the camera at the left looks right, up is the image's up. Arguments as `top_view`."""
    view = _View(np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]]), size, reach or _reach(people), (0.06, 0.5))
    return _draw(view, 'side', camera, people, vertices, draw_meshes, label)


def compose(picture, top, side):
    """The picture with both views in a column to its right: (H, W + H // 2, 3) uint8 RGB."""
    height = picture.shape[0]
    column = [
        cv2.resize(view, (height // 2, rows), interpolation=cv2.INTER_AREA)
        for view, rows in ((top, height // 2), (side, height - height // 2))
    ]
    return np.hstack([picture, np.vstack(column)])


def _reach(people):
    """Metres that show every person, with room around."""
    joints = people.joints.numpy().reshape(-1, 3)
    joints = joints[np.isfinite(joints).all(1)]
    if not len(joints):
        return 2 * _STEP
    need = max(1.15 * joints[:, 2].max(), 2.2 * np.abs(joints[:, :2]).max())
    return _STEP * max(2, int(np.ceil(need / _STEP)))


def _draw(view, name, camera, people, vertices, draw_meshes, label):
    picture = _ground(view, name, camera)
    if draw_meshes is not None:
        seen, k = view.far_camera(vertices)
        picture = draw_meshes(seen, k, people, picture, near=_AWAY / 2)
    elif len(people):
        draw_skeletons(picture, view.pixels(people.joints.numpy()), people.joint_confidence, people.track_ids)
    if not label:
        return picture
    heads = view.pixels(people.joints[:, 15].numpy())
    for head, track_id, color in zip(
        heads, people.track_ids.tolist(), track_colors(people.track_ids).tolist(), strict=True
    ):
        if (np.abs(head - view.size / 2) < view.size / 2).all():
            draw_label(picture, f'#{track_id}', head - (0, 0.04 * view.size), color, (0.5, 1))
    return picture


def _ground(view, name, camera):
    """Grid, the camera and its field of view, and what a square means."""
    picture = np.full((view.size, view.size, 3), _GROUND, np.uint8)
    forward = np.array([0, 0, 1])
    across = view.turn[0] if name == 'top' else view.turn[1]
    here = view.pixels(np.zeros(3))
    slopes = _field_of_view(camera, 0 if name == 'top' else 1)
    edges = [view.pixels((forward + slope * across) * 2 * view.reach) for slope in slopes]
    cv2.fillConvexPoly(picture, _points(here, *edges), (242, 245, 249), cv2.LINE_AA)
    step = max(1, round(view.reach / 12))
    for metres in range(-int(view.reach), int(view.reach) + 1, step):
        for along, beside in ((forward, across), (across, forward)):
            ends = [view.pixels(along * metres + beside * s * view.reach) for s in (-1, 1)]
            cv2.line(picture, *_points(*ends).tolist(), _AXIS if metres == 0 else _GRID, 1, cv2.LINE_AA)
    for edge in edges:
        cv2.line(picture, *_points(here, edge).tolist(), _FIELD, 2, cv2.LINE_AA)
    size = 0.03 * view.reach
    cone = [view.pixels((forward * 1.6 + across * s) * size) for s in (-1, 1)]
    cv2.fillConvexPoly(picture, _points(here, *cone), (60, 60, 60), cv2.LINE_AA)
    scale = 0.4 * view.size / 480
    for metres in range(step, int(view.reach) + 1, step):
        x, y = view.pixels(forward * metres).astype(int).tolist()
        cv2.putText(picture, f'{metres}', (x + 3, y - 3), cv2.FONT_HERSHEY_SIMPLEX, scale, _INK, 1, cv2.LINE_AA)
    text = f'{name}, grid {step} m'
    cv2.putText(
        picture,
        text,
        (int(0.02 * view.size), int(0.045 * view.size)),
        cv2.FONT_HERSHEY_SIMPLEX,
        1.2 * scale,
        _INK,
        line_width(picture),
        cv2.LINE_AA,
    )
    return picture


def _field_of_view(camera, axis):
    """x/z (axis 0) or y/z (axis 1) at the middle of the image's two borders."""
    middle = [(camera.width - 1) / 2, (camera.height - 1) / 2]
    borders = [list(middle), list(middle)]
    borders[0][axis], borders[1][axis] = -0.5, (camera.width, camera.height)[axis] - 0.5
    return camera.unproject(torch.tensor(borders, dtype=torch.float64))[:, axis].numpy()


def _points(*points):
    return np.round(np.clip(points, -30000, 30000)).astype(np.int32)
