"""The paper's model set, end to end: with weights in the real formats (random ones), and without."""

import pytest
import torch
import yaml

from mesh_perception.checkpoints import Description, save_checkpoint
from mesh_perception.cli import main
from mesh_perception.configuration import load_config
from mesh_perception.detection.darknet_weights import write_weights
from mesh_perception.detection.yolov4 import YoloV4
from mesh_perception.inverse_kinematics.twist_shape import TwistShapeNetwork
from mesh_perception.media import read_frames, write_picture
from mesh_perception.pipeline import MeshPipeline
from mesh_perception.refinement.transformer import Refiner
from mesh_perception.ros.demo.footage import demo_footage
from mesh_perception.skeleton.metric import SkeletonNetwork

OPEN_BODY = 'anny-open-1'
SET = {
    'name': 'small',
    'detection': {'kind': 'movenet_nanodet'},
    'skeleton': {'kind': 'metric', 'depth': 18},
    'twist_shape': {'kind': 'network', 'hidden': 32},
    'refinement': {'kind': 'transformer', 'width': 64, 'depth': 1},
    'tracking': {'detect_every': 1},
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A model set of small networks of the paper's kind, its weights beside it."""
    folder = tmp_path_factory.mktemp('small')
    (folder / 'small.yaml').write_text(yaml.safe_dump(SET))
    torch.manual_seed(0)
    numbers = {'in_features': 512, 'hidden': 32, 'num_betas': 10}
    save_checkpoint(folder / 'skeleton.safetensors', SkeletonNetwork(18), Description('skeleton', {'depth': 18}))
    save_checkpoint(
        folder / 'twist_shape.safetensors',
        TwistShapeNetwork(**numbers),
        Description('twist_shape', numbers, body=OPEN_BODY),
    )
    numbers = {'feature_size': 512, 'num_betas': 10, 'people': 3, 'width': 64, 'depth': 1, 'heads': 4}
    numbers |= {'head_size': 64, 'mlp': 2048, 'relative_roots': False, 'normalise': False}
    save_checkpoint(folder / 'refiner.safetensors', Refiner(**numbers), Description('refiner', numbers, body=OPEN_BODY))
    return folder


@pytest.fixture(scope='module')
def frame():
    path, camera = demo_footage('cam01')
    return next(iter(read_frames(path))).image, camera


def test_a_mixed_set_runs_from_detections_to_refined_meshes(folder, frame):
    pipeline = MeshPipeline(load_config(str(folder / 'small.yaml')), attention=True)
    image, camera = frame
    pipeline.tracker.start(0.0)
    picture = torch.from_numpy(image)
    # An untrained skeleton agrees with no detector's keypoints: what was seen is looked at before that is asked.
    seen = pipeline.look(picture, camera, pipeline.detect(picture))
    people = seen.people
    assert len(people) >= 2
    for name in ('joints', 'joints_2d', 'rotations', 'betas', 'translation', 'boxes'):
        assert torch.isfinite(getattr(people, name)).all(), name
    determinants = torch.linalg.det(people.rotations)
    assert torch.allclose(determinants, torch.ones_like(determinants), atol=1e-3)
    assert pipeline.meshes(people).shape == (len(people), len(pipeline.body.v_template), 3)
    assert pipeline.last_attention.shape == (len(people), 24, len(people), 24)
    assert torch.allclose(pipeline.last_attention.sum((2, 3)), torch.ones(len(people), 24), atol=1e-4)
    assert {'crop', 'skeleton', 'inverse kinematics', 'refine'} <= set(pipeline.stopwatch.milliseconds)


def test_a_detector_without_keypoints_is_enough_to_follow_people(folder, frame):
    image, camera = frame
    pipeline = MeshPipeline(load_config(str(folder / 'small.yaml')), attention=True)
    detector = pipeline.detector

    def boxes_alone(picture):
        found = detector(picture)
        found.keypoints.zero_()
        return found

    pipeline.detector = boxes_alone
    first, second = (pipeline(image, camera, stamp) for stamp in (0.0, 0.1))
    assert len(first) >= 1 and set(second.track_ids.tolist()) & set(first.track_ids.tolist())
    assert pipeline.last_attention.shape[0] == pipeline.last_attention.shape[2] == len(second)


def test_the_command_draws_attention_where_there_is_a_refiner(folder, frame, tmp_path, capsys):
    write_picture(tmp_path / 'two.png', frame[0][::4, ::4])
    run = ['run', str(tmp_path / 'two.png'), '--fov', '60', '--out', str(tmp_path / 'out'), '--attention']
    assert main([*run, 'left_elbow', '--models', str(folder / 'small.yaml')]) == 0
    assert (tmp_path / 'out' / 'two.png').is_file()
    capsys.readouterr()
    assert main([*run, 'left_elbow']) == 1
    assert 'it has no refiner' in capsys.readouterr().err
    assert main([*run, 'elbow', '--models', str(folder / 'small.yaml')]) == 1
    assert "unknown joint 'elbow'" in capsys.readouterr().err


def test_weights_for_another_body_are_refused_with_both_names(folder):
    numbers = {'in_features': 512, 'hidden': 32, 'num_betas': 10}
    path = folder / 'other.safetensors'
    save_checkpoint(path, TwistShapeNetwork(**numbers), Description('twist_shape', numbers, body='SMPL-12345678'))
    with pytest.raises(ValueError, match=rf'other\.safetensors: .*SMPL-12345678.*{OPEN_BODY}') as error:
        MeshPipeline(load_config(str(folder / 'small.yaml'), {'twist_shape.weights': str(path)}))
    assert '\n' not in str(error.value)


def test_without_weights_the_set_says_which_file_is_missing_and_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('MESH_PERCEPTION_CACHE', str(tmp_path))
    picture = str(path_of_picture(tmp_path))
    assert main(['run', picture, '--models', 'paper', '--out', str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and 'yolov4.weights: no such file' in error and 'AlexeyAB/darknet' in error
    (tmp_path / 'paper').mkdir()
    (tmp_path / 'paper' / 'yolov4.weights').write_bytes(b'short')
    assert main(['run', picture, '--models', 'paper', '--out', str(tmp_path)]) == 1
    assert 'skeleton.safetensors: no such file' in capsys.readouterr().err


def test_yolov4_takes_its_place_in_the_pipeline_from_a_darknet_file(folder, frame, tmp_path):
    path = tmp_path / 'yolov4.weights'
    write_weights(path, YoloV4())
    overrides = {'detection.kind': 'yolov4', 'detection.weights': str(path), 'detection.size': 128}
    pipeline = MeshPipeline(load_config(str(folder / 'small.yaml'), overrides))
    people = pipeline(frame[0], frame[1], 0.0)
    assert torch.isfinite(people.joints).all()  # nobody or anybody: its weights are random
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match=r'yolov4\.weights'):
        MeshPipeline(load_config(str(folder / 'small.yaml'), overrides))


def path_of_picture(folder):
    write_picture(folder / 'a.png', torch.zeros(20, 30, 3, dtype=torch.uint8).numpy())
    return folder / 'a.png'
