"""A person in front of a camera, as the pipeline and as a reference say it, with known differences."""

from types import SimpleNamespace

import pytest
import torch

from mesh_perception.body import load_body, skin_joints
from mesh_perception.evaluation.multiview.followed import Followed
from mesh_perception.evaluation.multiview.joints import keypoints
from mesh_perception.evaluation.multiview.pairs import pair_up
from mesh_perception.geometry.camera import Camera
from mesh_perception.geometry.rotations import axis_angle_to_matrix
from mesh_perception.types import People, Skeletons

FRAMES = 12


@pytest.fixture(scope='session')
def camera():
    return Camera.from_intrinsics(1080, 1920, 1500, 1500, 540, 960, (-0.05, 0.02, 0.001, -0.001, 0.0), 'plumb_bob')


@pytest.fixture(scope='session')
def walker():
    """Kinematic joints (FRAMES, 24, 3) m of a moving body, 4 m in front of the camera and aside of its axis."""
    body, generator = load_body('open'), torch.Generator().manual_seed(0)
    turns = 0.25 * torch.randn(24, 3, generator=generator)
    swing = 0.05 * torch.randn(24, 3, generator=generator)
    time = torch.arange(FRAMES)[:, None, None] / 4
    rotations = axis_angle_to_matrix(turns + swing * time.sin())
    rotations[:, 0] = torch.diag(torch.tensor([1.0, -1.0, -1.0])) @ rotations[:, 0]
    return skin_joints(body, rotations, torch.zeros(FRAMES, body.num_betas), torch.tensor([[0.3, 0.1, 4.0]]))


@pytest.fixture(scope='session')
def as_reference():
    def make(*joints, people=('man', 'woman')):
        """A Reference of people with these 24 joints (T, 24, 3)."""
        return SimpleNamespace(
            scene='two_person',
            camera='cam03',
            people=people[: len(joints)],
            joints=torch.stack([keypoints(one) for one in joints]).double(),
            reprojection_px=torch.zeros(len(joints)),
            used_views=('cam01', 'cam02', 'cam04'),
        )

    return make


@pytest.fixture(scope='session')
def as_followed(camera):
    def make(*joints, skeleton=None, relative=None, pixels=None, unsmoothed=None):
        """Followed people with these 24 joints (T, 24, 3), under ids from 1 on; skeletons alike unless given."""
        count, people = len(joints[0]), len(joints)
        every = torch.stack(joints, 1).flatten(0, 1)
        n = len(every)
        given = every if skeleton is None else skeleton
        image = camera.project(every) if pixels is None else pixels
        return Followed(
            frames=torch.arange(count).repeat_interleave(people),
            people=People(
                track_ids=torch.arange(1, people + 1).repeat(count),
                states=torch.ones(n, dtype=torch.uint8),
                scores=torch.ones(n),
                boxes=torch.cat((image.amin(1), image.amax(1)), 1),
                rotations=torch.eye(3).expand(n, 24, 3, 3),
                betas=torch.zeros(n, 10),
                translation=every[:, 0],
                joints=every,
                joints_2d=image,
                joint_confidence=torch.ones(n, 24),
                joint_sigma=torch.full((n, 24), torch.nan),
                velocity=torch.full((n, 3), torch.nan),
            ),
            unsmoothed=every if unsmoothed is None else unsmoothed,
            skeletons=Skeletons(
                joints=given,
                relative_joints=given - given[:, :1] if relative is None else relative,
                image_joints=image,
                confidence=torch.ones(n, 24),
                features=torch.zeros(n, 0),
                hint_directions=torch.zeros(n, 24, 3),
                hint_weights=torch.zeros(n, 24),
                scores=torch.ones(n),
                distance_scale=torch.ones(n),
                joint_sigma=torch.full((n, 24), torch.nan),
            ),
        )

    return make


@pytest.fixture(scope='session')
def as_pair(camera, as_reference, as_followed):
    def make(truth, joints, **differences):
        """The Pair of one person."""
        return pair_up(as_reference(truth), as_followed(joints, **differences), camera)[0]

    return make
