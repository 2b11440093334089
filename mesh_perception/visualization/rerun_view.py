"""People, camera and overlay in rerun (https://rerun.io), a viewer for machines without RViz."""

import os
import sys
from pathlib import Path

import numpy as np
import rerun as rr
import rerun.blueprint as rrb

PEOPLE, CAMERA, LENS, OVERLAY = 'people', 'camera', 'camera/lens', 'camera/lens/overlay'
QUALITY = 85  # of the overlay's JPEG: raw images would fill the viewer's memory in seconds
OPACITY = 120  # of 255; the skeleton is inside
BONE_RADIUS = 0.015  # m
IMAGE_DISTANCE = 0.7  # m from the camera to its picture in the 3D view
TIMELINE = 'stamp'
# Where the 3D view looks from and to at first, m in the camera's frame: past the camera, from behind and above it.
EYE, TARGET = np.array([1.1, -0.7, -1.2]), np.array([-0.1, 0.2, 4.0])


class ViewError(ValueError):
    """The viewer cannot be reached; one line for the user."""


def open_recording(save='', connect=''):
    """A rerun.RecordingStream into a file, to a viewer that runs, or to one that it starts. Raises ViewError."""
    recording = rr.RecordingStream('mesh_perception')
    try:
        if save:
            recording.save(save)
        elif connect:
            recording.connect_grpc(connect)
        elif sys.platform == 'linux' and not (os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')):
            raise ViewError(
                'no display to open a viewer on; save:=FILE.rrd writes a file, connect:=URL shows it elsewhere'
            )
        else:
            # rerun looks for its viewer there alone, and an environment's programs need not be on it.
            os.environ['PATH'] = f'{Path(sys.executable).parent}{os.pathsep}{os.environ.get("PATH", "")}'
            recording.spawn()
    except (RuntimeError, ValueError, OSError) as error:
        raise ViewError(f'{save or connect or "viewer"}: {" ".join(str(error).split())}') from None
    return recording


def weld(triangles):
    """Separate triangles (F * 3, 3) as a mesh: vertices (V, 3), faces (F, 3), unit normals (V, 3), all numpy.

    Corners at the same place become one vertex, whose normal is the mean of its faces', weighted by area.
    """
    vertices, indices = np.unique(np.asarray(triangles, np.float32), axis=0, return_inverse=True)
    faces = indices.reshape(-1, 3)
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    across, normals = np.cross(b - a, c - a), np.zeros_like(vertices)
    for i in range(3):
        np.add.at(normals, faces[:, i], across)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return vertices, faces, normals / np.where(lengths > 0, lengths, 1)


class RerunView:
    """Writes into one rerun recording, on the timeline `stamp`; 3D is in the camera's optical frame or a fixed one.

    A `pose` is None or (rotation (3, 3), translation (3,)): where the camera, or the frame that people are given in, is
    in the fixed frame from now on.
    """

    def __init__(self, recording, fixed=False):
        """recording: a rerun.RecordingStream that is saved, connected or shown already. fixed: there is a fixed frame,
        and its z is up."""
        self._recording = recording
        self._camera, self._shown, self._framed = None, set(), False
        self._log('/', rr.ViewCoordinates.RIGHT_HAND_Z_UP if fixed else rr.ViewCoordinates.RDF, static=True)

    def camera(self, k, width, height):
        """The pinhole camera: K (3, 3) and the image's size in pixels."""
        camera = (np.asarray(k).tobytes(), width, height)
        if camera != self._camera:
            self._camera = camera
            pinhole = rr.Pinhole(
                image_from_camera=np.asarray(k).reshape(3, 3),
                resolution=(width, height),
                image_plane_distance=IMAGE_DISTANCE,
            )
            self._log(LENS, pinhole, static=True)

    def overlay(self, stamp, image, pose=None):
        """The picture of the camera's 2D view and of its image plane: (H, W, 3) uint8 RGB; stamp: s."""
        self._place(CAMERA, stamp, pose)
        self._log(OVERLAY, rr.Image(np.ascontiguousarray(image)).compress(jpeg_quality=QUALITY))

    def people(self, stamp, people, pose=None):
        """Everybody at one stamp (s): {name: (color, triangles (F * 3, 3), bones (B, 2, 3), the name's place (3,))}, m.

        Who was there before and is not any more disappears.
        """
        self._place(PEOPLE, stamp, pose)
        for name in self._shown - set(people):
            self._log(_path(name), rr.Clear(recursive=True))
        self._shown = set(people)
        for name, (color, triangles, bones, place) in people.items():
            vertices, faces, normals = weld(triangles)
            mesh = rr.Mesh3D(
                vertex_positions=vertices,
                triangle_indices=faces,
                vertex_normals=normals,
                albedo_factor=[*color, OPACITY],
            )
            self._log(f'{_path(name)}/mesh', mesh)
            self._log(f'{_path(name)}/skeleton', rr.LineStrips3D(bones, colors=[color], radii=BONE_RADIUS))
            self._log(f'{_path(name)}/name', rr.Points3D([place], labels=[name], colors=[color], radii=0.01))

    def _place(self, path, stamp, pose):
        if not self._framed:
            self._framed = True
            self._recording.send_blueprint(layout(*pose or (np.eye(3), np.zeros(3))))
        self._recording.set_time(TIMELINE, timestamp=stamp)
        if pose is not None:
            self._log(path, rr.Transform3D(mat3x3=pose[0], translation=pose[1]))

    def _log(self, path, what, static=False):
        self._recording.log(path, what, static=static)


def layout(rotation, translation):
    """The viewer's windows: people in 3D, seen from near the camera's place, beside the overlay."""
    eye = rrb.EyeControls3D(
        position=rotation @ EYE + translation,
        look_target=rotation @ TARGET + translation,
        eye_up=rotation @ (0.0, -1.0, 0.0),
    )
    return rrb.Blueprint(
        rrb.Horizontal(
            rrb.Spatial3DView(name='People', origin='/', contents='/**', eye_controls=eye),
            rrb.Spatial2DView(name='Overlay', origin=OVERLAY, contents=OVERLAY),
            column_shares=[2, 1],
        ),
        collapse_panels=True,
    )


def _path(name):
    return f'{PEOPLE}/{rr.escape_entity_path_part(name)}'
