import pytest
import torch

from mesh_perception.evaluation.multiview.budget import FINAL, GIVEN, LINES, budget

PLAIN, BONES, ROOT, EXACT_2D, EXACT_3D, NETWORK, RAW = (LINES[i].name for i in (1, 2, 3, 5, 6, 7, 8))
LITTLE = 2.0  # mm: pixels of keypoints are combined linearly, which perspective bends a little


def lines(pair, figure='mpjpe_mm'):
    return {row['line'].name: row[figure] for row in budget([pair])}


def noise(size, like, seed=0):
    return size * torch.randn(like.shape, generator=torch.Generator().manual_seed(seed))


def test_exact_input_leaves_nothing_but_the_definition(as_pair, walker):
    errors = lines(as_pair(walker, walker))
    assert errors[FINAL] == pytest.approx(0, abs=1e-3) and errors[GIVEN] == pytest.approx(0, abs=1e-3)
    assert all(error < LITTLE for name, error in errors.items() if name != PLAIN)
    assert 5 < errors[PLAIN] < 60


def test_a_body_that_differs_from_its_skeleton_is_inverse_kinematics(as_pair, walker):
    errors = lines(as_pair(walker, walker + noise(0.02, walker), skeleton=walker))
    assert errors[FINAL] > 20 and errors[GIVEN] < LITTLE


def test_a_body_of_the_wrong_size_is_mended_by_the_right_bones(as_pair, walker):
    pair = as_pair(walker, 1.1 * walker)  # larger, farther away, and the same in the image
    assert lines(pair)[FINAL] > 30 and lines(pair)[BONES] < LITTLE
    assert lines(pair, 'depth_error_m')[FINAL] == pytest.approx(0.4, abs=0.01)
    assert lines(pair, 'depth_error_m')[BONES] < 0.01


def test_what_smoothing_takes_away_is_seen_in_the_line_before_it(as_pair, walker):
    pair = as_pair(walker, walker, unsmoothed=walker + noise(0.02, walker))
    assert lines(pair)[RAW] > 20 and lines(pair)[FINAL] == pytest.approx(0, abs=1e-3)
    assert lines(pair, 'jitter_mm')[RAW] > 20 + lines(pair, 'jitter_mm')[FINAL]


def test_a_wrong_place_is_mended_by_the_root(as_pair, walker):
    errors = lines(as_pair(walker, walker + torch.tensor([0.02, 0, 0.3])), 'absolute_mpjpe_mm')
    assert errors[FINAL] == pytest.approx(1e3 * (0.3**2 + 0.02**2) ** 0.5, abs=0.1)
    assert errors[ROOT] == pytest.approx(0, abs=1e-3)


def test_wrong_image_points_are_mended_by_exact_2d_alone(as_pair, walker, camera):
    pixels = camera.project(walker)
    pixels = pixels + noise(20, pixels)
    rays = camera.unproject(pixels)
    drawn = torch.cat((rays * walker[..., 2:], walker[..., 2:]), -1)
    errors = lines(as_pair(walker, drawn, skeleton=drawn, relative=walker - walker[:, :1], pixels=pixels))
    assert errors[GIVEN] > 40 and errors[EXACT_3D] > 40
    assert errors[EXACT_2D] < LITTLE and errors[NETWORK] < LITTLE


def test_wrong_depths_are_mended_by_exact_3d_alone(as_pair, walker, camera):
    depth = walker[..., 2:] + noise(0.1, walker[..., 2:])
    skeleton = walker / walker[..., 2:] * depth  # on the same rays
    errors = lines(as_pair(walker, skeleton, skeleton=skeleton, pixels=camera.project(walker)))
    assert errors[GIVEN] > 50 and errors[EXACT_2D] > 50 and errors[NETWORK] > 50
    assert errors[EXACT_3D] < LITTLE


def test_joints_that_the_reference_does_not_know_break_no_line(as_reference, as_followed, camera, walker):
    from mesh_perception.evaluation.multiview.pairs import pair_up

    reference = as_reference(walker)
    reference.joints[0, :5, 3] = torch.nan
    errors = lines(pair_up(reference, as_followed(walker), camera)[0])
    assert all(error < LITTLE for name, error in errors.items() if name != PLAIN)
