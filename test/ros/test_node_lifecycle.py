"""A node's states: what each of them holds, what fails a transition, and that it can always be tried again."""

import re
import signal
import sys
import time
from pathlib import Path

import pytest

rclpy = pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('mesh_perception.msg', reason='needs the built messages', exc_type=ImportError)
pytest.importorskip('tf2_msgs.msg', reason='needs tf2_msgs')
import torch
from lifecycle_msgs.msg import Transition
from std_srvs.srv import SetBool

sys.path.insert(0, str(Path(__file__).parent))
from live import NodeProcess, parameters

from mesh_perception.weights.store import cache_directory

CONFIGURE, CLEANUP = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_CLEANUP
ACTIVATE, DEACTIVATE = Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_DEACTIVATE


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """A folder of weights that a test may take away."""
    cache = tmp_path_factory.mktemp('weights') / 'cache'
    cache.symlink_to(cache_directory(), target_is_directory=True)
    return cache


@pytest.fixture(scope='module')
def report(camera):
    return camera.reports()


@pytest.fixture(scope='module')
def node(environment, camera, weights, tmp_path_factory):
    """One node for all tests: each begins and ends with it unconfigured."""
    names = 'autostart:=false', 'image_reliability:=reliable', 'diagnostics_period:=0.2', 'image_timeout:=1.0'
    node = NodeProcess(
        {**environment, 'MESH_PERCEPTION_CACHE': str(weights)},
        tmp_path_factory.mktemp('node') / 'log',
        *parameters(*names),
    )
    try:
        assert camera.state() == 'unconfigured'
        yield node
        assert 'Traceback' not in node.log(), node.log()
    finally:
        node.stop()


def resident(node):
    """MB of a process."""
    return int(re.search(r'VmRSS:\s+(\d+) kB', Path(f'/proc/{node.process.pid}/status').read_text())[1]) / 1e3


def subscribers(camera):
    return camera.images.get_subscription_count()


def answer(camera):
    assert camera.wait(lambda: subscribers(camera))
    return camera.answer(camera.image(), camera.camera_info())


def says(camera, report, words):
    return camera.wait(lambda: report() and words in report().message, 10)


def test_deactivate_gives_the_models_memory_back_and_cleanup_all(node, camera):
    """On a CPU; the same on a GPU is below. Whatever libraries keep for good shows in the first round alone."""
    figures = []
    for _ in range(2):
        figures.append([resident(node)])
        assert camera.change_state(CONFIGURE) and camera.change_state(ACTIVATE), node.log()
        assert answer(camera).people
        figures[-1].append(resident(node))
        assert camera.change_state(DEACTIVATE)
        figures[-1].append(resident(node))
        assert camera.change_state(ACTIVATE)
        assert answer(camera).people, 'it works as before'
        assert camera.change_state(DEACTIVATE) and camera.change_state(CLEANUP)
        figures[-1].append(resident(node))
    print('\nMB: unconfigured, active, deactivated, cleaned up:', [[round(f) for f in row] for row in figures])
    for _, active, inactive, _ in figures:
        assert active - inactive > 60, 'the networks have 30 MB of weights, and as much again in prepared layouts'
    assert figures[-1][-1] - figures[0][-1] < 15, 'nothing piles up'


def test_what_fails_a_transition_is_one_line_and_may_be_put_right(node, camera, report):
    begin = len(node.log())
    for name, value, words, good in (
        ('models', 'nowhere', 'nowhere', 'embedded'),
        ('device', 'cuda:99', "device 'cuda:99' is not there", 'cpu'),
        ('body', '/nowhere/smpl.npz', '/nowhere/smpl.npz', ''),
        ('overrides', ['skeleton.netwrk=x'], 'skeleton.netwrk', ['detection.nanodet=false']),
    ):
        assert camera.set_parameter(name, value).successful
        assert not camera.change_state(CONFIGURE) and camera.state() == 'unconfigured'
        assert camera.wait(lambda words=words: words in node.log()[begin:], 5), node.log()
        assert says(camera, report, words), report()
        assert camera.set_parameter(name, good).successful
    lines = node.log()[begin:].strip().splitlines()
    assert sum('cannot configure' in line for line in lines) == 4 == len([x for x in lines if 'ERROR' in x]), lines
    assert camera.change_state(CONFIGURE), node.log()
    refused = camera.set_parameter('models', 'paper')
    assert not refused.successful and 'unconfigured' in refused.reason
    assert camera.change_state(CLEANUP)


def test_weights_that_go_away_fail_activate_and_may_come_back(node, camera, weights):
    assert camera.change_state(CONFIGURE) and camera.change_state(ACTIVATE) and camera.change_state(DEACTIVATE)
    target = weights.readlink()
    weights.unlink()
    try:
        assert not camera.change_state(ACTIVATE) and camera.state() == 'inactive'
        assert 'cannot activate' in node.log() and 'mesh-perception weights fetch' in node.log(), node.log()
    finally:
        weights.symlink_to(target, target_is_directory=True)
    assert camera.change_state(ACTIVATE)
    assert answer(camera).people
    assert camera.change_state(DEACTIVATE) and camera.change_state(CLEANUP)


def test_enable_stops_the_work_and_starts_it_at_once(node, camera, report):
    enable = lambda data: camera.call(SetBool, 'enable', data=data)  # noqa: E731
    assert enable(False).message == 'unconfigured', 'it may be set before'
    assert camera.change_state(CONFIGURE) and camera.change_state(ACTIVATE)
    assert says(camera, report, 'disabled') and not subscribers(camera)
    assert enable(True).success
    ids = {person.id for person in answer(camera).people}
    before = resident(node)
    for _ in range(2):
        response = enable(False)
        assert response.success and response.message == 'disabled'
    assert camera.wait(lambda: not subscribers(camera)) and says(camera, report, 'disabled')
    assert camera.state() == 'active' and abs(resident(node) - before) < 30, 'the models stay'
    camera.received['mesh_perception/people'].clear()
    camera.send(camera.image(), camera.camera_info())
    camera.wait(lambda: False, 0.5)
    assert not camera.received['mesh_perception/people'], 'nothing is worked on'
    begin = time.monotonic()
    assert enable(True).message == 'active'
    assert time.monotonic() - begin < 1, 'nothing has to be loaded'
    assert {person.id for person in answer(camera).people} == ids, 'nobody was forgotten'
    assert camera.change_state(DEACTIVATE) and camera.change_state(CLEANUP)


def test_diagnostics_name_every_state(node, camera, report):
    assert says(camera, report, 'unconfigured')
    assert camera.change_state(CONFIGURE) and says(camera, report, 'inactive')
    assert camera.change_state(ACTIVATE) and says(camera, report, 'waiting')
    assert {v.key: v.value for v in report().values}['state'] == 'active'
    assert camera.change_state(DEACTIVATE) and says(camera, report, 'inactive')
    assert camera.change_state(CLEANUP) and says(camera, report, 'unconfigured')


def test_after_shutdown_it_is_finalized_and_ends_on_a_signal(node, camera, report):
    """Last in this file: nothing comes after."""
    assert camera.change_state(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    assert camera.state() == 'finalized' and says(camera, report, 'finalized')
    node.process.send_signal(signal.SIGINT)
    assert node.process.wait(20) == 0, node.log()


@pytest.mark.parametrize('moment', ['libtorch', '_rclpy_pybind11', 'loading', 'waiting'])
def test_a_signal_at_any_moment_of_the_start_ends_it_with_0_and_no_trace(environment, tmp_path, moment):
    """A library in memory or a word in the log: imports, DDS, models, subscriptions."""
    signals = signal.SIGINT, signal.SIGTERM
    nodes = [NodeProcess(environment, tmp_path / f'{number}') for number in signals]
    deadline = time.monotonic() + 60

    def reached(node):
        return moment in node.log() or moment in Path(f'/proc/{node.process.pid}/maps').read_text()

    try:
        for node, number in zip(nodes, signals, strict=True):
            while not reached(node) and time.monotonic() < deadline:
                time.sleep(0.01)
            assert node.stop(number) == 0, node.log()
            assert 'Traceback' not in node.log() and 'rror' not in node.log(), node.log()
    finally:
        for node in nodes:
            node.stop()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_deactivate_gives_the_gpu_memory_back(environment, monkeypatch):
    from mesh_perception.ros.node import MeshPerceptionNode

    monkeypatch.setenv('ROS_DOMAIN_ID', environment['ROS_DOMAIN_ID'])
    context = rclpy.Context()
    context.init(args=['test', '--ros-args', '-p', 'device:=cuda', '-p', 'autostart:=false'])
    node = MeshPerceptionNode(context=context)
    try:
        before = torch.cuda.memory_allocated()
        node.trigger_configure()
        node.trigger_activate()
        active = torch.cuda.memory_allocated()
        assert active - before > 20e6, 'the weights of the networks'
        node.trigger_deactivate()
        assert torch.cuda.memory_allocated() - before < 1e6 and torch.cuda.memory_reserved() - before < 30e6
        node.trigger_activate()
        assert abs(torch.cuda.memory_allocated() - active) < 1e6
        node.trigger_deactivate()
        node.trigger_cleanup()
        assert torch.cuda.memory_allocated() - before < 1e6
    finally:
        node.close()
        context.try_shutdown()
