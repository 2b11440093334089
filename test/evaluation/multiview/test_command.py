"""The benchmark on the first frames of the real footage, from the command line.

The 2D points of the four cameras were recorded (`find_keypoints`, test_keypoints.py): they take most of the time.
"""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mesh_perception import cli
from mesh_perception.configuration import RefinementConfig, TwistShapeConfig, load_config
from mesh_perception.evaluation.multiview import command, footage, reference
from mesh_perception.evaluation.multiview.figures import means
from mesh_perception.evaluation.multiview.followed import WatchedPipeline
from mesh_perception.evaluation.multiview.scene import measure, untrained
from mesh_perception.evaluation.multiview.story import tell
from mesh_perception.evaluation.report import Table
from mesh_perception.media import VideoFile, read_frames
from mesh_perception.pipeline import MeshPipeline
from mesh_perception.weights.store import path_of

FRAMES = 6
HEAVY = 'blazepose_heavy'
KEYS = {'mpjpe_mm', 'pa_mpjpe_mm', 'depth_error_m', 'jitter_mm', 'found'}


@pytest.fixture(scope='module')
def short_footage(tmp_path_factory):
    """What stands for `path_of`: the same files, videos cut to their first frames."""
    folder = tmp_path_factory.mktemp('footage')

    def short(name):
        if not name.endswith('.mp4'):
            return path_of(name)
        target = folder / name.replace('/', '_')
        if not target.exists():
            with VideoFile(target, footage.RATE) as video:
                for _, frame in zip(range(FRAMES), read_frames(path_of(name)), strict=False):
                    video.write(frame.image)
        return target

    return short


@pytest.fixture
def recorded(short_footage, monkeypatch):
    """The footage is short, and its 2D points are known."""
    with np.load(Path(__file__).parents[2] / 'data' / 'single_person_keypoints.npz', allow_pickle=False) as arrays:
        recorded = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    monkeypatch.setattr(footage, 'path_of', short_footage)
    monkeypatch.setattr(
        reference, 'find_keypoints', lambda scene, camera, folder, finder=None: recorded[camera][:FRAMES]
    )


@pytest.fixture
def run(recorded, tmp_path, capsys):
    """Runs the benchmark on one camera's first frames. -> (folder, what was printed)"""

    def run():
        arguments = ['evaluate', 'multiview', '--scene', 'single_person', '--cameras', 'cam03', '--json']
        assert cli.main([*arguments, '--out', str(tmp_path)]) == 0
        return tmp_path, capsys.readouterr().out

    return run


def test_a_short_run_says_what_the_contract_asks_for_and_the_next_one_goes_on(run, monkeypatch):
    out, printed = run()
    result = json.loads(printed.splitlines()[-1])
    assert set(result) == {'single_person'}
    scene = result['single_person']
    assert KEYS <= set(scene) and set(scene['baseline']) == KEYS
    assert scene['mpjpe_mm'] != scene['baseline']['mpjpe_mm']  # the set without its trained parts, in the same run
    assert 0.2 < scene['sigma_ratio'] < 5
    assert scene['found'] == 1 and scene['id_switches'] == 0
    assert 20 < scene['pa_mpjpe_mm'] < scene['mpjpe_mm'] < 250
    assert scene['depth_error_m'] < 1 and scene['floor']['mean']['mpjpe_mm'] > 0
    assert json.loads((out / 'summary.json').read_text()) == result
    page = (out / 'report.html').read_text()
    assert page.count('<img ') >= 4 and 'where the error comes from' in page
    with (out / 'detail.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [(row['camera'], row['person'], row['frame']) for row in rows] == [
        ('cam03', 'man', str(frame)) for frame in range(FRAMES)
    ]
    mean = sum(float(row['mpjpe_mm']) for row in rows) / FRAMES
    assert mean == pytest.approx(scene['mpjpe_mm'])

    monkeypatch.setattr(MeshPipeline, '__call__', None)  # what is known is not computed again
    again = run()[1]
    assert json.loads(again.splitlines()[-1]) == result


def test_a_baseline_is_measured_beside_the_models(recorded, tmp_path):
    pipelines = [WatchedPipeline(load_config('embedded', {'skeleton.network': n})) for n in ('blazepose_full', HEAVY)]
    result = measure('single_person', ['cam03'], *pipelines, tmp_path)
    report = tell([result], pipelines[0], 'quick', has_baseline=True)
    summary = report.summary['single_person']
    assert set(summary['baseline']) == KEYS
    assert summary['baseline'] == {key: value for key, value in means(result.baseline).items() if key in KEYS}
    assert summary['baseline']['mpjpe_mm'] != summary['mpjpe_mm'] == means(result.figures)['mpjpe_mm']
    columns = next(part for part in report.parts if isinstance(part, Table)).columns
    assert columns == ['', 'all', 'all, without trained heads']


def test_names_on_the_command_line_are_those_of_the_footage():
    assert command.SCENES == footage.SCENES and command.CAMERAS == footage.CAMERAS


def test_only_a_set_with_trained_heads_has_another_baseline():
    assert untrained(load_config('embedded', {'skeleton.network': 'blazepose_full'})) is None
    plain = untrained(load_config('embedded'))
    assert (plain.skeleton.head, plain.twist_shape.kind, plain.refinement.kind) == ('none', 'none', 'none')
    plain = untrained(load_config('paper'))
    assert (plain.twist_shape, plain.refinement) == (TwistShapeConfig('none'), RefinementConfig())
    assert plain.skeleton == replace(load_config('paper').skeleton, head='none')


@pytest.mark.parametrize('wrong', [['--scene', 'three_person'], ['--cameras', 'cam05']])
def test_unknown_scenes_and_cameras_are_wrong_usage(wrong, capsys):
    with pytest.raises(SystemExit) as error:
        cli.main(['evaluate', 'multiview', *wrong])
    assert error.value.code == 2 and wrong[1] in capsys.readouterr().err
