"""Several cameras in one process: each with topics, tracker and people of its own, and equal parts of the networks."""

import signal
import sys
from pathlib import Path

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('mesh_perception.msg', reason='needs the built messages', exc_type=ImportError)
pytest.importorskip('tf2_msgs.msg', reason='needs tf2_msgs')
from lifecycle_msgs.msg import Transition
from std_srvs.srv import SetBool
from tf2_msgs.msg import TFMessage

sys.path.insert(0, str(Path(__file__).parent))
from live import Camera, NodeProcess

MODULE = 'mesh_perception.ros.cameras'
NAMES = ('front', 'rear')


@pytest.fixture(scope='module')
def cameras(environment, scene):
    """The second camera sees the first one's picture mirrored."""
    picture, k = scene
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    cameras = [Camera(environment, (image, k), name) for image, name in zip((picture, mirrored), NAMES, strict=True)]
    yield cameras
    for camera in cameras:
        camera.close()


@pytest.fixture(scope='module')
def node(environment, cameras, tmp_path_factory):
    log = tmp_path_factory.mktemp('node') / 'log'
    arguments = ['-p', 'image_reliability:=reliable', '-p', 'diagnostics_period:=0.2']
    node = NodeProcess(environment, log, *arguments, module=MODULE, cameras=NAMES)
    try:
        for camera in cameras:
            camera.wait_for(node)
        yield node
        assert node.process.poll() is None and 'Traceback' not in node.log(), node.log()
        assert node.stop(signal.SIGTERM) == 0, node.log()
    finally:
        node.stop()


def test_each_camera_has_its_own_people_topics_and_frames(node, cameras):
    front = cameras[0]
    front.listen(TFMessage, '/tf')
    answers = [camera.answer(camera.image(), camera.camera_info()).people for camera in cameras]
    assert all(len(people) >= 2 for people in answers)
    ids = [{person.id for person in people} for people in answers]
    assert not ids[0] & ids[1], 'ids never meet'
    nearest = [min(people, key=lambda person: person.joints[2]).joints_2d[0] for people in answers]
    assert abs(nearest[0] + nearest[1] - front.picture.shape[1]) < 40, 'each saw its own picture'
    answers = [camera.answer(camera.image()).people for camera in cameras]
    assert [{person.id for person in people} for people in answers] == ids, 'ids stay'

    def frames():  # of whoever a detector has seen twice
        for camera in cameras:
            camera.answer(camera.image())
        found = [t.child_frame_id for m in front.received['/tf'] for t in m.transforms]
        named = {name.removeprefix('smpl_')[:5] for name in found}
        return named & ids[0] and named & ids[1]

    assert front.wait(frames), 'both on one /tf'


def test_two_busy_cameras_get_an_equal_part_each(node, cameras):
    """Both get images faster than they can be answered, for a while."""
    for camera in cameras:
        camera.answer(camera.image(), camera.camera_info())
        camera.received['mesh_perception/people'].clear()

    def counts():
        return [len(camera.received['mesh_perception/people']) for camera in cameras]

    def enough():
        for camera in cameras:
            camera.images.publish(camera.image())
            camera.executor.spin_once(timeout_sec=0.01)
        return sum(counts()) >= 24

    assert cameras[0].wait(enough), counts()
    print('\nimages answered:', counts())
    assert abs(counts()[0] - counts()[1]) <= 0.25 * sum(counts()), counts()


def test_one_camera_may_be_switched_off_without_the_other(node, cameras):
    front, rear = cameras
    assert front.call(SetBool, 'enable', data=False).message == 'disabled'
    assert rear.answer(rear.image(), rear.camera_info()).people
    assert front.change_state(Transition.TRANSITION_DEACTIVATE)
    assert rear.answer(rear.image()).people, 'the networks stay while somebody needs them'
    assert front.change_state(Transition.TRANSITION_CLEANUP)
    assert rear.answer(rear.image()).people
    assert front.call(SetBool, 'enable', data=True).success
    assert front.change_state(Transition.TRANSITION_CONFIGURE) and front.change_state(Transition.TRANSITION_ACTIVATE)
    front.wait_for(node)
    assert front.answer(front.image(), front.camera_info()).people


def test_both_have_diagnostics_under_their_names(node, cameras):
    for camera in cameras:
        report = camera.reports()
        assert camera.wait(report, 10), 'see live.Camera.reports'


def test_wrong_cameras_are_one_line_and_a_code(environment, tmp_path):
    cases = [((), 2, 'usage: mesh_cameras'), (('a b',), 1, "'/a b' is no namespace"), (('x', '/x'), 1, 'comes twice')]
    nodes = [
        NodeProcess(environment, tmp_path / f'{number}', module=MODULE, cameras=names)
        for number, (names, _, _) in enumerate(cases)
    ]
    try:
        for node, (_, code, words) in zip(nodes, cases, strict=True):
            assert node.process.wait(60) == code
            assert words in node.log() and 'Traceback' not in node.log(), node.log()
    finally:
        for node in nodes:
            node.stop()
