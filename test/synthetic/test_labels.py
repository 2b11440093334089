"""Labels against closed forms: scenes by hand, in which one knows what is seen."""

import dataclasses

import numpy as np
import pytest
import torch

from mesh_perception.body import load_body, rest_joints
from mesh_perception.geometry.camera import Camera
from mesh_perception.inverse_kinematics.solver import solve
from mesh_perception.joints import SMPL_JOINTS
from mesh_perception.synthetic.labels import joint_depths, label
from mesh_perception.synthetic.rendering import SceneRenderer
from mesh_perception.visualization.renderer import RendererUnavailable

from .people import CAMERA, scene_of

JOINT = {name: i for i, name in enumerate(SMPL_JOINTS)}


@pytest.fixture(scope='module')
def body():
    return load_body('open')


@pytest.fixture(scope='module', autouse=True)
def renderer(body):
    try:
        with SceneRenderer(body, occluders=0) as renderer:
            yield renderer
    except RendererUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def look(body, renderer):
    """look(places, ...): scene, picture and labels without any thing in front."""

    def look(places, clear=True, **options):
        scene = scene_of(body, places, **options)
        picture = renderer.render(scene)
        return scene, picture, label(scene, picture, body)

    return look


def test_boxes_are_the_bounds_of_all_projected_vertices(look):
    scene, _, labels = look([[0.3, 0, 3], [-3, 0.2, 2.5]])
    points = scene.vertices.double().numpy() @ CAMERA.k.T
    pixels = points[..., :2] / points[..., 2:]
    np.testing.assert_allclose(labels.boxes, np.concatenate([pixels.min(1), pixels.max(1)], 1), atol=1e-3)
    assert labels.boxes[1, 0] < 0  # not clipped


def test_somebody_alone_is_seen_wholly(look):
    _, picture, labels = look([[0, 0, 3]])
    assert labels.visibility.item() == 1
    assert labels.truncation.item() == labels.overlap.item() == 0
    assert labels.joint_visible.all()
    assert (labels.visible_boxes - labels.boxes).abs().max() < 1.01
    rows, columns = (picture.person == 0).nonzero()
    assert labels.visible_boxes[0].tolist() == [
        columns.min() - 0.5,
        rows.min() - 0.5,
        columns.max() + 0.5,
        rows.max() + 0.5,
    ]


@pytest.mark.parametrize('side', [-1, 1])
def test_half_of_somebody_on_the_border_is_outside(body, look, side):
    border = 319.5 if side > 0 else -0.5
    camera = Camera.from_intrinsics(320, 240, 220, 220, border, 119.5)  # the T-pose's plane of symmetry on the border
    _, _, labels = look([[0, 0, 3]], camera=camera)
    assert labels.truncation.item() == pytest.approx(0.5, abs=0.005)
    assert labels.visibility.item() == pytest.approx(0.5, abs=0.005)
    near, far = ('right', 'left') if side > 0 else ('left', 'right')
    assert labels.joint_visible[0, JOINT[f'{near}_elbow']]
    assert not labels.joint_visible[0, JOINT[f'{far}_elbow']]


@pytest.mark.parametrize('factor', [2, 1.02])  # close behind, the nearest surface is within the body's thickness
def test_somebody_exactly_behind_another_is_covered(body, renderer, factor):
    scene = scene_of(body, [[0, 0, 2.5]])
    # As much larger as farther away: the same pixels.
    larger = {name: torch.cat([getattr(scene, name) * factor, getattr(scene, name)]) for name in ('vertices', 'joints')}
    both = {
        name: getattr(scene, name).repeat(2, *[1] * (getattr(scene, name).ndim - 1)) for name in ('rotations', 'betas')
    }
    scene = dataclasses.replace(scene, **larger, **both)
    picture = renderer.render(scene)
    labels = label(scene, picture, body)
    assert labels.visibility.tolist() == [0, 1]
    assert labels.overlap.tolist() == [1, 0]
    assert labels.visible_boxes[0].isnan().all()
    assert not labels.joint_visible[0].any()
    assert labels.joint_visible[1].all()
    np.testing.assert_allclose(labels.boxes[0], labels.boxes[1], atol=1e-3)
    assert labels.distances[0] == pytest.approx(factor * labels.distances[1])


def test_shares_of_a_silhouette_add_up(look):
    _, picture, labels = look([[0.2, 0, 2.5], [-0.1, 0, 4], [1.4, 0, 2], [9, 0, 3]])
    total = labels.visibility + labels.truncation + labels.overlap
    torch.testing.assert_close(total, torch.ones(4))  # nothing but people hides people here
    assert labels.truncation[3] == 1
    assert 0 < labels.overlap[1] < 1
    assert labels.overlap[0] == 0  # who is nearest is not covered
    assert np.isfinite(picture.depth[picture.person >= 0]).all()


def test_shares_agree_with_a_picture_large_enough_for_everybody(body, renderer):
    places = [[0.2, 0, 2.5], [-0.2, 0, 3.5], [-1.5, 0, 2.2]]
    scene = scene_of(body, places)
    labels = label(scene, renderer.render(scene), body)
    pad = 300
    wide = Camera.from_intrinsics(320 + 2 * pad, 240 + 2 * pad, 220, 220, 159.5 + pad, 119.5 + pad)
    for i, place in enumerate(places):
        alone = renderer.render(scene_of(body, [place], camera=wide)).person == 0
        inside = alone[pad:-pad, pad:-pad]
        assert labels.truncation[i] == pytest.approx(1 - inside.sum() / alone.sum(), abs=2e-3)


def test_left_is_left(look):
    poses = torch.zeros(1, 24, 3)
    poses[0, JOINT['left_shoulder'], 2] = 1.2  # about z, forward: the left arm goes up
    _, picture, labels = look([[0, 0.2, 3.5]], poses=poses)
    left, right = labels.joints_2d[0, JOINT['left_wrist']], labels.joints_2d[0, JOINT['right_wrist']]
    assert left[0] > right[0]  # facing us
    assert left[1] < labels.joints_2d[0, JOINT['head'], 1] < right[1]
    column, row = left.round().int().tolist()
    assert picture.person[row, column] == 0
    assert picture.person[row, 319 - column] == -1


def test_the_body_hides_its_own_far_side(look):
    _, _, labels = look([[0, 0, 3]], turns=[-np.pi / 2])  # its left side towards us
    for part in ('hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist'):
        assert not labels.joint_visible[0, JOINT[f'right_{part}']], part
    for part in ('hip', 'knee', 'ankle', 'foot'):
        assert labels.joint_visible[0, JOINT[f'left_{part}']], part


def test_a_joint_is_hidden_by_what_is_farther_in_front_than_the_body_is_thick(body, look):
    depths = joint_depths(body)
    assert ((depths > 0.03) & (depths < 0.23)).all()
    for thin, thick in (('wrist', 'shoulder'), ('knee', 'hip'), ('elbow', 'hip')):
        assert depths[JOINT[f'left_{thin}']] < depths[JOINT[f'left_{thick}']]
    torch.testing.assert_close(depths[[1, 4, 16, 18, 20]], depths[[2, 5, 17, 19, 21]], atol=0.01, rtol=0)


def test_reference_joints_are_the_regressor_applied_to_the_vertices(body, look):
    poses = 0.4 * torch.randn(2, 24, 3, generator=torch.Generator().manual_seed(1))
    scene, _, labels = look([[0, 0, 3], [1, 0, 4]], poses=poses)
    expected = np.einsum('jv,nvc->njc', body.regressor.double().numpy(), scene.vertices.double().numpy())
    np.testing.assert_allclose(labels.reference_joints, expected, atol=1e-5)


def test_inverse_kinematics_with_the_true_twists_gives_the_true_pose(body, look):
    poses = 0.4 * torch.randn(2, 24, 3, generator=torch.Generator().manual_seed(1))
    scene, _, labels = look([[0, 0, 3], [1, 0, 4]], poses=poses)
    solved = solve(rest_joints(body, scene.betas), scene.joints, labels.twists, scene.rotations)
    inner = [j for j in range(24) if j not in (0, 9)]  # several bones meet in these two
    torch.testing.assert_close(solved[:, inner], scene.rotations[:, inner], atol=2e-3, rtol=0)


def test_nobody_gives_empty_labels(look):
    _, picture, labels = look([])
    assert len(labels) == 0
    assert labels.boxes.shape == labels.visible_boxes.shape == (0, 4)
    assert labels.joint_visible.shape == (0, 24)
    assert (picture.person == -1).all()
