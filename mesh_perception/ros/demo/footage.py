"""The demonstration's footage and its calibration."""

from mesh_perception.calibration import load_calibration
from mesh_perception.media import MediaError
from mesh_perception.weights.store import path_of

CAMERAS = ('cam01', 'cam02', 'cam03', 'cam04')


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
