"""The demonstration's footage and its calibration, and any other video with a calibration file as a camera."""

from xml.etree import ElementTree

import numpy as np

from mesh_perception.geometry.camera import Camera
from mesh_perception.media import MediaError
from mesh_perception.weights.store import path_of

CAMERAS = ('cam01', 'cam02', 'cam03', 'cam04')
_SUBPIXELS = 64  # Qualisys writes pixels and distortion coefficients in sixty-fourths


def load_calibration(path):
    """{camera name: (Camera, its pose (4, 4) in the room, m)} from a Qualisys .qca.txt file. Raises MediaError.

    The pose takes points from the camera's optical frame to the room, whose z is up.
    """
    try:
        root = ElementTree.parse(path).getroot()
        return dict(_camera(element) for element in root.iter('camera'))
    except (OSError, ElementTree.ParseError, AttributeError, TypeError) as error:
        raise MediaError(f'{path}: not a Qualisys calibration: {error}') from None


def _camera(element):
    view, inner = element.find('fov_video'), element.find('intrinsic')
    number = {key: float(value) / _SUBPIXELS for key, value in inner.attrib.items()}
    distortion = [
        number[key]
        for key in (
            'radialDistortion1',
            'radialDistortion2',
            'tangentalDistortion1',
            'tangentalDistortion2',
            'radialDistortion3',
        )
    ]
    camera = Camera.from_intrinsics(
        int(view.get('right')) + 1,
        int(view.get('bottom')) + 1,
        number['focalLengthU'],
        number['focalLengthV'],
        number['centerPointU'],
        number['centerPointV'],
        distortion,
        'plumb_bob',
    )
    place = {key: float(value) for key, value in element.find('transform').attrib.items()}
    pose = np.eye(4)
    turn = np.array([[place[f'r{row}{column}'] for column in (1, 2, 3)] for row in (1, 2, 3)])
    # Qualisys turns the room to a camera with y up that looks backwards.
    pose[:3, :3] = turn.T @ np.diag((1, -1, -1))
    pose[:3, 3] = [place[axis] / 1000 for axis in 'xyz']
    return element.get('serial'), (camera, pose)


def demo_footage(camera):
    """(path of the video, Camera) of one of CAMERAS. Raises MediaError, WeightsError where it was not fetched."""
    _check(camera)
    return path_of(f'pose2sim/multi/{camera}.mp4'), _calibration()[camera][0]


def camera_pose(camera):
    """The pose (4, 4) of one of CAMERAS: its optical frame to the room's, z up, metres. Raises as `demo_footage`."""
    _check(camera)
    return _calibration()[camera][1]


def _calibration():
    return load_calibration(path_of('pose2sim/multi/Calib.qca.txt'))


def _check(camera):
    if camera not in CAMERAS:
        raise MediaError(f'unknown camera {camera!r}: expected one of {", ".join(CAMERAS)}, or all')
