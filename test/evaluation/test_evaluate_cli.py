"""`mesh-perception evaluate`: what all benchmarks have in common."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from mesh_perception.cli import main
from mesh_perception.configuration import ConfigurationError
from mesh_perception.evaluation import cli
from mesh_perception.evaluation.report import Report, Table


@pytest.mark.parametrize('name', cli.PROTOCOLS)
def test_help_names_the_common_options_and_needs_no_torch(name):
    program = (
        'import sys\nfrom mesh_perception.cli import main\n'
        'try:\n    main(["evaluate", sys.argv[1], "--help"])\n'
        'finally:\n    assert not {"torch", "matplotlib"} & set(sys.modules)\n'
    )
    done = subprocess.run([sys.executable, '-c', program, name], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert all(option in done.stdout for option in ('--models', '--body', '--device', '--out', '--json'))
    assert f'default: out/evaluate/{name}' in ' '.join(done.stdout.split())


class Protocol:
    """One that is done at once."""

    HELP = 'nothing'

    @staticmethod
    def add_arguments(parser):
        parser.add_argument('--fail', action='store_true')

    @staticmethod
    def run(arguments):
        if arguments.fail:
            raise ValueError('data/a.pkl: no such file,\nexpected a dataset')
        return Report('T', {'error': float('nan'), 'n': 3}, ['text', Table('Errors', ['mm'], [[12.0]])], [{'mm': 12.0}])


@pytest.fixture
def protocol(monkeypatch):
    monkeypatch.setitem(sys.modules, 'protocol_of_the_test', Protocol)
    monkeypatch.setattr(cli, 'PROTOCOLS', {'nothing': 'protocol_of_the_test'})


def test_tables_are_printed_the_report_is_named_and_json_comes_last(protocol, tmp_path, capsys):
    out = tmp_path / 'a' / 'b'
    assert main(['evaluate', 'nothing', f'--out={out}', '--json']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == ['Errors', '  mm', '----', '12.0'] and f'Report: {out / "report.html"}' in lines
    assert json.loads(lines[-1]) == {'error': None, 'n': 3}
    assert sorted(path.name for path in out.iterdir()) == ['detail.csv', 'report.html', 'summary.json']


def test_a_mistake_is_one_line_and_leaves_no_report(protocol, tmp_path, capsys):
    assert main(['evaluate', 'nothing', f'--out={tmp_path}', '--fail']) == 1
    assert capsys.readouterr() == ('', 'mesh-perception: data/a.pkl: no such file, expected a dataset\n')
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_said_before_the_work(protocol, tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    assert main(['evaluate', 'nothing', f'--out={tmp_path / "file"}', '--fail']) == 1
    assert str(tmp_path / 'file') in capsys.readouterr().err


def test_the_report_says_how_it_was_made(protocol, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['mesh-perception', 'evaluate', 'nothing', '--models', 'my set.yaml'])
    assert main(['evaluate', 'nothing', f'--out={tmp_path}']) == 0
    assert 'mesh-perception evaluate nothing --models &#x27;my set.yaml&#x27;' in (tmp_path / 'report.html').read_text()


def test_options_choose_the_configuration():
    config = cli.load(SimpleNamespace(models='embedded', body=None, device='cpu'))
    assert (config.name, config.body, config.device) == ('embedded', 'open', 'cpu')
    with pytest.raises(ConfigurationError, match='unknown model set'):
        cli.load(SimpleNamespace(models='none such', body=None, device=None))
