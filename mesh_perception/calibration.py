"""Calibrations of several cameras in one room, as Qualisys writes them."""

from xml.etree import ElementTree

import numpy as np

from mesh_perception.geometry.camera import Camera
from mesh_perception.media import MediaError

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
