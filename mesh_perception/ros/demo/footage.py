"""The demonstration's footage and its calibration, and any other video with a calibration file as a camera."""

from xml.etree import ElementTree

from mesh_perception.geometry.camera import Camera
from mesh_perception.media import MediaError
from mesh_perception.weights.store import path_of

CAMERAS = ('cam01', 'cam02', 'cam03', 'cam04')
_SUBPIXELS = 64  # Qualisys writes pixels and distortion coefficients in sixty-fourths


def load_calibration(path):
    """{camera name: Camera} from a Qualisys .qca.txt file, as Pose2Sim reads it. Raises MediaError."""
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
    return element.get('serial'), Camera.from_intrinsics(
        int(view.get('right')) + 1,
        int(view.get('bottom')) + 1,
        number['focalLengthU'],
        number['focalLengthV'],
        number['centerPointU'],
        number['centerPointV'],
        distortion,
        'plumb_bob',
    )


def demo_footage(camera):
    """(path of the video, Camera) of one of CAMERAS. Raises MediaError, WeightsError where it was not fetched."""
    if camera not in CAMERAS:
        raise MediaError(f'unknown camera {camera!r}: expected one of {", ".join(CAMERAS)}, or all')
    calibration = load_calibration(path_of('pose2sim/multi/Calib.qca.txt'))
    return path_of(f'pose2sim/multi/{camera}.mp4'), calibration[camera]
