"""A real `colcon build` of a copy of the checkout, in a path with a space, plain and with --symlink-install (11 s each
on an idle machine)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CHECK = """
import json, mesh_perception, mesh_perception.msg
from ament_index_python.packages import get_package_share_directory
from mesh_perception.msg import BodyModel, SmplPeople, SmplPerson
from mesh_perception.resources import config_directory
from rclpy.serialization import serialize_message
serialize_message(SmplPeople(people=[SmplPerson()]))
print(json.dumps([mesh_perception.__file__, mesh_perception.msg.__file__, str(config_directory()),
                  get_package_share_directory('mesh_perception')]))
"""


def environment():
    """What colcon needs in a virtual environment with the ROS 2 wheels; as it is where ROS is sourced."""
    result = {name: value for name, value in os.environ.items() if name not in ('PYTHONPATH', 'COLCON_HOME')}
    if 'ROS_DISTRO' in os.environ:
        result['PYTHONPATH'] = os.environ.get('PYTHONPATH', '')
    else:
        result |= {'AMENT_PREFIX_PATH': sys.prefix, 'VIRTUAL_ENV': sys.prefix}
    result['PATH'] = f'{Path(sys.executable).parent}{os.pathsep}{result["PATH"]}'
    return result


def build(folder, *options):
    """`colcon build` in a workspace; it must succeed."""
    result = subprocess.run(
        ['colcon', 'build', *options, '--cmake-args', f'-DPython3_EXECUTABLE={sys.executable}'],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]


@pytest.fixture(scope='module', params=['plain', 'symlink'])
def workspace(request, checkout, tmp_path_factory):
    """A workspace with the package built in it, as (its folder, whether files are symbolic links)."""
    pytest.importorskip('ament_index_python', reason='no ROS 2 here')
    if not shutil.which('colcon', path=environment()['PATH']):
        pytest.skip('colcon is not installed')
    folder = tmp_path_factory.mktemp(f'{request.param} workspace')
    shutil.copytree(checkout, folder / 'src' / 'mesh_perception')
    build(folder, *(['--symlink-install'] if request.param == 'symlink' else []))
    return folder, request.param == 'symlink'


def sourced(folder, command):
    """Output of a command after `source install/setup.bash`, started from elsewhere; it must succeed."""
    script = f'source "{folder}/install/setup.bash" && cd / && {command}'
    result = subprocess.run(['bash', '-c', script], env=environment(), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_package_messages_and_configuration_come_from_the_install(workspace):
    import json

    folder, symlinks = workspace
    prefix = folder / 'install' / 'mesh_perception'
    (folder / 'check.py').write_text(CHECK)
    package, messages, config, share = json.loads(sourced(folder, f'{sys.executable} "{folder}/check.py"'))
    assert Path(package).is_relative_to(prefix) and Path(messages).is_relative_to(prefix)
    assert Path(config) == prefix / 'share' / 'mesh_perception' / 'config' == Path(share) / 'config'
    assert Path(package).is_symlink() == symlinks


def test_nodes_launch_files_and_configuration_are_where_ros2_looks(workspace, checkout):
    folder, symlinks = workspace
    prefix = folder / 'install' / 'mesh_perception'
    for program in (checkout / 'scripts').iterdir():
        assert os.access(prefix / 'lib' / 'mesh_perception' / program.name, os.X_OK)
    for name in ('launch', 'config'):
        for source in (path for path in (checkout / name).rglob('*') if path.is_file()):
            installed = prefix / 'share' / 'mesh_perception' / source.relative_to(checkout)
            assert installed.read_bytes() == source.read_bytes()
            assert installed.is_symlink() == symlinks


def test_the_command_runs_from_the_install(workspace):
    folder, _ = workspace
    program = folder / 'install' / 'mesh_perception' / 'lib' / 'mesh_perception' / 'mesh-perception'
    assert '{' in sourced(folder, f'"{program}" --help')


def test_only_one_package_is_found(workspace):
    folder, _ = workspace
    assert sourced(folder, f'colcon list --names-only --base-paths "{folder}/src"').split() == ['mesh_perception']


@pytest.mark.parametrize('workspace', ['plain'], indirect=True)  # the last test of this workspace
def test_symlinks_may_follow_a_plain_build(workspace):
    folder, _ = workspace
    build(folder, '--symlink-install')
    (module,) = folder.glob('install/mesh_perception/lib/python3*/site-packages/mesh_perception/cli.py')
    assert module.resolve() == folder / 'src' / 'mesh_perception' / 'mesh_perception' / 'cli.py'
