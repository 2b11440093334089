"""`mesh-perception evaluate mupots` from the command line to the report, with the real pipeline on real people."""

import csv
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mesh_perception.cli import main
from mesh_perception.configuration import load_config
from mesh_perception.evaluation.mupots.joints import JOINTS, kinematic
from mesh_perception.geometry.camera import Camera
from mesh_perception.media import read_picture
from mesh_perception.pipeline import MeshPipeline

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / 'threedpw')]
from dataset import write_smpl
from mupots_files import annotation, write_sequence

PEOPLE = Path(__file__).parents[2] / 'data' / 'two_people.png'
FOCAL, CENTER = (1000.0, 990.0), (190.0, 325.0)
ELBOW, WRIST = JOINTS.index('right_elbow'), JOINTS.index('right_wrist')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """MuPoTS-3D of one image a sequence, always the same one. The truth is what the pipeline says of it, but:

    TS1 is of MATLAB's version 7.3; in TS2 there is somebody whom no one can see; in TS3 everybody's right forearm
    points to the other side and is 0.2 m long, hidden, too; in TS4 everybody is a giant on the universal skeleton.
    -> the folder, the number of people
    """
    folder = tmp_path_factory.mktemp('mupots')
    picture = cv2.resize(read_picture(PEOPLE), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    good, data = cv2.imencode('.jpg', picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert good
    (folder / 'picture.jpg').write_bytes(data)
    picture = read_picture(folder / 'picture.jpg')
    height, width = picture.shape[:2]
    (folder / 'models.yaml').write_text('name: embedded\nskeleton:\n  network: blazepose_full\n')  # the fast one
    pipeline = MeshPipeline(load_config(folder / 'models.yaml', {'device': 'cpu'}))
    people = pipeline(picture, Camera.from_intrinsics(width, height, *FOCAL, *CENTER))
    joints = kinematic(pipeline.body).take(people.joints, torch.from_numpy(pipeline.meshes(people)))
    joints = joints.double().numpy() * 1000
    assert len(joints) >= 2
    for number in range(1, 21):
        truth, universal = joints, joints.copy()
        if number == 2:
            truth = np.concatenate([joints, joints[:1] + np.array([9000, 0, 9000])])
            universal = truth
        if number == 3:
            forearm = joints[:, WRIST] - joints[:, ELBOW]
            universal[:, WRIST] -= forearm + 200 * forearm / np.linalg.norm(forearm, axis=1, keepdims=True)
        if number == 4:
            universal = 1.3 * joints
        cells = [annotation(*pair, focal=FOCAL, center=CENTER) for pair in zip(truth, universal, strict=True)]
        hidden = [np.arange(17) == (WRIST if number == 3 else 15) for _ in cells]
        place = write_sequence(folder, number, [cells], [hidden], version=7.3 if number == 1 else 5)
        (place / 'img_000000.jpg').write_bytes(data)
    return folder, len(joints)


def run(capsys, folder, out, *options):
    where = ['--data', str(folder), '--models', str(folder / 'models.yaml'), '--out', str(out)]
    code = main(['evaluate', 'mupots', *where, '--device', 'cpu', '--json', *options])
    output = capsys.readouterr()
    assert code == 0, output.err
    return json.loads(output.out.splitlines()[-1]), output.out


def test_all_sequences_are_measured_and_gone_on_with(data, tmp_path, capsys):
    folder, count = data
    summary, output = run(capsys, folder, tmp_path, '--boxes', 'detector')
    assert (summary['sequences'], summary['images'], summary['people']) == (20, 20, 20 * count + 1)
    assert summary['matched'] == pytest.approx(20 * count / (20 * count + 1))
    # What was put into the truth: one of 14 joints wrong by 0.4 m in one sequence, one person too many in another.
    missed, bent = 100 * count / (count + 1), 100 * 13 / 14
    assert summary['all_pck'] == pytest.approx((18 * 100 + missed + bent) / 20)
    assert summary['matched_pck'] == pytest.approx((19 * 100 + bent) / 20)
    assert summary['matched_auc'] == pytest.approx((19 * 100 + bent) / 20 * 30 / 31, abs=0.2)
    assert summary['matched_pck_hidden'] == 0  # the only hidden joints that count are the turned wrists
    assert summary['matched_pck_abs'] == pytest.approx((18 * 100 + bent) / 20)  # the giants are farther away
    assert summary['by_sequence']['TS2'] == pytest.approx({'all': missed, 'matched': 100})
    assert not summary['papers_protocol'] and 'kinematic joints' in summary['joints']

    tables = output.split('\n\n')
    assert tables[0].startswith("MuPoTS-3D, 3DPCK over all true people, not the paper's protocol")
    figures = ['100.0', f'{missed:.1f}', f'{bent:.1f}', *['100.0'] * 17, f'{summary["all_pck"]:.1f}']
    assert tables[0].splitlines()[3].split() == ['embedded,', 'measured,', 'people', 'detected', *figures]
    published = next(line for line in tables[1].splitlines() if line.startswith('Ours')).split()
    assert published[1:4] == ['97.3', '84.7', '91.1'] and published[-1] == '89.9' and len(published) == 22
    cameras = [line.split() for line in tables[5].splitlines() if line.startswith('TS')]
    assert len(cameras) == 20
    assert all(row[1:] == ['384x640', '1000.0', '990.0', '190.0', '325.0', '0.000'] for row in cameras)

    with (tmp_path / 'detail.csv').open() as file:
        detail = list(csv.DictReader(file))
    assert [row['matched'] for row in detail if row['sequence'] == '2'] == [*['True'] * count, 'False']
    bent_people = [row for row in detail if row['sequence'] == '3']
    assert all(float(row['error_mm']) == pytest.approx(400 / 14, abs=0.1) for row in bent_people)
    page = (tmp_path / 'report.html').read_text()
    assert '3DPCK by joint' in page and 'TS3/img_000000, person 0: 29 mm' in page

    written = {path: path.stat().st_mtime_ns for path in (tmp_path / 'predictions').glob('*/*')}
    again, _ = run(capsys, folder, tmp_path, '--boxes', 'detector', '--sequences', '3', '2')
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / 'predictions').glob('*/*')} == written
    assert (again['sequences'], again['all_pck']) == (2, pytest.approx((missed + bent) / 2))


def test_with_true_boxes_and_given_cameras_few_sequences_have_no_average(data, tmp_path, capsys):
    folder, count = data
    images = [{'file_name': f'TS{n}/img_000000.jpg', 'intrinsic': [*FOCAL, *CENTER]} for n in (1, 4)]
    (tmp_path / 'MuPoTS-3D.json').write_text(json.dumps({'images': images}))
    options = '--sequences', '4', '1', '--intrinsics', str(tmp_path / 'MuPoTS-3D.json')
    summary, output = run(capsys, folder, tmp_path, *options)
    assert (summary['boxes'], summary['people']) == ('truth', 2 * count)
    assert summary['matched_pck'] > 60  # another look at the same people
    row = output.splitlines()[3].split()
    assert row[:2] == ['embedded,', 'measured'] and row[-1] == '-' and row[2] != '-' and row[3:5] == ['-', '-']
    assert 'Not all sequences were measured: no average.' in output and 'Cameras, from the file given' in output


def test_smpl_stands_in_the_papers_table_with_either_mapping(data, tmp_path, capsys):
    folder, _ = data
    smpl = write_smpl(tmp_path / 'smpl', ('NEUTRAL',))
    options = '--sequences', '1', '--body', str(smpl / 'SMPL_NEUTRAL.pkl')
    for more, mapping in (((), 'kinematic'), (('--regressors', str(smpl)), 'J_regressor_h36m.npy')):
        summary, output = run(capsys, folder, tmp_path, *options, *more)
        assert summary['papers_protocol'] and mapping in summary['joints'] and summary['matched'] > 0
        table = output.split('\n\n')[0].splitlines()
        assert table[0] == 'Table 3: MuPoTS-3D, 3DPCK over all true people, and this run'
        assert [line.split()[0] for line in table[-3:-1]] == ['Ours', 'embedded,']


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (('--data', 'none'), 'none/TS1: no such folder; expected'),
        (('--regressors', '.'), "--regressors: needs SMPL's 6890 vertices"),
        (('--intrinsics', 'none.json'), 'none.json: No such file'),
    ],
)
def test_what_is_missing_is_said_in_one_line_before_the_work(data, tmp_path, capsys, options, said):
    given = {'--data': str(data[0]), '--out': str(tmp_path), **{options[0]: options[1]}}
    code = main(['evaluate', 'mupots', *(part for pair in given.items() for part in pair)])
    error = capsys.readouterr().err
    assert code == 1 and error.count('\n') == 1 and said in error


def test_a_missing_picture_is_named(data, tmp_path, capsys):
    write_sequence(tmp_path, 6, [[annotation(np.random.default_rng(0).uniform(1000, 3000, (17, 3)))]])
    code = main(['evaluate', 'mupots', '--data', str(tmp_path), '--sequences', '6', '--out', str(tmp_path / 'out')])
    error = capsys.readouterr().err
    assert code == 1 and error.count('\n') == 1 and 'TS6/img_000000.jpg: No such file' in error
