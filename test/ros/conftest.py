"""People and messages with plausible values for the conversions' tests; what tests of live nodes need."""

import sys
from pathlib import Path

import pytest
import torch

from mesh_perception.geometry.rotations import axis_angle_to_matrix
from mesh_perception.joints import SMPL_LEVELS, SMPL_PARENTS
from mesh_perception.ros.cdr import CdrWriter
from mesh_perception.types import People


@pytest.fixture
def make_people():
    """make_people(count): People posed by true forward kinematics, so that bones keep their lengths."""

    def make(count, seed=0):
        generator = torch.Generator().manual_seed(seed)

        def random(*shape):
            return torch.randn(count, *shape, generator=generator)

        rest = 0.2 * torch.randn(24, 3, generator=torch.Generator().manual_seed(99))
        rotations = axis_angle_to_matrix(random(24, 3))
        translation = random(3) + torch.tensor([0.0, 0.0, 4.0])
        turned, joints = rotations.clone(), rest.expand(count, 24, 3).clone() + translation[:, None]
        for level in SMPL_LEVELS[1:]:
            for joint in level:
                parent = SMPL_PARENTS[joint]
                turned[:, joint] = turned[:, parent] @ rotations[:, joint]
                joints[:, joint] = joints[:, parent] + turned[:, parent] @ (rest[joint] - rest[parent])
        return People(
            track_ids=torch.arange(count) * 3 + 1,
            states=torch.arange(count, dtype=torch.uint8) % 3,
            scores=random().sigmoid(),
            boxes=100 * random(4),
            rotations=rotations,
            betas=random(10),
            translation=translation,
            joints=joints,
            joints_2d=100 * random(24, 2),
            joint_confidence=random(24).sigmoid(),
            joint_sigma=torch.full((count, 24), float('nan')),
            velocity=random(3),
        )

    return make


@pytest.fixture
def assert_same_bytes(monkeypatch):
    """assert_same_bytes(ours, rclpys): equal except for padding, which Fast CDR leaves as it was in memory."""
    padding = []
    original = CdrWriter._align

    def align(writer, size):
        if writer._size == 0:
            padding.clear()
        start = 4 + writer._size
        original(writer, size)
        padding.extend(range(start, 4 + writer._size))

    monkeypatch.setattr(CdrWriter, '_align', align)

    def compare(ours, rclpys):
        rclpys = bytearray(rclpys)
        assert len(ours) == len(rclpys)
        for index in padding:
            rclpys[index] = 0
        assert ours == bytes(rclpys)

    return compare


@pytest.fixture
def header():
    from builtin_interfaces.msg import Time  # here, so that machines without ROS can skip the tests
    from std_msgs.msg import Header

    return Header(stamp=Time(sec=1700000000, nanosec=987654321), frame_id='camera_optical_frame')


@pytest.fixture(scope='session')
def scene():
    """See live.small_scene."""
    sys.path.insert(0, str(Path(__file__).parent))
    from live import small_scene

    from mesh_perception.weights.store import WeightsError

    try:
        return small_scene()
    except WeightsError as error:
        pytest.skip(f'no footage: {error}')


@pytest.fixture(scope='module')
def environment():
    """A domain of our own on this host, for both sides."""
    sys.path.insert(0, str(Path(__file__).parent))
    from live import own_environment

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        yield own_environment()


@pytest.fixture(scope='module')
def camera(environment, scene):
    """The other side of a live node."""
    from live import Camera

    camera = Camera(environment, scene)
    yield camera
    camera.close()
