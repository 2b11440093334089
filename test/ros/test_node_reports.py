"""What a live node says of itself, and how its parameters are set: diagnostics, clocks, calibrations, over DDS."""

import sys
import time
from pathlib import Path

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('mesh_perception.msg', reason='needs the built messages', exc_type=ImportError)
pytest.importorskip('tf2_msgs.msg', reason='needs tf2_msgs')
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from std_srvs.srv import SetBool

sys.path.insert(0, str(Path(__file__).parent))
from live import running

OK, WARN, STALE = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.STALE


@pytest.fixture(scope='module')
def newest(camera):
    return camera.reports()


@pytest.fixture(scope='module')
def node(environment, camera, newest, tmp_path_factory):
    """One node for all tests; each leaves it active, with the parameters it had."""
    given = 'image_reliability:=reliable', 'diagnostics_period:=0.2', 'max_age:=20.0', 'image_timeout:=2.0'
    with running(environment, camera, tmp_path_factory.mktemp('node'), *given) as node:
        yield node


@pytest.fixture
def report(camera, newest, node):
    """report(*words): waits for a status whose message holds all of them; (level, message, values)."""

    def wait(*words, send=None, patience=15.0):
        def found():
            if send is not None:
                send()
            status = newest()
            return status if status is not None and all(word in status.message for word in words) else None

        camera.received['/diagnostics'].clear()  # what was said before does not count

        status = camera.wait(found, patience)
        assert status is not None, (words, newest(), node.log()[-2000:])
        return status.level, status.message, {v.key: v.value for v in status.values}

    return wait


def answer_now(camera, offset=0.0):
    """An image stamped by this machine's clock plus an offset, answered."""
    camera.now = time.time() + offset
    return camera.answer(camera.image(), camera.camera_info())


def set_all(camera, **values):
    request = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
    return camera.call(SetParametersAtomically, 'set_parameters_atomically', parameters=request).result


def test_waiting_silence_and_work_have_levels_of_their_own(camera, node, report):
    for data, word, level in ((False, 'disabled', OK), (True, 'waiting for the first image', STALE)):
        assert camera.call(SetBool, 'enable', data=data).success
        assert report(word)[0] == level
    camera.wait_for(node)
    assert report('no images for')[0] == WARN
    level, _, values = report('people', send=lambda: answer_now(camera))
    assert level == OK and int(values['people']) >= 2 and values['clock'] == 'fits the stamps'
    assert values['model set'] == 'embedded' and values['device'] == 'cpu'
    assert float(values['resident memory, MiB']) > 100
    for stage in ('latency', 'take the image', 'skeleton', 'pipeline', 'publish', 'age of the result'):
        assert float(values[f'{stage}, 95 %, ms']) >= float(values[f'{stage}, median, ms']) > 0


def test_refused_images_are_counted_by_cause(camera, node, report):
    answer_now(camera)
    level, text, values = report('refused', send=lambda: camera.send(camera.image(encoding='rgb9')))
    assert level == WARN and 'unknown encoding' in text
    assert int(values['images refused in total: bad image']) >= 1


def test_old_results_are_warned_of_as_max_age_says(camera, node, report):
    assert camera.set_parameter('max_age', 1.0).successful
    level, _, values = report('older than 1 s', send=lambda: answer_now(camera, -5.0))
    assert level == WARN and float(values['age of the result, 95 %, ms']) > 1000
    assert camera.set_parameter('max_age', 20.0).successful
    assert report('people', send=lambda: answer_now(camera, -4.0))[0] == OK


@pytest.mark.parametrize('offset, words', [(1000.0, 's ahead of it'), (-4e6, 'without use_sim_time')])
def test_a_wrong_clock_is_warned_of_once_with_both_values(camera, node, report, offset, words):
    level, text, _ = report('wrong clock', words, send=lambda: answer_now(camera, offset))
    assert level == WARN and 'image stamp' in text and 'clock' in text
    for _ in range(3):
        answer_now(camera, offset + 3)
    assert node.log().count(words) == 1
    for _ in range(2):
        people = answer_now(camera).people
    assert people and report('people')[2]['clock'] == 'fits the stamps'


def test_simulated_time_without_a_clock_is_told_and_with_it_is_fine(camera, node, report):
    assert camera.set_parameter('use_sim_time', True).successful
    assert report('nothing has come on /clock', send=lambda: answer_now(camera))[0] == WARN
    clock = camera.node.create_publisher(Clock, '/clock', 10)
    assert camera.wait(clock.get_subscription_count)

    def answer():
        camera.now = 50.0
        message = Clock()
        message.clock.sec = 50
        clock.publish(message)
        camera.answer(camera.image(), camera.camera_info())

    assert report('people', send=answer)[2]['clock'] == 'fits the stamps'
    assert camera.set_parameter('use_sim_time', False).successful
    camera.node.destroy_publisher(clock)
    report('people', send=lambda: answer_now(camera))


def test_parameters_are_set_all_or_none_over_the_service(camera, node):
    def vertices():
        return len(answer_now(camera).people[0].vertices)

    for bad, words in (
        ({'marker_mesh': 'heavy'}, "parameter marker_mesh: 'heavy'; expected one of light, full"),
        ({'autostart': False}, 'parameter autostart: read-only'),
        ({'max_people': 3}, 'cleanup first'),
        ({'max_age': float('nan')}, 'parameter max_age: nan; expected'),
        ({'publish_marker': True}, "did you mean 'publish_markers'?"),
    ):
        result = set_all(camera, publish_vertices=True, **bad)
        assert not result.successful and words in result.reason and '\n' not in result.reason
    assert vertices() == 0
    assert set_all(camera, publish_vertices=True, publish_tf=False).successful
    assert vertices() > 20000
    assert set_all(camera, publish_vertices=False, publish_tf=True).successful


def test_a_binned_part_of_the_sensor_is_answered_with_its_own_k(camera, node):
    info = camera.camera_info()
    height, width = camera.picture.shape[:2]
    info.width, info.height, info.binning_x, info.binning_y = 2 * width + 100, 2 * height + 60, 2, 2
    info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = 40, 20, 2 * width, 2 * height
    k = 2 * camera.k
    k[:2, 2] += 0.5 + np.array((40, 20))
    k[2, 2] = 1
    info.k = k.reshape(-1)
    camera.now = time.time()
    message = camera.answer(camera.image(), info)
    np.testing.assert_allclose(message.k.reshape(3, 3), camera.k, atol=1e-9)
    assert message.people


def test_a_rectified_image_is_answered_with_p_after_a_new_configure(camera, node):
    assert 'cleanup first' in camera.set_parameter('image_is_rectified', 'true').reason
    for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP):
        assert camera.change_state(transition)
    assert camera.set_parameter('image_is_rectified', 'true').successful
    for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        assert camera.change_state(transition)
    camera.wait_for(node)
    info = camera.camera_info()
    p = np.zeros((3, 4))
    p[:, :3] = np.diag((1.1, 1.1, 1)) @ camera.k
    info.p, info.distortion_model, info.d = p.reshape(-1), 'plumb_bob', [-0.3, 0.1, 0.0, 0.0, 0.0]
    camera.now = time.time()
    message = camera.answer(camera.image(), info)
    np.testing.assert_allclose(message.k.reshape(3, 3), p[:, :3])
    assert message.people
