"""Pictures of scenes: dressed people in a place with things around them, as a camera would take them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mesh_perception.synthetic.appearance import Wardrobe
from mesh_perception.synthetic.backgrounds import Backgrounds
from mesh_perception.synthetic.occluders import place_occluders
from mesh_perception.synthetic.sensor import expose
from mesh_perception.visualization.mesh import NEAR
from mesh_perception.visualization.renderer import Mesh, Renderer

_OUTLINE = 320  # samples along the longer side of a silhouette, at most

# What is drawn at random comes from streams of its own, so that a change in one leaves the others as they were.
_CLOTHES, _PLACE, _THINGS, _LIGHT, _SENSOR = range(5)


class Silhouette(NamedTuple):
    """Which pixels somebody alone covers, on an endless image: every `step`-th pixel in both directions is looked at,
    mask[r, c] being the image's pixel (left + step c, top + step r)."""

    mask: np.ndarray  # (h, w) bool
    left: int
    top: int
    step: int


@dataclass
class Picture:
    """A scene as the camera sees it, with its geometry."""

    rgb: np.ndarray  # (H, W, 3) uint8
    depth: np.ndarray  # (H, W) float32, z in metres of people and things at each pixel's centre, inf elsewhere
    person: np.ndarray  # (H, W) int32, index of the person nearest to the camera; -1: background, or a thing in front
    silhouettes: list  # N of Silhouette


class SceneRenderer:
    """Renders scenes of one body; make it once, in the thread that uses it, and `close` it (or use `with`).

    occluders: share of the pictures with things that stand between camera and people. pictures: a folder of images
    (.jpg, .jpeg, .png) to put behind the people instead of drawn places. Everything else is drawn from the scene's
    seed: the same scene gives the same picture. Raises ValueError for a folder without images, RendererUnavailable
    without EGL.
    """

    def __init__(self, body, occluders=0.35, pictures=None):
        self._wardrobe = Wardrobe(body)
        self._faces = body.faces.cpu().numpy()
        self._light = body.light_vertices.cpu().numpy()
        self._occluders = occluders
        self._backgrounds = Backgrounds(pictures)
        self._renderer = Renderer(640, 480)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        self._renderer.close()

    def render(self, scene) -> Picture:
        """The picture of a Scene: N people; none is fine."""
        random = [np.random.default_rng((scene.seed, stream)) for stream in range(5)]
        vertices, to_camera = scene.vertices.cpu().numpy(), scene.to_camera.cpu().double().numpy()
        outlines = vertices[:, self._light]
        things = place_occluders(outlines, to_camera, self._occluders, random[_THINGS])
        light, ambient = _sample_light(random[_LIGHT])
        background = self._backgrounds.paint(scene.camera, to_camera, outlines, things, light, random[_PLACE])
        colours = np.stack([self._wardrobe.dress(random[_CLOTHES]) for _ in vertices]) if len(vertices) else 0.5
        people = Mesh(vertices, self._faces, np.broadcast_to(colours, vertices.shape), two_sided=False)
        self._renderer.resize(scene.camera.width, scene.camera.height)
        rendering = self._renderer.render_scene(
            [people, *things],
            scene.camera.k,
            background,
            ambient=ambient,
            light=to_camera[:3, :3] @ light,
            buffers=True,
        )
        person = np.where(rendering.person < len(vertices), rendering.person, -1)
        empty = ~np.isfinite(rendering.depth)
        silhouettes = [self._silhouette(one, scene.camera, person == i, empty) for i, one in enumerate(vertices)]
        return Picture(expose(rendering.rgb, random[_SENSOR]), rendering.depth, person, silhouettes)

    def _silhouette(self, vertices, camera, seen, empty):
        """One person alone: the same pixels as in the picture, also those outside it.

        seen and empty (H, W) bool: where the picture shows this person, and nothing at all.
        """
        ahead = vertices[vertices[:, 2] > NEAR]
        if not len(ahead):
            return Silhouette(np.zeros((0, 0), bool), 0, 0, 1)
        pixels = ahead @ camera.k.T.astype(np.float32)
        pixels = pixels[:, :2] / pixels[:, 2:]
        left, top = np.floor(pixels.min(0)).astype(int).tolist()
        right, bottom = np.ceil(pixels.max(0)).astype(int).tolist()
        if len(ahead) == len(vertices) and 0 <= left and 0 <= top and right < camera.width and bottom < camera.height:
            window = slice(top, bottom + 1), slice(left, right + 1)
            if (seen[window] | empty[window]).all():  # nothing else is near: no need to draw it again
                return Silhouette(seen[window], left, top, 1)
        step = max(1, -(-max(right - left, bottom - top) // _OUTLINE))
        k = camera.k.copy()
        k[:2, 2] -= left, top
        k[:2] /= step
        self._renderer.resize((right - left) // step + 1, (bottom - top) // step + 1)
        _, person = self._renderer.render_geometry([Mesh(vertices[None], self._faces, (0, 0, 0), None, False)], k)
        return Silhouette(person == 0, left, top, step)


def _sample_light(rng):
    """The direction towards the light in the world, unit length, and the share of light without direction."""
    turn, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.4)
    return np.array((np.cos(turn) * np.cos(height), np.sin(height), np.sin(turn) * np.cos(height))), rng.uniform(
        0.3, 0.7
    )
