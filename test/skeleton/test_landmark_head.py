import torch

from mesh_perception.geometry.rotations import axis_angle_to_matrix
from mesh_perception.skeleton.blazepose import Landmarks
from mesh_perception.skeleton.landmark_head import INPUTS, LandmarkHead, from_crop_plane, head_inputs, on_crop_plane
from mesh_perception.types import Regions


def landmarks_of(n, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.rand(n, *shape, generator=generator)

    turns = axis_angle_to_matrix(0.3 * draw(3) - 0.15)
    regions = Regions(draw(2), draw(), draw())
    return Landmarks(200 * draw(33, 2), draw(33, 3), turns, draw(33), draw(33), draw(), 6 * draw(1152), regions)


def test_the_planes_of_camera_and_crop_see_the_same_points_by_the_crop_s_rotation():
    points = torch.randn(5, 9, 3, generator=torch.Generator().manual_seed(0)) * 0.3 + torch.tensor([0, 0, 3.0])
    turns = axis_angle_to_matrix(torch.randn(5, 3, generator=torch.Generator().manual_seed(1)) * 0.2)
    rays, turned = points[..., :2] / points[..., 2:], points @ turns.mT
    plane = on_crop_plane(rays, turns)
    torch.testing.assert_close(plane, turned[..., :2] / turned[..., 2:], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(from_crop_plane(plane, turns), rays, rtol=1e-4, atol=1e-5)


def test_it_starts_by_changing_nothing_and_leaves_the_pelvis_at_the_origin():
    torch.manual_seed(0)
    head, (inputs, spread) = LandmarkHead(32).eval(), head_inputs(landmarks_of(4), torch.rand(4, 33, 2))
    start = head(inputs, spread)
    assert (start.relative == 0).all() and (start.plane == 0).all() and (start.log_depth == 0).all()
    assert (start.sigma[:, 1:] > 0).all() and (start.sigma[:, 0] == 0).all() and start.sigma.shape == (4, 24)
    torch.nn.init.normal_(head.last.weight)
    learnt = head(inputs, spread)
    assert (learnt.relative[:, 0] == 0).all() and (learnt.relative[:, 1:] != 0).all()


def test_inputs_do_not_depend_on_where_in_the_image_somebody_stands_nor_on_their_size_in_it():
    landmarks, plane = landmarks_of(3), 0.2 * torch.rand(3, 33, 2)
    landmarks.rotations = torch.eye(3).expand(3, 3, 3)
    inputs, spread = head_inputs(landmarks, plane)
    assert inputs.shape == (3, INPUTS)
    larger, double = head_inputs(landmarks, 2 * plane)
    shape = slice(99, 99 + 66)
    torch.testing.assert_close(double, 2 * spread)
    torch.testing.assert_close(larger[:, shape], inputs[:, shape])
    moved, _ = head_inputs(landmarks, plane + 0.1)
    torch.testing.assert_close(moved[:, shape], inputs[:, shape], rtol=1e-3, atol=1e-4)


def test_nobody_is_a_normal_case():
    head = LandmarkHead(32).eval()
    assert head(*head_inputs(landmarks_of(0), torch.zeros(0, 33, 2))).relative.shape == (0, 24, 3)
