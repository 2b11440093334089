"""`make setup` says in one line what it cannot have; Makefile and .ci/run keep their promises."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SETUP = ROOT / 'tools' / 'setup' / 'environment.py'


def run_setup(**environment):
    """`make setup`'s script with these variables alone added or, if None, removed; it must refuse before any work."""
    merged = {name: value for name, value in (os.environ | environment).items() if value is not None}
    result = subprocess.run([sys.executable, SETUP], env=merged, capture_output=True, text=True)
    assert result.returncode == 1 and result.stdout == ''
    assert result.stderr.startswith('setup: ') and result.stderr.count('\n') == 1
    return result.stderr


def test_a_missing_compiler_is_named_with_the_package_that_has_it(tmp_path):
    message = run_setup(PATH=str(tmp_path), CXX=None, ROS_DISTRO=None)
    assert 'C++ compiler' in message and 'apt install g++' in message


def test_a_shell_with_ros_is_sent_to_colcon():
    assert 'colcon build' in run_setup(ROS_DISTRO='jazzy')


@pytest.fixture
def make():
    return shutil.which('make') or pytest.skip('make is not installed')


def test_help_is_the_default_and_lists_every_target(make):
    text = (ROOT / 'Makefile').read_text()
    targets = re.findall(r'^([a-z]+):', text, re.MULTILINE)
    shown = subprocess.run(
        [make, '-C', ROOT, '--no-print-directory'], capture_output=True, text=True, check=True
    ).stdout
    assert re.findall(r'make ([a-z]+) ', shown) == targets
    assert set(targets) == set(re.search(r'^\.PHONY: (.*)', text, re.MULTILINE)[1].split())


def test_demo_hands_its_variables_on_and_stays_on_this_host(make):
    shown = subprocess.run([make, '-C', ROOT, '-n', 'demo', 'FRAMES=7', 'CAMERAS=all'], capture_output=True, text=True)
    assert 'python -m mesh_perception.ros.demo --frames 7 --cameras all' in shown.stdout
    assert re.search(
        r'^demo test view: export ROS_AUTOMATIC_DISCOVERY_RANGE = LOCALHOST$', (ROOT / 'Makefile').read_text(), re.M
    )


def test_view_and_bag_hand_their_variables_on_and_bag_asks_for_its_own(make):
    def shown(*arguments):
        result = subprocess.run([make, '-C', ROOT, '-n', *arguments], capture_output=True, text=True)
        return result.returncode, ' '.join(result.stdout.replace('\\', '').split()), result.stderr

    code, commands, _ = shown('view', 'CAMERA=cam02', 'SAVE=a b.rrd')
    assert code == 0 and 'environment.py view' in commands, 'rerun is installed by this target alone'
    assert 'mesh_perception.ros.demo.view --camera cam02 --save "a b.rrd"' in commands
    code, commands, _ = shown('bag', 'BAG=my bag', 'IMAGE=/left')
    assert code == 0 and 'mesh-perception bag "my bag" --image "/left"' in commands
    code, _, errors = shown('bag')
    assert code == 2 and 'BAG=PATH is missing' in errors


@pytest.mark.parametrize('code', [0, 1, 5])
def test_ci_exits_as_make_test_did(tmp_path, code):
    fake = tmp_path / 'make'
    fake.write_text(f'#!/bin/sh\ntest "$*" = test && test -f package.xml && exit {code}\nexit 99\n')
    fake.chmod(0o755)
    environment = os.environ | {'PATH': f'{tmp_path}{os.pathsep}{os.environ["PATH"]}'}
    assert subprocess.run([ROOT / '.ci' / 'run'], env=environment, cwd='/').returncode == code


def test_setup_has_nothing_to_do_when_nothing_changed(make):
    if Path(sys.prefix) != ROOT / '.venv' or not (ROOT / '.venv' / 'messages.stamp').is_file():
        pytest.skip('this environment was not made by `make setup`')
    result = subprocess.run([make, '-C', ROOT, '-s', '--no-print-directory', 'setup'], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, '', '')
