"""The whole pipeline on real footage, with real weights."""

import numpy as np
import pytest
import torch

from mesh_perception.configuration import load_config
from mesh_perception.geometry.camera import Camera
from mesh_perception.media import read_frames
from mesh_perception.pipeline import MeshPipeline, choose_device
from mesh_perception.ros.demo.footage import demo_footage
from mesh_perception.tracking import State


@pytest.fixture(scope='module')
def pipeline():
    return MeshPipeline(load_config('embedded', {'device': 'cpu'}))


@pytest.fixture(scope='module')
def footage():
    path, camera = demo_footage('cam01')
    frames = []
    for frame in read_frames(path):
        frames.append(frame)
        if len(frames) == 8:
            break
    return frames, camera


@pytest.fixture(scope='module')
def results(pipeline, footage):
    frames, camera = footage
    pipeline.reset()
    return [pipeline(frame.image, camera, frame.stamp) for frame in frames]


def actors(people):
    """The two actors: the people nearest to the camera."""
    return people[people.translation[:, 2].argsort()[:2]]


def test_the_two_actors_are_found_in_every_frame_and_keep_their_ids(results):
    ids = [set(actors(people).track_ids.tolist()) for people in results]
    assert all(len(i) == 2 and i == ids[0] for i in ids)
    assert set(results[-1].states.tolist()) == {State.CONFIRMED}


def test_people_stand_at_plausible_distances_and_are_of_human_size(results):
    for people in map(actors, results):
        assert ((people.joints[:, 0, 2] > 1.5) & (people.joints[:, 0, 2] < 6)).all()
        length = (people.joints[:, 15] - people.joints[:, 0]).norm(dim=-1)  # pelvis to head
        assert ((length > 0.4) & (length < 0.8)).all()


def test_joints_project_to_where_the_detector_sees_the_same_limbs_left_and_right_apart(pipeline, footage, results):
    frames, _ = footage
    found = pipeline.detector(torch.from_numpy(frames[0].image))
    people = actors(results[0])
    smpl, coco = [16, 17, 18, 19, 4, 5, 7, 8], [5, 6, 7, 8, 13, 14, 15, 16]
    for person in range(2):
        joints = people.joints_2d[person, smpl]
        distance = (found.keypoints[:, coco, :2] - joints).norm(dim=-1).mean(1)
        mirrored = (
            (found.keypoints[:, [c + 1 if i % 2 == 0 else c - 1 for i, c in enumerate(coco)], :2] - joints)
            .norm(dim=-1)
            .mean(1)
        )
        size = float((people.boxes[person, 2:] - people.boxes[person, :2]).norm())
        assert float(distance.min()) < 0.04 * size
        assert float(distance.min()) < float(mirrored.min())


def test_rotations_are_rotations_and_everything_is_finite(results):
    people = results[0]
    eye = people.rotations @ people.rotations.transpose(-1, -2)
    assert torch.allclose(eye, torch.eye(3).expand_as(eye), atol=1e-4)
    assert (torch.linalg.det(people.rotations) > 0.99).all()
    for name in ('joints', 'joints_2d', 'betas', 'translation', 'boxes', 'scores'):
        assert torch.isfinite(getattr(people, name)).all(), name
    assert (people.joint_sigma[:, 1:] > 0).all() and people.joint_sigma.isfinite().all()
    assert people.velocity.isnan().all()


def test_the_mesh_belongs_to_the_joints(pipeline, results):
    people = results[0]
    vertices = pipeline.meshes(people)
    assert vertices.shape == (len(people), len(pipeline.body.v_template), 3) and vertices.dtype == np.float32
    regressed = torch.einsum('jv,nvc->njc', pipeline.body.regressor, torch.from_numpy(vertices))
    assert float((regressed - people.joints).norm(dim=-1).mean()) < 0.05
    assert pipeline.meshes(people, light=True).shape[1] == len(pipeline.body.light_vertices)


def test_the_same_frame_gives_the_same_people(pipeline, footage):
    frames, camera = footage
    answers = []
    for _ in range(2):
        pipeline.reset()
        answers.append(pipeline(frames[0].image, camera, 0.0))
    assert torch.equal(answers[0].joints, answers[1].joints)
    assert answers[1].track_ids.min() > answers[0].track_ids.max()  # a new start never reuses ids


@pytest.mark.parametrize('size', [(480, 640), (37, 1001), (2, 2), (1, 1)])
def test_an_empty_room_holds_nobody(pipeline, size):
    camera = Camera.from_fov(size[1], size[0], 60)
    pipeline.reset()
    people = pipeline(np.zeros((*size, 3), np.uint8), camera, 0.0)
    assert len(people) == 0 and people.joints.shape == (0, 24, 3)
    assert pipeline.meshes(people).shape == (0, len(pipeline.body.v_template), 3)


def test_an_image_of_another_size_than_the_camera_is_refused(pipeline, footage):
    with pytest.raises(ValueError, match=r'does not fit a camera of 1088x1920: expected \(1920, 1088, 3\)'):
        pipeline(np.zeros((10, 10, 3), np.uint8), footage[1], 0.0)


def test_an_image_of_another_type_is_refused(pipeline, footage):
    with pytest.raises(ValueError, match='type float32 does not fit'):
        pipeline(np.zeros((1920, 1088, 3), np.float32), footage[1], 0.0)


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('view', ['read-only', 'mirrored', 'every second pixel'])
def test_any_layout_of_the_image_will_do(pipeline, view):
    data = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    image = {
        'read-only': np.frombuffer(data.tobytes(), np.uint8).reshape(data.shape),
        'mirrored': data[:, ::-1, ::-1],
        'every second pixel': np.repeat(data, 2, 1)[:, ::2],
    }[view]
    pipeline.reset()
    assert len(pipeline(image, Camera.from_fov(128, 96, 60), 0.0)) >= 0


def test_the_answer_is_the_callers_own(pipeline, footage):
    """It may be changed in place, and what is done to it does not reach the tracker."""
    frames, camera = footage
    pipeline.reset()
    first = pipeline(frames[0].image, camera, 0.0)
    ids = first.track_ids.tolist()
    first.track_ids[:] = 1000
    first.joints += 1
    (first.joints * torch.ones(3, requires_grad=True)).sum().backward()
    assert pipeline(frames[1].image, camera, 0.1).track_ids.tolist() == ids


def test_devices_are_checked_by_name():
    assert choose_device('cpu').type == 'cpu'
    with pytest.raises(ValueError, match="unknown device 'gpu'"):
        choose_device('gpu')
    with pytest.raises(ValueError, match='unknown device'):
        choose_device('mps')  # torch knows it, nothing here was tried on it
    with pytest.raises(ValueError, match="'cuda:99' is not there"):
        choose_device('cuda:99')


def test_in_given_boxes_row_i_is_the_person_in_box_i(pipeline, footage, results):
    frames, camera = footage
    found = actors(results[0])
    for order in ([0, 1], [1, 0]):
        people = pipeline.in_boxes(frames[0].image, camera, found.boxes[order])
        assert ((people.joints - found.joints[order]).norm(dim=-1).mean(1) < 0.1).all()
    empty_corner = torch.tensor([[0.0, 0, 40, 40]])
    people = pipeline.in_boxes(frames[0].image, camera, torch.cat((empty_corner, found.boxes)))
    assert len(people) == 3 and (people.scores[1:] > 0.9).all()
    assert len(pipeline.in_boxes(frames[0].image, camera, found.boxes[:0])) == 0
    with pytest.raises(ValueError, match=r'boxes \(4,\): expected \(N, 4\)'):
        pipeline.in_boxes(frames[0].image, camera, found.boxes[0])


def test_given_boxes_leave_who_is_followed_alone(pipeline, footage):
    frames, camera = footage
    pipeline.reset()
    before = pipeline(frames[0].image, camera, frames[0].stamp)
    pipeline.in_boxes(frames[5].image, camera, before.boxes + 100)
    after = pipeline(frames[1].image, camera, frames[1].stamp)
    assert set(actors(before).track_ids.tolist()) == set(actors(after).track_ids.tolist())
