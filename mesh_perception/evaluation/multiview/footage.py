"""The benchmark's two scenes: four calibrated, synchronised cameras around a treadmill, 100 frames at 60 Hz.

Pose2Sim's demonstrations (BSD-3). Both scenes show the same performance of one man; in `two_person` a woman was
composited into all four videos. Behind them stands a third person, seen by cam01 and cam02 alone: nobody's reference.
"""

from mesh_perception.calibration import load_calibration
from mesh_perception.geometry.camera import Camera
from mesh_perception.media import MediaError, frame_count, read_frames
from mesh_perception.weights.store import path_of

SCENES = ('two_person', 'single_person')
PEOPLE = {'two_person': ('man', 'woman'), 'single_person': ('man',)}
RENDERED = 'woman'  # not filmed: see `rendered`
CAMERAS = ('cam01', 'cam02', 'cam03', 'cam04')
RATE = 60.0  # frames a second
_CLIPS = {'two_person': 'multi', 'single_person': 'single'}
# Two of the single-person videos lack the eight columns at the right that the calibration and all others have.
_WIDTHS = {('single_person', 'cam01'): 1080, ('single_person', 'cam02'): 1080}


def cameras(scene):
    """{name: (Camera, pose (4, 4) float64: its optical frame to the room's, z up, metres)} of a scene.

    Raises MediaError for another scene, WeightsError where the footage was not fetched.
    """
    calibration = load_calibration(path_of(f'pose2sim/{_clip(scene)}/Calib.qca.txt'))
    result = {}
    for name in CAMERAS:
        camera, pose = calibration[name]
        width = _WIDTHS.get((scene, name), camera.width)
        result[name] = Camera(width, camera.height, camera.k, camera.distortion, camera.model), pose
    return result


def rendered(camera):
    """The camera that drew the woman: her renderer left the principal point in the middle of the image.

    The calibration puts it up to 30 px (cam03) beside; with that, her joints in cam03 lie
    31 px beside where the other views see her, always the same way; without it, 6 px.
    """
    k = camera.k.copy()
    k[:2, 2] = (camera.width - 1) / 2, (camera.height - 1) / 2
    return Camera(camera.width, camera.height, k, camera.distortion, camera.model)


def frames(scene, camera):
    """Yields the RGB frames (1920, W, 3) uint8 of one camera. Raises as `cameras`."""
    return (frame.image for frame in read_frames(_video(scene, camera)))


def length(scene):
    """How many frames a scene has."""
    return min(frame_count(_video(scene, camera)) for camera in CAMERAS)


def _video(scene, camera):
    clip = _clip(scene)
    if camera not in CAMERAS:
        raise MediaError(f'unknown camera {camera!r}: expected one of {", ".join(CAMERAS)}')
    return path_of(f'pose2sim/{clip}/{camera}.mp4')


def _clip(scene):
    if scene not in SCENES:
        raise MediaError(f'unknown scene {scene!r}: expected one of {", ".join(SCENES)}')
    return _CLIPS[scene]
