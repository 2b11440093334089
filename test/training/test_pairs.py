"""The real detectors and BlazePose on rendered people whose truth is known."""

import pytest
import torch

from mesh_perception.configuration import load_config
from mesh_perception.pipeline import MeshPipeline
from mesh_perception.synthetic.poses import prior_poses
from mesh_perception.synthetic.rendering import SceneRenderer
from mesh_perception.synthetic.scene import sample_scene
from mesh_perception.tensor_files import TensorFileError
from mesh_perception.training.cameras import PinholeBatch
from mesh_perception.training.pairs import load_pairs, pairs_of_scene, save_pairs


@pytest.fixture(scope='module')
def made():
    pipeline = MeshPipeline(load_config('embedded', {'device': 'cpu', 'skeleton.network': 'blazepose_full'}))
    with SceneRenderer(pipeline.body, occluders=0) as renderer:
        scene = sample_scene(prior_poses(), pipeline.body, seed=4, people=2)
        return scene, pairs_of_scene(pipeline, renderer, scene)


def test_everybody_found_comes_with_their_own_truth_once_a_look(made):
    scene, pairs = made
    assert len(pairs) >= 2 and set(pairs.looks.tolist()) == {0, 1} and (pairs.scenes == 4).all()
    for look in (0, 1):
        people = pairs.people[pairs.looks == look]
        assert len(people.unique()) == len(people)
    torch.testing.assert_close(pairs.truth.joints, scene.joints[pairs.people])
    # What the network saw lies over the person whose truth it got: hips and shoulders within a quarter of a torso.
    camera = PinholeBatch(pairs.intrinsics, pairs.sizes)
    truth = camera.project(pairs.truth.joints)
    torso = (truth[:, 12] - truth[:, 0]).norm(dim=-1)
    seen = pairs.truth.joint_visible[:, [1, 2, 16, 17]]
    distance = (pairs.landmarks.image[:, [23, 24, 11, 12]] - truth[:, [1, 2, 16, 17]]).norm(dim=-1)
    assert seen.any() and (distance / torso[:, None])[seen].median() < 0.35


def test_a_file_gives_back_what_was_written(made, tmp_path):
    pairs = made[1]
    save_pairs(tmp_path / 'a.safetensors', pairs, {'poses': 'prior'})
    save_pairs(tmp_path / 'b.safetensors', pairs[:1], {'poses': 'prior'})
    back = load_pairs(tmp_path)
    assert len(back) == len(pairs) + 1
    torch.testing.assert_close(back.truth.joints[:-1], pairs.truth.joints, rtol=0, atol=0)
    torch.testing.assert_close(back.landmarks.features[:-1], pairs.landmarks.features, rtol=1e-3, atol=1e-3)
    assert torch.equal(back.landmarks.next.centers[:-1], pairs.landmarks.next.centers)


def test_a_folder_without_pairs_and_another_file_are_refused_by_name(tmp_path):
    with pytest.raises(TensorFileError, match='no pairs'):
        load_pairs(tmp_path)
    (tmp_path / 'c.safetensors').write_bytes(b'no tensors')
    with pytest.raises(TensorFileError, match=r'c\.safetensors'):
        load_pairs(tmp_path)
