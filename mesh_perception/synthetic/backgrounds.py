"""What is behind the people: rooms and open ground in the scene's own perspective, clutter, or the user's pictures."""

from pathlib import Path

import cv2
import numpy as np

from mesh_perception.synthetic.shadows import shade_ground
from mesh_perception.synthetic.textures import SCALE, Textures, muted

_FLOORS = ('plain', 'planks', 'tiles', 'stripes')
_WALLS = ('plain', 'plain', 'bricks', 'stripes', 'panels', 'panels')
_IMAGES = ('.jpg', '.jpeg', '.png')
_FADE = 12.0  # m, over which an open ground loses its texture


class Backgrounds:
    """Paints backgrounds; `pictures` is a folder of images to use instead. Raises ValueError if it has none."""

    def __init__(self, pictures=None):
        self._textures = Textures()
        self._pictures = None
        if pictures is not None:
            folder = Path(pictures)
            files = sorted(folder.iterdir()) if folder.is_dir() else ()
            self._pictures = [path for path in files if path.suffix.lower() in _IMAGES]
            if not self._pictures:
                raise ValueError(f'background pictures {folder}: expected a folder with .jpg or .png images')

    def paint(self, camera, to_camera, people, things, light, rng):
        """(H, W, 3) uint8 RGB behind a scene.

        Args: camera: undistorted Camera; to_camera (4, 4) from the world; people (N, P, 3) surface points and things, a
        list of Mesh, both in the camera's frame: they throw shadows and stand inside the room; light (3,) towards it,
        in the world; rng: a numpy Generator.
        """
        if self._pictures is not None:
            return _fit(self._pictures[rng.integers(len(self._pictures))], camera, rng)
        kind = rng.random()
        if kind < 0.15:
            return self._clutter(camera, rng)
        turn, origin = to_camera[:3, :3].T, -to_camera[:3, :3].T @ to_camera[:3, 3]
        rays = turn @ np.linalg.inv(camera.k)  # pixel (u, v, 1) -> direction in the world
        crowd = [
            (points - to_camera[:3, 3]) @ turn.T
            for points in (*people, *(solid for thing in things for solid in thing.vertices))
        ]
        if kind < 0.65:
            picture, ground = self._room(camera, rays, origin, crowd, light, rng)
        else:
            picture, ground = self._outdoors(camera, rays, origin, rng)
        return shade_ground(picture, ground, rays, origin, crowd[: len(people)], crowd[len(people) :], light, rng)

    def _room(self, camera, rays, origin, crowd, light, rng):
        """A rectangular room around camera and people: the picture and where its floor is seen."""
        heading = rng.uniform(0, np.pi / 2)
        c, s = np.cos(heading), np.sin(heading)
        turn = np.array(((c, 0, s), (0, 1, 0), (-s, 0, c)))
        points = np.concatenate([origin[None], *crowd]) @ turn.T
        origin = turn @ origin
        low, high = points.min(0), points.max(0)
        low -= rng.uniform(0.4, 2.5, 3)
        high += rng.uniform(0.4, 2.5, 3)
        low[1], high[1] = 0, max(rng.uniform(2.3, 3.5), points[:, 1].max() + 0.2)
        rays = turn @ rays
        direction = _directions(rays, camera)
        with np.errstate(divide='ignore'):
            reach = [
                np.where(d > 0, np.float32(high[a] - origin[a]), np.float32(low[a] - origin[a])) / d
                for a, d in enumerate(direction)
            ]
        side = np.where(reach[0] < reach[2], 0, 2).astype(np.uint8)
        side[reach[1] < np.minimum(reach[0], reach[2])] = 1
        picture = np.empty((camera.height, camera.width, 3), np.uint8)
        wall = self._textures.draw(_WALLS, rng)
        tiles = {1: self._textures.draw(_FLOORS, rng), 4: self._textures.draw(('plain', 'tiles'), rng)}
        for axis in range(3):
            for up, at in enumerate((low, high)):
                face = ((side == axis) & ((direction[axis] > 0) == bool(up))).astype(np.uint8)
                if not face.any():
                    continue
                normal = turn.T[:, axis] * (1 - 2 * up)
                bright = 0.65 + 0.35 * max(0, normal @ light) if axis != 1 else 1.0
                tile = cv2.convertScaleAbs(tiles.get(axis + 3 * up, wall), alpha=bright)
                cv2.copyTo(_project(tile, rays, origin, axis, at[axis], camera, face), face, picture)
        return picture, (side == 1) & (direction[1] < 0)

    def _outdoors(self, camera, rays, origin, rng):
        """Open ground to the horizon, a sky or a far wall above it."""
        ground = (_directions(rays, camera)[1] < -1e-4).astype(np.uint8)
        tile = self._textures.draw(('plain', 'plain', 'tiles', 'bricks'), rng)
        near = _project(tile, rays, origin, 1, 0.0, camera, ground)
        # What varies slowly is computed for every eighth pixel.
        size = camera.width, camera.height
        down = -_directions(rays, camera, 8)[1]
        fade = cv2.resize(np.exp(-origin[1] / _FADE / np.maximum(down, 1e-4)).astype(np.float32), size)
        mean = np.empty_like(near)
        mean[:] = tile.mean((0, 1))
        near = cv2.blendLinear(near, mean, fade, 1 - fade)
        horizon, zenith = 0.3 + 0.7 * muted(rng), np.clip(muted(rng) * (0.75, 1, 1.3), 0, 1)
        if rng.random() < 0.4:  # grass, hedges or houses far away
            cells = rng.integers(3, 40, 2)
            far = rng.random((cells[0], cells[1], 1)) * rng.uniform(0.05, 0.5) + horizon * 0.5
        else:
            far = horizon + np.clip(-down * 2, 0, 1)[..., None] * (zenith - horizon)
        picture = cv2.resize(np.clip(far * 255, 0, 255).astype(np.uint8), size)
        cv2.copyTo(near, ground, picture)
        return picture, ground > 0

    def _clutter(self, camera, rng):
        """Noise of several grains, gradients and rectangles, without any perspective."""
        size = camera.width, camera.height
        picture = np.zeros((camera.height, camera.width, 3), np.float32)
        for cells in (2, 8, 40):
            noise = rng.random((cells, cells, 1), np.float32) + 0.4 * rng.random((cells, cells, 3), np.float32)
            picture += cv2.resize(noise, size, interpolation=cv2.INTER_LINEAR) * np.float32(rng.uniform(0.1, 0.6))
        picture = cv2.convertScaleAbs(picture, alpha=rng.uniform(60, 190) / max(picture.mean(), 0.05))
        for _ in range(rng.integers(0, 15)):
            first, second = rng.integers(0, size, (2, 2)).tolist()
            cv2.rectangle(picture, first, second, (255 * muted(rng)).tolist(), -1)
        return picture


def _directions(rays, camera, step=1):
    """The view's directions in the world for every `step`-th pixel, one (H, W) float32 a coordinate."""
    u = np.arange(0, camera.width, step, dtype=np.float32)
    v = np.arange(0, camera.height, step, dtype=np.float32)[:, None]
    a = rays.astype(np.float32)
    return [a[i, 0] * u + (a[i, 1] * v + a[i, 2]) for i in range(3)]


def plane_to_texture(rays, origin, axis, at, scale):
    """The homography (3, 3) from pixels to texture pixels (`scale` a metre) on the plane where a coordinate is `at`."""
    across, along = (2, 1) if axis == 0 else (0, 1) if axis == 2 else (0, 2)
    step = at - origin[axis]
    rows = [(origin[b] * rays[axis] + step * rays[b]) * scale for b in (across, along)]
    return np.stack([*rows, rays[axis]])


def _project(tile, rays, origin, axis, at, camera, where):
    """The picture (H, W, 3) of a plane where `where` (H, W) is not zero; anything elsewhere."""
    left, top, width, height = cv2.boundingRect(where)
    picture = np.empty((camera.height, camera.width, 3), np.uint8)
    homography = plane_to_texture(rays, origin, axis, at, SCALE)
    homography[:, 2] += homography[:, :2] @ (left, top)
    picture[top : top + height, left : left + width] = (
        cv2.warpPerspective(
            tile,
            homography,
            (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        )
        if width
        else 0
    )
    return picture


def _fit(path, camera, rng):
    """A random part of an image file, as large as fits."""
    image = cv2.imread(str(path))
    if image is None:
        raise ValueError(f'background picture {path}: not readable as an image')
    height, width = image.shape[:2]
    share = min(width / camera.width, height / camera.height)
    w, h = max(1, int(camera.width * share)), max(1, int(camera.height * share))
    x, y = rng.integers(0, width - w + 1), rng.integers(0, height - h + 1)
    part = cv2.resize(image[y : y + h, x : x + w], (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(part, cv2.COLOR_BGR2RGB)
