"""`mesh-perception evaluate agora` from the command line to the report, with the real pipeline on real people."""

import json
import pickle
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from mesh_perception.cli import main
from mesh_perception.configuration import load_config
from mesh_perception.evaluation.agora.cameras import camera_of
from mesh_perception.evaluation.agora.images import ImagesError, image_files
from mesh_perception.evaluation.agora.scoring import figures
from mesh_perception.evaluation.agora.submission import frames_to_submit, submit
from mesh_perception.evaluation.agora.truth import truth_files
from mesh_perception.evaluation.agora.validation import measure_for, validate
from mesh_perception.media import read_picture
from mesh_perception.pipeline import MeshPipeline

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / 'threedpw')]
from agora_files import row, write_image, write_truth
from dataset import hand_body, write_pickle

PEOPLE = Path(__file__).parents[2] / 'data' / 'two_people.png'
NAME = 'ag_validationset_a_cam00_00000'


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """A folder as AGORA's, whose truth is what the pipeline says of its one image with people in it, but: everybody's
    left knee is 0.24 m lower, everybody's vertices 30 mm; somebody was added whom no one can see. And that pipeline."""
    folder = tmp_path_factory.mktemp('agora')
    smpl = write_pickle(folder / 'SMPL_NEUTRAL.pkl', hand_body())
    picture = read_picture(PEOPLE)
    scale = min(1280 / picture.shape[1], 720 / picture.shape[0])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    image = np.zeros((720, 1280, 3), np.uint8)
    image[: small.shape[0], : small.shape[1]] = small
    write_image(folder / 'validation' / f'{NAME}_1280x720.png', image=image)
    write_image(folder / 'validation' / 'ag_validationset_b_hdri_00000_1280x720.png', 1280, 720)
    write_image(folder / 'test' / 'ag_testset_c_cam00_00000.png', image=image)

    pipeline = MeshPipeline(load_config('embedded', {'device': 'cpu', 'body': str(smpl)}))
    camera = camera_of(NAME, 1280, 720)
    found = pipeline(image, camera)
    vertices = pipeline.meshes(found).astype(np.float64)
    vertices[..., 1] += 0.03
    joints = found.joints.double().numpy()
    extra = np.repeat(joints[:, :1], 21, 1)
    joints = np.concatenate([joints, extra], 1)
    joints[:, 4, 1] += 0.24
    people = [*zip(joints, vertices, strict=True), (joints[0] + (2.5, 0, 9), vertices[0])]
    write_truth(
        folder / 'SMPL' / 'validation_0_withjv.pkl',
        [row(f'{NAME}.png', people, kid=[True, *[False] * len(found)])],
    )
    write_truth(folder / 'SMPL' / 'validation_1_withjv.pkl', [row('ag_validationset_b_hdri_00000.png', [])])
    np.save(folder / 'body_verts_smpl.npy', np.arange(100, dtype=np.uint32))
    return folder, pipeline, found


def run(capsys, folder, out, *options):
    code = main(['evaluate', 'agora', '--data', str(folder), '--device', 'cpu', '--out', str(out), '--json', *options])
    output = capsys.readouterr()
    assert code == 0, output.err
    return json.loads(output.out.splitlines()[-1]), output.out


def test_the_validation_set_is_measured_and_gone_on_with(data, tmp_path, capsys):
    folder, pipeline, found = data
    chosen = folder / 'body_verts_smpl.npy'
    summary, output = run(capsys, folder, tmp_path, '--body', pipeline.config.body, '--body-vertices', str(chosen))
    count = len(found)
    assert count >= 2 and summary['images'] == 2 and summary['agoras_protocol'] and summary['agoras_vertices']
    f1 = round(count / (count + 0.5), 2)  # one missed
    # What was put into the truth: 240 mm of one joint of 24, and 30 mm.
    assert summary['all'] == {
        **{'people': count + 1, 'matched': count, 'missed': 1, 'false_positives': 0},
        **{'precision': 1.0, 'recall': round(count / (count + 1), 2), 'f1': f1},
        **{'nmve': round(30 / f1, 1), 'nmje': round(10 / f1, 1), 'mve': 30.0, 'mpjpe': 10.0},
    }
    assert (summary['kids']['people'], summary['kids']['mpjpe'], summary['kids']['f1']) == (1, 10.0, 1.0)
    table = [line.split() for line in output.splitlines()]
    assert ['Ours', '104.5', '110.4', '86.7', '91.6'] in table
    assert ['embedded,', 'measured', f'{30 / f1:.1f}', f'{10 / f1:.1f}', '30.0', '10.0'] in table
    page = (tmp_path / 'report.html').read_text()
    assert 'Error by occlusion' in page and f'{NAME}_1280x720.png: 10 mm' in page
    lines = (tmp_path / 'detail.csv').read_text().splitlines()
    assert lines[0] == 'image,person,outcome,kid,occlusion_percent,distance_m,mpjpe_mm,mve_mm'
    assert sum(',matched,' in line for line in lines) == count and sum(',missed,' in line for line in lines) == 1

    written = {path: path.stat().st_mtime_ns for path in (tmp_path / 'predictions').glob('*/*')}
    assert len(written) == 2  # one a file of truth
    for path in (folder / 'validation').iterdir():
        (tmp_path / path.name).write_bytes(
            path.read_bytes()[:24]
        )  # the size, but no pixels: nothing is looked at again
    again = validated(pipeline, folder, tmp_path, 'detector', images=tmp_path)
    assert figures(again.scores).mpjpe == 10.0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / 'predictions').glob('*/*')} == written


def validated(pipeline, folder, out, boxes, images=None):
    measure = measure_for(pipeline.body, None)
    return validate(pipeline, truth_files(folder), image_files(images or folder), folder, out, boxes, measure)


def test_with_true_boxes_nobody_is_left_without_a_prediction(data, tmp_path):
    folder, pipeline, found = data
    result = validated(pipeline, folder, tmp_path, 'truth')
    scores = figures(result.scores)
    assert scores.matched + scores.false_positives == scores.people == len(found) + 1
    errors = [row['mpjpe_mm'] for row in result.detail if row['outcome'] == 'matched']
    assert min(errors) < 60  # another look at the same people


def test_other_bodies_are_measured_at_common_joints_and_said_to_be_no_ones_protocol(data, tmp_path, capsys):
    folder, *_ = data
    summary, output = run(capsys, folder, tmp_path)
    assert not summary['agoras_protocol'] and summary['all']['mve'] is None and summary['all']['matched'] >= 2
    assert "AGORA's validation set, not the paper's protocol" in output
    assert 'Not computed: MVE and NMVE need SMPL&#x27;s 6890 vertices' in (tmp_path / 'report.html').read_text()
    for option in (['--submission'], ['--body-vertices', str(tmp_path / 'any.npy')]):
        code = main(['evaluate', 'agora', '--data', str(folder), '--out', str(tmp_path / 'zip'), *option])
        error = capsys.readouterr().err
        assert code == 1 and f"{option[0]}: needs SMPL's 6890 vertices" in error and error.count('\n') == 1


@pytest.mark.parametrize(('split', 'stem'), [('test', 'ag_testset_c_cam00_00000'), ('validation', NAME)])
def test_the_submission_is_what_the_pipeline_says(data, tmp_path, capsys, split, stem):
    folder, pipeline, found = data
    target = tmp_path / 'predictions.zip'
    if split == 'test':
        summary, _ = run(capsys, folder, tmp_path, '--body', pipeline.config.body, '--submission')
        assert summary['submission'] == str(target) and (summary['images'], summary['people']) == (1, len(found))
    else:
        named = frames_to_submit(folder, split, 'detector')
        assert submit(pipeline, named, tmp_path, 'detector', target) == len(found) and len(named) == 2
    with zipfile.ZipFile(target) as archive:
        assert archive.namelist() == [f'predictions/{stem}_personId_{k}.pkl' for k in range(len(found))]
        contents = [pickle.loads(archive.read(name)) for name in archive.namelist()]
    for person, content in enumerate(contents):
        np.testing.assert_allclose(content['joints'], (found.joints_2d[person].double() + 0.5) * 3, atol=0.05)
        rotations = np.concatenate([content['params']['global_orient'], content['params']['body_pose']], 1)[0]
        np.testing.assert_allclose(rotations, found.rotations[person], atol=1e-4)
        np.testing.assert_allclose(content['params']['transl'][0], found.translation[person], atol=1e-4)


def test_what_is_missing_is_said_in_one_line_before_the_work(tmp_path, capsys):
    code = main(['evaluate', 'agora', '--data', str(tmp_path / 'none'), '--out', str(tmp_path / 'out')])
    error = capsys.readouterr().err
    assert code == 1 and error.count('\n') == 1 and 'none: no such folder; expected' in error


def test_a_missing_image_is_said_before_the_first_is_looked_at(data, tmp_path):
    folder, pipeline, _ = data
    (tmp_path / f'{NAME}.png').write_bytes((folder / 'validation' / f'{NAME}_1280x720.png').read_bytes())
    with pytest.raises(ImagesError, match=r'no ag_validationset_b_hdri_00000\.png in it'):
        validated(pipeline, folder, tmp_path / 'out', 'detector', images=tmp_path)
    assert not (tmp_path / 'out').exists()
