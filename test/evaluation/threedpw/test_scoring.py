"""Whole runs over small datasets in the true formats, with answers whose errors are known; one with the real models."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mesh_perception.body import skin
from mesh_perception.cli import main
from mesh_perception.configuration import load_config
from mesh_perception.evaluation.bootstrap import track_interval
from mesh_perception.evaluation.joint_sets import load_regressor
from mesh_perception.evaluation.report import Picture
from mesh_perception.evaluation.threedpw.errors import summarize
from mesh_perception.evaluation.threedpw.protocols import PROTOCOLS
from mesh_perception.evaluation.threedpw.results import Setting, make_report
from mesh_perception.evaluation.threedpw.scoring import looks, match, score, true_boxes
from mesh_perception.evaluation.threedpw.sequences import read_sequence
from mesh_perception.evaluation.threedpw.truth import load_true_body, tracks
from mesh_perception.geometry.camera import Camera
from mesh_perception.joints import SMPL_JOINTS
from mesh_perception.media import read_picture
from mesh_perception.pipeline import MeshPipeline
from mesh_perception.types import People

sys.path.insert(0, str(Path(__file__).parent))
from dataset import K, sequence_content, write_sequence, write_smpl

CAMERA = Camera(640, 480, K, (), 'none')


@pytest.fixture(scope='module')
def smpl(tmp_path_factory):
    """A folder with SMPL-like bodies and a regressor."""
    return write_smpl(tmp_path_factory.mktemp('smpl'))


class Answers:
    """Stands for a pipeline: says of each image, in turn, what it is told."""

    def __init__(self, body, answers):
        self.config, self.device, self.body = load_config('embedded'), torch.device('cpu'), body
        self.answers = iter(answers)

    def reset(self):
        pass

    def __call__(self, image, camera, stamp=0.0):
        return next(self.answers)

    def in_boxes(self, image, camera, boxes):
        return next(self.answers)

    def meshes(self, people):
        return skin(self.body, people.rotations, people.betas, people.translation).vertices


def as_people(body, posed_ones, betas):
    """People of posed true ones, as a pipeline would answer with a body."""
    rotations = torch.cat([posed.rotations for posed in posed_ones])
    translation = torch.cat([posed.translation for posed in posed_ones])
    joints = skin(body, rotations, betas, translation).joints
    count = len(joints)
    points = CAMERA.project(joints)
    one = torch.ones(count)
    return People(
        torch.arange(count),
        torch.zeros(count, dtype=torch.uint8),
        one,
        true_boxes(points),
        rotations,
        betas,
        translation,
        joints,
        points,
        torch.ones(count, 24),
        torch.zeros(count, 24),
        torch.zeros(count, 3),
    )


def two_people(folder, smpl, name='spin', frames=2):
    """Two people over some frames -> (looks, bodies, regressor, exact answers of the male body in each frame)."""
    sequence = read_sequence(write_sequence(folder / 'data', sequence_content(2, frames, genders='mm')), 'test')
    protocol = PROTOCOLS[name]
    bodies = {gender: load_true_body(smpl, gender) for gender in protocol.bodies}
    regressor = load_regressor(smpl / 'J_regressor_h36m.npy', 17)
    body = load_true_body(smpl, 'neutral' if name == 'romp' else 'm')
    true = tracks(sequence, {'neutral': body})
    answers = [as_people(body, [t.posed(frame) for t in true], torch.zeros(2, 10)) for frame in range(frames)]
    return looks(folder / 'data', sequence, protocol, None), bodies, regressor, body, answers


@pytest.mark.parametrize('name', PROTOCOLS)
@pytest.mark.parametrize('boxes', ['truth', 'detector'])
def test_exact_answers_have_no_errors_under_any_protocol(tmp_path, smpl, name, boxes):
    found, bodies, regressor, body, answers = two_people(tmp_path, smpl, name)
    scores = score(Answers(body, answers), found, PROTOCOLS[name], bodies, regressor, tmp_path, boxes)
    matched, fair, share = summarize(scores.detail)
    assert share == 1 and len(scores.detail) == 4
    shares = {key: value for key, value in matched.items() if key in ('pck_50mm', 'auc_200mm')}
    assert shares == ({'pck_50mm': 100, 'auc_200mm': 100} if name == 'challenge' else {})
    assert all(value < 0.06 for key, value in matched.items() if key not in shares)  # float32 angles
    assert fair == matched
    assert ('pve_mm' in matched) == (name in ('spin', 'romp'))


def test_a_body_a_tenth_larger_has_the_errors_of_its_bones(tmp_path, smpl):
    found, bodies, regressor, body, answers = two_people(tmp_path, smpl)
    larger = [replace(a, betas=torch.eye(10)[:1].expand(2, 10)) for a in answers]
    scores = score(Answers(body, larger), found, PROTOCOLS['spin'], bodies, regressor, tmp_path, 'truth')
    rest = regressor @ body.v_template  # the template a tenth larger, about the regressed pelvis
    joints = rest[[6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10]]
    matched, _, _ = summarize(scores.detail)
    assert matched['mpjpe_mm'] == pytest.approx(100 * float((joints - rest[0]).norm(dim=-1).mean()), abs=0.01)
    assert matched['pve_mm'] == pytest.approx(100 * float((body.v_template - rest[0]).norm(dim=-1).mean()), abs=0.01)
    assert matched['pa_mpjpe_mm'] == pytest.approx(0, abs=0.01)


def test_people_are_told_apart_whatever_their_order_and_whoever_else_is_there(tmp_path, smpl):
    found, bodies, regressor, body, answers = two_people(tmp_path, smpl, frames=3)
    third = answers[0].clone()[:1]
    third.joints_2d += 400
    mixed = [People.cat([third, answers[0][[1, 0]]]), answers[1][1:], answers[2][:0]]
    scores = score(Answers(body, mixed), found, PROTOCOLS['spin'], bodies, regressor, tmp_path, 'detector')
    assert [row['found'] for row in scores.detail] == [True, True, False, True, False, False]
    matched, _, share = summarize(scores.detail)
    assert share == 0.5 and matched['mpjpe_mm'] < 0.01
    assert [row['distance_m'] for row in scores.detail] == pytest.approx(
        [float(np.linalg.norm(found[0].joints[p, 0])) for p in (0, 1)] * 3, abs=1e-3
    )


@pytest.mark.parametrize('boxes', ['truth', 'detector'])
def test_people_who_do_not_count_leave_no_trace(tmp_path, smpl, boxes):
    found, bodies, regressor, body, answers = two_people(tmp_path, smpl)
    for look, answer in zip(found, answers, strict=True):
        look.counted[0] = False
        answer.betas[0, 0] = 3.0
    scores = score(Answers(body, answers), found, PROTOCOLS['spin'], bodies, regressor, tmp_path, boxes)
    assert [row['person'] for row in scores.detail] == [1, 1]
    assert summarize(scores.detail)[0]['mpjpe_mm'] < 0.01
    assert len(scores.joint_errors) == 2 and torch.stack(scores.joint_errors).max() < 0.01


def test_a_prediction_of_somebody_who_does_not_count_is_not_given_to_another(tmp_path, smpl):
    found, _, _, _, answers = two_people(tmp_path, smpl)
    look = found[0]
    look.counted[1] = False
    close = answers[0][1:].clone()  # person 1 found, person 0 missed, though the prediction is within reach of both
    look.joints_2d[1] = look.joints_2d[0] + 5
    close.joints_2d = look.joints_2d[1:].float()
    assert match(look, close).tolist() == [-1, 0]


def test_boxes_are_spins_a_fifth_wider_than_the_joints_longer_side():
    points = torch.zeros(1, 24, 2)
    points[0, 1] = torch.tensor([100.0, 200])
    assert true_boxes(points).tolist() == [[-20, -20, 120, 220]]


def test_frames_in_which_nobody_counts_are_not_looked_at(tmp_path):
    content = sequence_content(2, 4)
    for person, frames in ((0, [1, 2]), (1, [1])):
        content['campose_valid'][person][frames] = 0
    sequence = read_sequence(write_sequence(tmp_path, content), 'test')
    found = looks(tmp_path, sequence, PROTOCOLS['spin'], None)
    assert [(look.index, look.persons.tolist()) for look in found] == [(0, [0, 1]), (2, [1]), (3, [0, 1])]
    assert found[1].frame.name == 'downtown_test_00/image_00002' and found[1].frame.boxes.shape == (1, 4)
    content['campose_valid'] = [np.zeros(4)] * 2
    assert looks(tmp_path, read_sequence(write_sequence(tmp_path, content), 'test'), PROTOCOLS['spin'], None) == []


def test_the_report_has_the_papers_rows_beside_where_they_compare(tmp_path, smpl):
    found, bodies, regressor, body, answers = two_people(tmp_path, smpl)
    pipeline = Answers(body, answers)
    scores = score(pipeline, found, PROTOCOLS['spin'], bodies, regressor, tmp_path, 'truth')
    setting = Setting(PROTOCOLS['spin'], ('test',), None, 'truth', 'embedded', body.id, 1, True)
    report = make_report(setting, scores, pipeline)
    table = report.parts[1]
    assert table.columns == ['Method', 'MPJPE', 'PA-MPJPE', 'PVE', 'found %']
    assert ['Ours', 66.0, 39.0, 76.3, None] in table.rows and len(table.rows) == 16
    assert table.rows[-1][0] == 'embedded, measured' and table.rows[-1][-1] == 100
    assert report.summary['comparable_with_table_1'] and report.summary['people'] == 4
    pictures = [part.title for part in report.parts if isinstance(part, Picture)]
    assert len(pictures) == 3 + 4 and 'person' in pictures[-1]  # three plots, and everybody among the worst
    subset = make_report(replace(setting, subset='oc', splits=('train', 'validation', 'test')), scores, pipeline)
    assert not subset.summary['comparable_with_table_1'] and len(subset.parts[1].rows) == 1


def test_intervals_draw_whole_tracks():
    low, high = track_interval(np.array([10.0] * 50 + [20.0] * 50), np.repeat([0, 1], 50))
    assert (low, high) == (10, 20)
    assert np.isnan(track_interval(np.ones(9), np.zeros(9, int))).all()


def evaluate(*arguments):
    return main(['evaluate', '3dpw', *map(str, arguments)])


@pytest.mark.parametrize(
    'arguments, says',
    [
        (
            ['--protocol', 'spin'],
            "--protocol spin: needs SMPL's 6890 vertices, and the body anny-open-1 has 13718; give",
        ),
        (['--smpl', 'data'], "--smpl: needs SMPL's 6890 vertices, and the body anny-open-1 has 13718; give"),
        (['--protocol', 'common'], 'sequenceFiles/test: no such folder; expected'),
        (['--protocol', 'spin', '--body', 'SMPL_MALE.pkl'], '--protocol spin: needs the SMPL bodies of the truth'),
        (['--body', 'SMPL_MALE.pkl', '--smpl', '.'], '--protocol spin: needs J_regressor_h36m.npy; give --regressors'),
        (['--body', 'SMPL_MALE.pkl', '--smpl', '.', '--regressors', 'data'], 'data/J_regressor_h36m.npy: No such file'),
        (['--body', 'SMPL_MALE.pkl', '--smpl', 'data'], 'data: no SMPL body of gender m; expected SMPL_MALE.pkl'),
    ],
)
def test_what_is_missing_is_said_in_one_line_before_any_work(tmp_path, smpl, monkeypatch, capsys, arguments, says):
    monkeypatch.chdir(smpl)
    assert evaluate('--data', 'data', '--out', tmp_path, *arguments) == 1
    error = capsys.readouterr().err
    assert says in error and error.count('\n') == 1


def test_the_real_models_run_from_the_command_line_to_a_report(tmp_path, capsys, monkeypatch):
    """Truth is made of the models' own answer with both ankles 120 mm off: 20 mm of MPJPE over 12 joints."""
    picture = cv2.imread(str(Path(__file__).parents[2] / 'data' / 'two_people.png'))[..., ::-1]
    picture = np.ascontiguousarray(picture)
    height, width = picture.shape[:2]
    content = sequence_content(people=2, frames=1)
    content['cam_intrinsics'] = np.array([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1.0]])
    path = write_sequence(tmp_path / 'data', content, picture=picture)
    saved = read_picture(tmp_path / 'data' / 'imageFiles' / path.stem / 'image_00000.jpg')
    camera = Camera(width, height, content['cam_intrinsics'], (), 'none')
    pipeline = MeshPipeline(load_config('embedded'))
    monkeypatch.setattr('mesh_perception.pipeline.MeshPipeline', lambda config: pipeline)  # once is slow enough
    joints = pipeline(saved, camera).joints[:2].double().numpy()
    joints[:, [SMPL_JOINTS.index('left_ankle'), SMPL_JOINTS.index('right_ankle')], 2] += 0.12
    content['jointPositions'] = [each.reshape(1, 72) for each in joints]
    write_sequence(tmp_path / 'data', content, picture=picture)

    out = tmp_path / 'out'
    common = ['--data', tmp_path / 'data', '--out', out, '--json', '--boxes', 'detector']
    assert evaluate(*common) == 0
    printed = capsys.readouterr().out
    summary = json.loads(printed.splitlines()[-1])
    assert summary['protocol'] == 'common' and summary['people'] == 2 and summary['found'] == 1
    assert summary['mpjpe_mm'] == pytest.approx(20, abs=0.05)
    assert "not the paper's protocol" in printed and 'Mesh Graphormer' in printed
    page = (out / 'report.html').read_text()
    assert 'Not computed: PVE' in page and page.count('<img') >= 5
    assert len((out / 'detail.csv').read_text().splitlines()) == 3
    # In the truth's own boxes, whoever is there is found anew: not the same to a millimetre, but the same people.
    assert evaluate(*common[:2], '--out', tmp_path / 'boxes', '--json') == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary['boxes'] == 'truth' and summary['found'] == 1 and summary['mpjpe_mm'] < 120
