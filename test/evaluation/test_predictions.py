"""Answers are kept, gone on with, and never mixed with those of something else. Real footage, real weights."""

import numpy as np
import pytest
import torch

from mesh_perception.configuration import load_config
from mesh_perception.evaluation.predictions import Frame, PredictionsError, predict
from mesh_perception.geometry.camera import Camera
from mesh_perception.media import read_frames, read_picture
from mesh_perception.pipeline import MeshPipeline
from mesh_perception.ros.demo.footage import demo_footage


@pytest.fixture(scope='module')
def pipeline():
    return MeshPipeline(load_config('embedded', {'device': 'cpu', 'skeleton.network': 'blazepose_full'}))


@pytest.fixture(scope='module')
def footage():
    path, camera = demo_footage('cam01')
    return next(iter(read_frames(path))).image, camera


@pytest.fixture
def frames(footage):
    image, camera = footage
    empty = np.zeros((60, 80, 3), np.uint8)
    return [
        Frame('people', lambda: image, camera, torch.tensor([[200.0, 380, 610, 1180], [0.0, 0, 50, 50]])),
        Frame('nobody', lambda: empty, Camera.from_fov(80, 60, 60), torch.zeros(0, 4)),
    ]


def same(first, second):
    pairs = [(getattr(first, name), getattr(second, name)) for name in vars(first)]
    return all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in pairs)


def refuse():
    raise AssertionError('computed again')


def test_what_was_answered_is_not_computed_again(pipeline, frames, tmp_path):
    first = [people for _, people in predict(pipeline, frames, tmp_path)]
    assert len(first[0]) >= 2 and len(first[1]) == 0
    again = [Frame(frame.name, refuse, frame.camera, frame.boxes) for frame in frames]
    for one, (frame, two) in zip(first, predict(pipeline, again, tmp_path), strict=True):
        assert same(one, two), frame.name


def test_an_interrupted_run_goes_on(pipeline, frames, tmp_path):
    answers = predict(pipeline, frames, tmp_path)
    _, first = next(answers)
    answers.close()
    frames[0] = Frame('people', refuse, frames[0].camera)
    (_, again), (_, nobody) = predict(pipeline, frames, tmp_path)
    assert same(first, again) and len(nobody) == 0


def test_frames_know_nothing_of_each_other(pipeline, footage, tmp_path):
    image, camera = footage
    twice = [Frame(name, lambda: image, camera) for name in 'ab']
    (_, one), (_, two) = predict(pipeline, twice, tmp_path)
    assert torch.equal(one.joints, two.joints)


def test_each_true_box_has_its_row(pipeline, frames, tmp_path):
    (_, people), (_, nobody) = predict(pipeline, frames, tmp_path, 'truth')
    assert len(people) == 2 and len(nobody) == 0
    center = people.joints_2d[0].mean(0)
    assert 200 < center[0] < 610 and 380 < center[1] < 1180 and people.scores[0] > 0.9


def test_another_camera_has_another_answer(pipeline, frames, tmp_path):
    (_, before), _ = predict(pipeline, frames, tmp_path)
    camera = frames[0].camera
    frames[0].camera = Camera(
        camera.width, camera.height, camera.k * [[1.5], [1.5], [1]], camera.distortion, camera.model
    )
    (_, after), _ = predict(pipeline, frames, tmp_path)
    assert after.joints[0, 0, 2] > 1.3 * before.joints[0, 0, 2]


def test_predictions_of_something_else_are_kept_apart(pipeline, frames, tmp_path):
    detected = dict(zip('ab', (people for _, people in predict(pipeline, frames, tmp_path)), strict=True))
    (first,) = (tmp_path / 'predictions').iterdir()
    in_boxes = [people for _, people in predict(pipeline, frames, tmp_path, 'truth')]
    assert not same(in_boxes[0], detected['a'])
    (second,) = {*(tmp_path / 'predictions').iterdir()} - {first}
    again = [Frame(frame.name, refuse, frame.camera, frame.boxes) for frame in frames]
    (_, one), _ = predict(pipeline, again, tmp_path)
    assert same(one, detected['a'])
    # A file that was moved there is not taken for the folder's own.
    (moved,) = second.iterdir()
    moved.rename(first / 'moved.safetensors')
    with pytest.raises(PredictionsError, match=r'moved\.safetensors: predictions of other .*delete it') as refused:
        list(predict(pipeline, frames, tmp_path))
    assert '\n' not in str(refused.value)


def test_mistakes_are_named(pipeline, frames, tmp_path):
    missing = tmp_path / 'image_00000.jpg'
    with pytest.raises(ValueError, match=r'image_00000\.jpg: No such file'):
        list(predict(pipeline, [Frame('a', lambda: read_picture(missing), frames[1].camera)], tmp_path))
    with pytest.raises(ValueError, match=r'image_00000\.jpg: No such file'):
        list(predict(pipeline, [Frame('a', missing.read_bytes, frames[1].camera)], tmp_path))
    with pytest.raises(PredictionsError, match='nobody: two frames'):
        list(predict(pipeline, frames[1:] * 2, tmp_path))
    with pytest.raises(PredictionsError, match='x: no true boxes'):
        list(predict(pipeline, [Frame('x', refuse, frames[1].camera)], tmp_path / 'b', 'truth'))
    with pytest.raises(PredictionsError, match="boxes 'guess': expected one of detector, truth"):
        list(predict(pipeline, frames, tmp_path, 'guess'))
