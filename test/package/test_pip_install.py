"""`pip install .`: the library without ROS, its configuration and data, and one line for the messages it lacks."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

CHECK = """
import json, mesh_perception
from mesh_perception.resources import config_directory, data_file
try:
    import mesh_perception.msg
    error = None
except ImportError as e:
    error = str(e)
files = [str(p.relative_to(config_directory())) for p in config_directory().rglob('*') if p.is_file()]
print(json.dumps({'package': mesh_perception.__file__, 'version': mesh_perception.__version__, 'error': error,
                  'config': sorted(files), 'data': str(data_file('DATA'))}))
"""


def run(*command, **environment):
    """Standard output of a command that must succeed, without this Python's own environment."""
    foreign = ('PYTHONPATH', 'VIRTUAL_ENV', '_ROS_WHEELS_BOOTSTRAP_COMPLETE')
    clean = {name: value for name, value in os.environ.items() if name not in foreign} | environment
    result = subprocess.run([str(part) for part in command], env=clean, cwd='/', capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def pip(*arguments):
    """This Python's pip, which fetches nothing here."""
    return run(sys.executable, '-m', 'pip', '-q', '--no-input', *arguments)


@pytest.fixture(scope='module')
def wheel(checkout, tmp_path_factory) -> Path:
    pytest.importorskip('pip')
    folder = tmp_path_factory.mktemp('wheel')
    pip('wheel', '--no-deps', '--no-index', '--no-build-isolation', '-w', folder, checkout)
    return next(folder.glob('mesh_perception-*.whl'))


def check(python, checkout, **environment):
    """What an installed package says about itself; asserts what holds for any install."""
    import json

    name = next(path.name for path in (checkout / 'mesh_perception' / 'data').iterdir() if path.is_file())
    found = json.loads(run(python, '-c', CHECK.replace('DATA', name), **environment))
    config = checkout / 'config'
    assert found['config'] == sorted(str(path.relative_to(config)) for path in config.rglob('*') if path.is_file())
    assert '`colcon build`' in found['error'] and '`make setup`' in found['error'] and '\n' not in found['error']
    return found


def test_a_fresh_virtual_environment_has_library_configuration_and_command(wheel, checkout, tmp_path):
    venv.create(tmp_path / 'venv', with_pip=False)
    python = tmp_path / 'venv' / 'bin' / 'python'
    pip('--python', python, 'install', '--no-deps', '--no-index', wheel)
    found = check(python, checkout)
    assert found['package'].startswith(str(tmp_path))
    assert (tmp_path / 'venv' / 'bin' / 'mesh-perception').is_file()


def test_a_target_folder_has_library_and_configuration(wheel, checkout, tmp_path):
    pip('install', '--no-deps', '--no-index', '--target', tmp_path / 'target', wheel)
    python = Path(sys.base_prefix) / 'bin' / 'python3'
    found = check(python, checkout, PYTHONPATH=str(tmp_path / 'target'))
    assert found['package'].startswith(str(tmp_path))


def test_the_wheel_holds_all_of_the_package_and_nothing_else(wheel, checkout):
    import zipfile

    names = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith('mesh_perception/')}
    files = (path for path in (checkout / 'mesh_perception').rglob('*') if path.is_file())
    assert names == {str(path.relative_to(checkout)) for path in files}
    tops = {name.split('/')[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert tops == {'mesh_perception', *(f'mesh_perception-0.1.0.{kind}' for kind in ('data', 'dist-info'))}
