"""The overlay's messages are field by field those of the ROS 2 release of hri_msgs (2.0), or nobody would hear them."""

import pytest

messages = pytest.importorskip('hri_msgs.msg', reason='needs hri_msgs')

HEADER = {'header': 'std_msgs/Header'}
FIELDS = {
    'IdsList': {**HEADER, 'ids': 'sequence<string>'},
    'NormalizedPointOfInterest2D': {'x': 'float', 'y': 'float', 'c': 'float'},
    'NormalizedRegionOfInterest2D': {
        **HEADER,
        **{name: 'float' for name in ('xmin', 'ymin', 'xmax', 'ymax', 'c')},
    },
    'Skeleton2D': {**HEADER, 'skeleton': 'hri_msgs/NormalizedPointOfInterest2D[18]'},
}


@pytest.mark.parametrize('name', FIELDS)
def test_fields_and_their_order(name):
    assert list(getattr(messages, name).get_fields_and_field_types().items()) == list(FIELDS[name].items())


def test_points_are_numbered_as_openpose_does():
    names = (
        'NOSE NECK RIGHT_SHOULDER RIGHT_ELBOW RIGHT_WRIST LEFT_SHOULDER LEFT_ELBOW LEFT_WRIST RIGHT_HIP RIGHT_KNEE '
        'RIGHT_ANKLE LEFT_HIP LEFT_KNEE LEFT_ANKLE LEFT_EYE RIGHT_EYE LEFT_EAR RIGHT_EAR'
    ).split()
    assert [getattr(messages.Skeleton2D, name) for name in names] == list(range(18))
