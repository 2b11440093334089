"""Figures of a scene against errors that were put in by hand."""

import numpy as np
import pytest
import torch

from mesh_perception.body import load_body, skin
from mesh_perception.body.skinning import rest_joints
from mesh_perception.evaluation.synthetic.measure import Shot, inside_image, match_people, measure
from mesh_perception.evaluation.synthetic.pictures import true_people
from mesh_perception.evaluation.synthetic.summary import Summary
from mesh_perception.geometry.camera import Camera
from mesh_perception.joints import SMPL_MIRROR
from mesh_perception.synthetic.labels import Labels
from mesh_perception.synthetic.scene import Scene

CAMERA = Camera.from_fov(640, 480, 60)
PLACES = torch.tensor([[-0.8, 0.2, 3.0], [0.7, 0.1, 4.0], [0.9, 0.2, 4.8]])


@pytest.fixture(scope='module')
def body():
    return load_body('open')


@pytest.fixture
def shot(body):
    """Three people facing the camera in their rest pose."""
    count = len(PLACES)
    rotations = torch.eye(3).repeat(count, 24, 1, 1)
    rotations[:, 0] = torch.diag(torch.tensor([1.0, -1, -1]))
    betas = torch.zeros(count, body.num_betas)
    translation = PLACES - rest_joints(body, betas)[:, 0]
    meshes = skin(body, rotations, betas, translation)
    to_camera = torch.eye(4)
    groups, touching = torch.tensor([0, 1, 1]), torch.zeros(3, 3, dtype=torch.bool)
    scene = Scene(CAMERA, rotations, betas, translation, *meshes_of(meshes), groups, touching, to_camera, 0)
    pixels = CAMERA.project(scene.joints)
    boxes = torch.cat((pixels.amin(1), pixels.amax(1)), 1)
    shares = torch.tensor([1.0, 0.9, 0.4])
    seen = torch.ones(count, 24, dtype=torch.bool)
    twists = torch.zeros(count, 24, 2)
    labels = Labels(
        boxes,
        boxes,
        pixels,
        scene.joints,
        seen,
        shares,
        0 * shares,
        1 - shares,
        twists,
        scene.joints[:, 0].norm(dim=-1),
    )
    return Shot('0000', scene, np.zeros((480, 640, 3), np.uint8), labels)


def meshes_of(meshes):
    return meshes.vertices, meshes.joints


def measured(shot, people, vertices=None):
    vertices = shot.scene.vertices[: len(people)] if vertices is None else vertices
    return measure(shot, people, vertices, match_people(shot, people.joints_2d))


def moved(shot, offset):
    """The truth as a prediction, with everybody elsewhere."""
    people, vertices = true_people(shot), shot.scene.vertices + offset[:, None]
    people.joints = people.joints + offset[:, None]
    people.joints_2d = CAMERA.project(people.joints)
    return people, vertices


def test_the_truth_has_no_error(shot):
    result = measured(shot, true_people(shot))
    assert result.match.tolist() == [0, 1, 2] and result.false_positives == 0
    for row in result.rows:
        for name in ('mpjpe_mm', 'pa_mpjpe_mm', 'mve_mm', 'root_error_m', 'error_2d_px', 'swapped'):
            assert row[name] == pytest.approx(0, abs=1e-3), name
        assert row['pck_3d'] == row['pck_2d'] == row['found'] == 1 and row['auc'] == pytest.approx(30 / 31)
    assert [row['group'] for row in result.rows] == [1, 2, 2]


def test_people_too_far_along_their_rays_have_a_depth_error_alone(shot):
    roots = shot.scene.joints[:, 0]
    people, vertices = moved(shot, 0.1 * roots)
    for row, distance in zip(measured(shot, people, vertices).rows, roots.norm(dim=-1).tolist(), strict=True):
        assert row['mpjpe_mm'] == pytest.approx(0, abs=1e-3) and row['mve_mm'] == pytest.approx(0, abs=1e-3)
        assert row['depth_error_m'] == pytest.approx(0.1 * distance, rel=1e-4)
        assert row['depth_error_percent'] == pytest.approx(10, rel=1e-4)
        assert row['across_error_m'] == pytest.approx(0, abs=1e-5)


def test_people_beside_their_rays_have_an_error_across_alone(shot):
    across = torch.nn.functional.normalize(
        torch.linalg.cross(shot.scene.joints[:, 0], torch.tensor([0.0, 1, 0]).expand(3, 3))
    )
    for row in measured(shot, *moved(shot, 0.05 * across)).rows:
        assert row['depth_error_m'] == pytest.approx(0, abs=1e-5)
        assert row['across_error_m'] == pytest.approx(0.05, rel=1e-4) == row['root_error_m']


def test_joints_that_are_off_count_by_their_share(shot):
    people = true_people(shot)
    people.joints = people.joints.clone()
    people.joints[0, 20] += torch.tensor([0.0, 0.12, 0.16])  # 200 mm
    people.joints[0, 21] += torch.tensor([0.1, 0.0, 0.0])
    row = measured(shot, people).rows[0]
    assert row['mpjpe_mm'] == pytest.approx(300 / 24, rel=1e-4) and row['pck_3d'] == pytest.approx(23 / 24)
    assert 0 < row['pa_mpjpe_mm'] < 50 and row['mve_mm'] == pytest.approx(0, abs=1e-3)
    errors = measured(shot, people).joint_errors[0]
    assert errors[20] == pytest.approx(200, rel=1e-4) and errors[21] == pytest.approx(100, rel=1e-4)


def test_left_and_right_exchanged_is_seen(shot):
    people = true_people(shot)
    people.joints = people.joints[:, SMPL_MIRROR]
    assert [row['swapped'] for row in measured(shot, people).rows] == [1, 1, 1]


def test_who_is_not_found_is_missed_and_who_is_not_there_is_a_false_positive(shot):
    people = true_people(shot)[torch.tensor([1, 0])]
    people.joints_2d[0] += 2000  # the second person's place is empty now
    result = measured(shot, people)
    assert result.match.tolist() == [1, -1, -1] and result.false_positives == 1
    assert [row['found'] for row in result.rows] == [1, 0, 0]
    assert np.isnan(result.rows[1]['mpjpe_mm']) and result.joint_errors[1:].isnan().all()
    summary = Summary(result.rows, ['0000'], [result.false_positives])
    detection = {name: estimate.value for name, estimate in summary.detection().items()}
    assert detection == pytest.approx({'recall': 1 / 3, 'precision': 1 / 2, 'f1': 2 / 5})
    assert summary.pck_of_all().value == pytest.approx(1 / 3)


def test_nobody_found_and_nobody_there(shot):
    result = measured(shot, true_people(shot)[:0])
    assert result.match.tolist() == [-1] * 3 and result.false_positives == 0
    scene = shot.scene
    for name in ('rotations', 'betas', 'translation', 'vertices', 'joints', 'groups'):
        setattr(scene, name, getattr(scene, name)[:0])
    scene.touching, everybody = scene.touching[:0, :0], true_people(shot)
    shot.labels = shot.labels[:0]
    assert measured(shot, everybody[:0]).rows == []


def test_who_is_hardly_seen_is_neither_missed_nor_wrong_to_find(shot):
    shot.labels.visibility[2] = 0.05
    result = measured(shot, true_people(shot)[:2])
    summary = Summary(result.rows, ['0000'], [result.false_positives])
    assert summary.all.count == 2 and summary.detection()['recall'].value == 1
    result = measured(shot, true_people(shot))
    assert result.false_positives == 0 and Summary(result.rows, ['0000'], [0]).all.found == 2


def test_joints_outside_the_image_decide_nothing(shot):
    shot.labels.joints_2d[0, 4:10, 0] = -500
    people = true_people(shot)
    people.joints_2d = people.joints_2d.clone()
    people.joints_2d[0, 4:10] = 3000
    assert not inside_image(shot)[0, 4:10].any() and inside_image(shot)[0, 10:].all()
    row = measured(shot, people).rows[0]
    assert row['found'] == 1 and row['error_2d_px'] == pytest.approx(0, abs=1e-3) and row['pck_2d'] == 1
