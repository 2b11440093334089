"""The footage's publisher as a process: interrupted, it ends at once and without a trace."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

rclpy = pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('mesh_perception.msg', reason='needs the built messages', exc_type=ImportError)
pytest.importorskip('tf2_msgs.msg', reason='needs tf2_msgs')
from mesh_perception.ros.demo.footage import demo_footage
from mesh_perception.weights.store import WeightsError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def publisher(monkeypatch):
    """The process, once it waits for somebody to take its images."""
    try:
        demo_footage('cam01')
    except WeightsError as error:
        pytest.skip(f'no footage: {error}')
    domain = random.randrange(1, 100)
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
    monkeypatch.setenv('PYTHONPATH', f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}')
    command = [sys.executable, '-m', 'mesh_perception.ros.demo.publisher', '--ros-args', '-p', 'loop:=true']
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    context = rclpy.Context()
    context.init(domain_id=domain)
    node = rclpy.create_node('watcher', context=context)
    deadline = time.monotonic() + 60
    while process.poll() is None and not node.count_publishers('image') and time.monotonic() < deadline:
        time.sleep(0.05)
    yield process
    node.destroy_node()
    context.shutdown()
    process.kill()
    process.communicate()


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_without_a_trace(publisher, number):
    time.sleep(0.5)
    publisher.send_signal(number)
    errors = publisher.communicate(timeout=20)[1]
    assert (publisher.returncode, errors) == (0, '')
