"""Draws docs/frames.png: the frames of the node's output about real people (needs `mesh-perception weights fetch`).

python tools/draw_frames.py [OUT.png]
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patheffects import withStroke

from mesh_perception.configuration import load_config
from mesh_perception.joints import SMPL_JOINTS
from mesh_perception.media import read_frames
from mesh_perception.pipeline import MeshPipeline
from mesh_perception.ros.demo.footage import camera_pose, demo_footage
from mesh_perception.ros.human_kinematics import LINKS, link_frames
from mesh_perception.ros.transforms import global_rotations
from mesh_perception.visualization.mesh import Mesh
from mesh_perception.visualization.palette import track_colors
from mesh_perception.visualization.renderer import Renderer

CAMERA, FRAME = 'cam01', 12
SIZE = (900, 760)  # pixels of each half
AXES = (('x', '#e02020'), ('y', '#109010'), ('z', '#2050f0'))
NAMES = ('head', 'left_shoulder', 'left_elbow', 'left_wrist', 'left_knee', 'left_ankle', 'right_elbow')
ID = 'xkqzt'


def look_at(eye, target, up=(0.0, 0.0, 1.0)):
    """The pose (4, 4) in which a camera at `eye` sees `target` in its middle: room to optical frame."""
    z = np.subtract(target, eye) / np.linalg.norm(np.subtract(target, eye))
    x = np.cross(z, up) / np.linalg.norm(np.cross(z, up))
    rotation = np.stack([x, np.cross(z, x), z])
    result = np.eye(4)
    result[:3, :3], result[:3, 3] = rotation, -rotation @ eye
    return result


def pose(rotation, origin):
    """A frame (4, 4) from its axes, the columns of a rotation (3, 3), and its origin (3,)."""
    result = np.eye(4)
    result[:3, :3], result[:3, 3] = rotation, origin
    return result


class View:
    """One half of the picture: meshes drawn by the project's renderer, frames as arrows over them."""

    def __init__(self, axes, eye, target, fov):
        self.axes = axes
        self.from_room = look_at(eye, target)
        f = SIZE[0] / 2 / np.tan(np.radians(fov) / 2)
        self.k = np.array([[f, 0, SIZE[0] / 2], [0, f, SIZE[1] / 2], [0, 0, 1]])
        axes.set(xlim=(0, SIZE[0]), ylim=(SIZE[1], 0), xticks=[], yticks=[])
        for side in axes.spines.values():
            side.set_visible(False)

    def project(self, points):
        """(..., 3) m in the room -> (..., 2) px."""
        seen = np.asarray(points) @ self.from_room[:3, :3].T + self.from_room[:3, 3]
        pixels = seen @ self.k.T
        return pixels[..., :2] / pixels[..., 2:]

    def meshes(self, vertices, faces, colors, opacity):
        """People (N, V, 3) in the room."""
        seen = vertices @ self.from_room[:3, :3].T + self.from_room[:3, 3]
        background = np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)
        with Renderer(*SIZE) as renderer:
            mesh = Mesh(seen.astype(np.float32), faces, colors, None)
            drawn = renderer.render_scene([mesh], self.k, background, opacity=opacity, buffers=True)
        rgb = drawn.rgb // 8 * 8 + 7  # few colours: a small file
        self.axes.imshow(np.dstack([rgb, np.where(drawn.person < 0, 0, 255).astype(np.uint8)]), zorder=1)

    def line(self, points, **style):
        """A line through points in the room."""
        self.axes.plot(*self.project(points).T, **{'color': '#808080', 'linewidth': 1, 'zorder': 0.5, **style})

    def frame(self, frame, length, width, letters=True):
        """A frame's three axes: x red, y green, z blue."""
        origin = self.project(frame[:3, 3])
        for axis, (letter, color) in enumerate(AXES):
            tip = self.project(frame[:3, 3] + length * frame[:3, axis])
            self.axes.plot(*np.stack([origin, tip]).T, color=color, linewidth=width, solid_capstyle='round', zorder=3)
            if letters:
                self.text(frame[:3, 3] + 1.13 * length * frame[:3, axis], letter, color=color)

    def text(self, point, words, beside=(0, 0), **style):
        """Words beside (pixels right and down) a point in the room, readable over anything."""
        style = {'ha': 'center', 'va': 'center', 'fontsize': 12, 'zorder': 4, **style}
        self.axes.text(
            *self.project(point) + beside, words, path_effects=[withStroke(linewidth=3, foreground='white')], **style
        )


def real_people():
    """(People, vertices (N, V, 3), faces, Camera) of one image of the demo's footage, the first who was found."""
    path, camera = demo_footage(CAMERA)
    pipeline = MeshPipeline(load_config('embedded'))
    for number, frame in enumerate(read_frames(path)):
        people = pipeline(frame.image, camera, number / 60)
        if number == FRAME:
            break
    return people[:1], pipeline.meshes(people)[:1], pipeline.body.faces.cpu().numpy(), camera


def room_frames(people):
    """(joints' frames (N, 24, 4, 4), bodies' frames (N, 4, 4)) in the room."""
    room = camera_pose(CAMERA)
    turned = global_rotations(people.rotations.double()).numpy()
    joints = np.array(
        [[room @ pose(turned[n, j], people.joints[n, j].numpy()) for j in range(24)] for n in range(len(people))]
    )
    rotations, origins = link_frames(people)
    body = LINKS.index('body')
    return joints, np.array(
        [room @ pose(r[body], o[body]) for r, o in zip(rotations.numpy(), origins.numpy(), strict=True)]
    )


def scene(axes, people, vertices, faces, camera):
    """The camera, the people and the fixed frame, seen from beside."""
    room = camera_pose(CAMERA)
    _, bodies = room_frames(people)
    view = View(axes, eye=(-3.1, -4.8, 2.2), target=(0.0, -0.95, 0.95), fov=50)
    for step in np.arange(-2.5, 2.51, 0.5):
        view.line([(step, -2.5, 0), (step, 2.5, 0)], color='#d8d8d8')
        view.line([(-2.5, step, 0), (2.5, step, 0)], color='#d8d8d8')
    view.meshes(vertices @ room[:3, :3].T + room[:3, 3], faces, track_colors(people.track_ids), 0.8)
    corners = [(0, 0), (camera.width, 0), (camera.width, camera.height), (0, camera.height)]
    rays = np.array([np.linalg.solve(camera.k, (*corner, 1)) for corner in corners]) * 0.7
    rays = rays @ room[:3, :3].T + room[:3, 3]
    view.line([*rays, rays[0]], zorder=2)
    for ray in rays:
        view.line([room[:3, 3], ray], zorder=2)
    view.frame(room, 0.45, 4)
    view.text(room[:3, 3], 'camera_optical_frame\nz forward, y down', (0, -34), va='bottom')
    view.frame(np.eye(4), 0.5, 4)
    view.text((0, 0, 0), 'target_frame (here the room: z up)', (0, 26))
    view.frame(bodies[0], 0.4, 4, letters=False)
    view.text(bodies[0, :3, 3], f'body_{ID}', (0, 20), fontsize=11)


def person(axes, people, vertices, faces):
    """One person with the frame of every joint."""
    room = camera_pose(CAMERA)
    joints, bodies = room_frames(people)
    middle = joints[0, :, :3, 3].mean(0)
    view = View(
        axes, eye=middle + 2.6 * bodies[0, :3, 0] - 1.3 * bodies[0, :3, 1] + (0, 0, 0.35), target=middle, fov=40
    )
    view.meshes(vertices[:1] @ room[:3, :3].T + room[:3, 3], faces, track_colors(people.track_ids[:1]), 0.45)
    for name, frame in zip(SMPL_JOINTS, joints[0], strict=True):
        view.frame(frame, 0.085, 2.4, letters=False)
        if name in NAMES:
            view.text(frame[:3, 3], f'smpl_{ID}_{name}', (8, 14), ha='left', fontsize=9)
    view.frame(bodies[0], 0.33, 5)
    view.text(bodies[0, :3, 3], f'body_{ID}', (-14, 4), ha='right')


def main(path):
    """Draws both halves."""
    people, vertices, faces, camera = real_people()
    figure, halves = plt.subplots(1, 2, figsize=(2 * SIZE[0] / 100, SIZE[1] / 100), dpi=90)
    figure.subplots_adjust(0, 0, 1, 1, 0, 0)
    scene(halves[0], people, vertices, faces, camera)
    person(halves[1], people, vertices, faces)
    figure.savefig(path)


if __name__ == '__main__':
    main(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[1] / 'docs' / 'frames.png')
