"""The command line's own promises: quick help, exit codes, one line for a mistake; and `describe`."""

import json
import subprocess
import sys

import pytest

from mesh_perception import __version__
from mesh_perception.cli import COMMANDS, main
from mesh_perception.configuration import load_config


@pytest.mark.parametrize('arguments', [[], *([name] for name in COMMANDS)])
def test_help_needs_no_torch(arguments):
    program = (
        'import sys\nfrom mesh_perception.cli import main\n'
        'try:\n    main([*sys.argv[1:], "--help"])\n'
        'finally:\n    assert "torch" not in sys.modules, "torch was imported"\n'
    )
    done = subprocess.run([sys.executable, '-c', program, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(' '.join(['usage: mesh-perception', *arguments]))
    if not arguments:
        assert all(f'\n    {name} ' in done.stdout for name in COMMANDS)


def test_a_package_that_is_not_installed_is_said_in_one_line(tmp_path):
    program = (
        'import sys\nsys.modules["torch"] = None  # as if it were not there\n'
        'from mesh_perception.cli import main\nsys.exit(main(["describe"]))\n'
    )
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stdout == ''
    assert done.stderr.startswith("mesh-perception: the Python package 'torch' is not installed for ")
    assert done.stderr.count('\n') == 1


def test_the_version_is_the_packages(capsys):
    with pytest.raises(SystemExit) as ended:
        main(['--version'])
    assert ended.value.code == 0 and capsys.readouterr().out == f'mesh-perception {__version__}\n'


@pytest.mark.parametrize(
    'arguments',
    [
        [],
        ['fly'],
        ['run'],
        ['run', 'a.png', '--camera', '1,1,1,1', '--fov', '50'],
        ['run', 'a.png', '--fov', 'wide'],
        ['benchmark', '--network', 'openpose'],
    ],
)
def test_wrong_usage_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2 and 'usage: mesh-perception' in capsys.readouterr().err


def test_describe_lists_parts_weights_and_the_shapes_it_saw(capsys):
    assert main(['describe', '--json']) == 0
    description = json.loads(capsys.readouterr().out)
    parts = {part['name']: part for part in description['parts']}
    network = load_config('embedded').skeleton.network
    own = ['landmark_head', 'twist_shape']
    assert list(parts) == ['movenet_multipose', 'nanodet', network, *own]
    for name in own:
        (file,) = parts[name]['files']
        assert 1e5 < parts[name]['parameters'] < 1e6 and file['state'] == 'present'
    for part in (part for name, part in parts.items() if name not in own):
        assert part['parameters'] > 1e6
        for file in part['files']:
            assert file['state'] == 'present' and file['licence'] == 'Apache-2.0' and '(npm)' in file['package']
    body = description['body']
    assert body['id'] and body['licence'] == 'CC0-1.0' and body['betas'] == 10
    shapes = {row['name']: row for row in description['shapes']}
    assert shapes[network]['input'] == [[1, 3, 256, 256]]
    assert shapes[network]['output'] == {
        'landmarks': [1, 195],
        'presence': [1, 1],
        'world': [1, 117],
        'features': [1, 1152],
    }
    assert shapes['movenet_multipose']['output'] == [1, 6, 56]
    assert shapes['skeleton']['output']['skeletons']['joints'] == [1, 24, 3]
    assert shapes['mesh']['output'] == {'vertices': [1, body['vertices'], 3], 'joints': [1, 24, 3]}


def test_describe_runs_the_papers_networks_on_random_weights_and_says_which_files_are_missing(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv('MESH_PERCEPTION_CACHE', str(tmp_path))
    assert main(['describe', '--models', 'paper', '--json']) == 0
    description = json.loads(capsys.readouterr().out)
    assert description['weights'].startswith('random')
    parts = {part['name']: part for part in description['parts']}
    assert list(parts) == ['yolov4', 'resnet50_metric', 'twist_shape', 'refinement']
    files = [file for part in parts.values() for file in part['files']] + description['body']['files']
    assert {file['state'] for file in files} == {'missing'} and len(files) == 5
    assert parts['yolov4']['parameters'] > 6e7 and parts['resnet50_metric']['parameters'] > 2.3e7
    shapes = {row['name']: row for row in description['shapes']}
    assert shapes['resnet50_metric']['output']['features'] == [3, 2048, 8, 8]
    assert shapes['refinement']['input'][0][-2:] == [3, 2048]
    assert shapes['refine']['output']['rotations'] == [3, 24, 3, 3]


def test_describe_in_words_holds_the_same(capsys):
    assert main(['describe']) == 0
    text = capsys.readouterr().out
    for part in ('movenet_multipose, 4,723,610 parameters', 'present', 'Apache-2.0', 'CC0-1.0', '1x3x256x256'):
        assert part in text


def test_describe_says_what_is_missing_and_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('MESH_PERCEPTION_CACHE', str(tmp_path))
    assert main(['describe', '--json']) == 1
    output = capsys.readouterr()
    description = json.loads(output.out)
    states = {part['name']: {file['state'] for file in part['files']} for part in description['parts']}
    own = {'landmark_head', 'twist_shape'}  # these come with the package
    assert all(state == ({'present'} if name in own else {'missing'}) for name, state in states.items())
    assert description['shapes'] == [] and description['body']['vertices'] > 0
    assert output.err.count('\n') == 1 and output.err.endswith('run `mesh-perception weights fetch`\n')


def test_describe_names_a_damaged_file(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('MESH_PERCEPTION_CACHE', str(tmp_path))
    (tmp_path / 'files').mkdir()
    (tmp_path / 'files' / 'nanodet.bin').write_bytes(b'damaged')
    assert main(['describe']) == 1
    assert 'damaged  nanodet.bin' in capsys.readouterr().out


def test_describe_refuses_an_unknown_set(capsys):
    assert main(['describe', '--models', 'papre']) == 1
    assert "unknown model set 'papre'" in capsys.readouterr().err
