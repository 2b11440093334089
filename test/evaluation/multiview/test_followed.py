import numpy as np
import pytest
import torch

from mesh_perception.configuration import load_config
from mesh_perception.evaluation.multiview import footage
from mesh_perception.evaluation.multiview.followed import WatchedPipeline, follow, follow_once
from mesh_perception.pipeline import MeshPipeline
from mesh_perception.tensor_files import write_safetensors

FRAMES = 3


@pytest.fixture(scope='module')
def pipeline():
    return WatchedPipeline(load_config('embedded'))


@pytest.fixture(scope='module')
def camera():
    return footage.cameras('two_person')['cam04'][0]


@pytest.fixture(scope='module')
def images():
    return [image for _, image in zip(range(FRAMES), footage.frames('two_person', 'cam04'), strict=False)]


@pytest.fixture(scope='module')
def followed(pipeline, images, camera):
    return follow(pipeline, images, camera, footage.RATE)


def test_people_are_those_that_the_pipeline_gives(followed, images, camera):
    plain = MeshPipeline(load_config('embedded'))
    for frame, image in enumerate(images):
        people, expected = followed.people[followed.frames == frame], plain(image, camera, frame / footage.RATE)
        assert torch.equal(people.joints, expected.joints) and torch.equal(people.boxes, expected.boxes)


def test_skeletons_are_those_that_the_people_were_made_of(followed):
    assert len(followed.skeletons) == len(followed.people) >= 2 * FRAMES
    apart = (followed.skeletons.image_joints - followed.people.joints_2d).norm(dim=-1).mean(1)
    size = (followed.people.boxes[:, 2:] - followed.people.boxes[:, :2]).norm(dim=-1)
    assert (apart < 0.06 * size).all()


def test_ids_last_over_frames(followed):
    ids = [followed.people.track_ids[followed.frames == frame].sort().values.tolist() for frame in range(FRAMES)]
    assert ids[0] and all(one == ids[0] for one in ids)


def test_nobody_in_view_is_an_empty_answer(pipeline, camera):
    blank = np.full((camera.height, camera.width, 3), 128, np.uint8)
    followed = follow(pipeline, [blank, blank], camera, footage.RATE)
    assert len(followed) == 0 and followed.people.joints.shape == (0, 24, 3)


def test_answers_are_kept_until_the_models_change(pipeline, images, camera, tmp_path):
    path, asked = tmp_path / 'kept' / 'one.safetensors', []

    def source():
        asked.append(1)
        return images[:1]

    first = follow_once(pipeline, source, camera, footage.RATE, path, 'one')
    second = follow_once(pipeline, source, camera, footage.RATE, path, 'one')
    assert len(asked) == 1
    assert torch.equal(first.people.joints, second.people.joints)
    assert torch.equal(first.skeletons.joints, second.skeletons.joints)
    assert torch.equal(first.frames, second.frames)
    follow_once(pipeline, source, camera, footage.RATE / 2, path, 'one')
    assert len(asked) == 2
    write_safetensors(path, {'frames': first.frames}, {'key': 'of other models'})
    follow_once(pipeline, source, camera, footage.RATE, path, 'one')
    assert len(asked) == 3
