"""What goes wrong around a running node: listeners, cameras, clocks, files, namesakes, its own end."""

import os
import select
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('mesh_perception.msg', reason='needs the built messages', exc_type=ImportError)
pytest.importorskip('tf2_msgs.msg', reason='needs tf2_msgs')
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from mesh_perception.msg import SmplPeople
from mesh_perception.ros.soak.driver import stamp_of
from mesh_perception.ros.soak.process import SHARED_MEMORY, left_behind
from mesh_perception.weights.store import cache_directory

NODE = '/faults/mesh_perception'
# A camera or a listener that can be killed: a process of its own, with nothing of the node's but the messages.
OTHER = """
import struct, sys, time
import rclpy
from pathlib import Path
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from visualization_msgs.msg import MarkerArray

rclpy.init()
node, role, folder = rclpy.create_node(sys.argv[1], namespace='faults'), sys.argv[1], Path(sys.argv[2])
if role == 'listener':
    heard = set()
    for kind, topic in ((MarkerArray, 'markers'), (Image, 'overlay')):
        node.create_subscription(kind, f'mesh_perception/{topic}', lambda m, t=topic: heard.add(t), 10)
    while len(heard) < 2:
        rclpy.spin_once(node)
    print('heard', flush=True)
    rclpy.spin(node)
topics = ((CameraInfo, 'camera_info'), (Image, 'image'))
publishers = [(node.create_publisher(kind, topic, QoSProfile(depth=10)), topic) for kind, topic in topics]
while True:
    now = time.time_ns()
    for publisher, topic in publishers:
        data = bytearray((folder / topic).read_bytes())
        struct.pack_into('<iI', data, 4, now // 10**9, now % 10**9)
        publisher.publish(bytes(data))
    time.sleep(0.1)
"""


@pytest.fixture(scope='module')
def bench(start):
    """A node that has answered and must survive everything here."""
    bench = start().ready()
    assert len(bench.answer()) >= 2
    yield bench
    assert bench.node.alive() and bench.answer(), bench.node.log()
    assert 'Traceback' not in bench.node.log(), bench.node.log()[-5000:]


@pytest.fixture
def other(environment, bench, tmp_path):
    """other('camera' or 'listener'): the process above; killed at the end."""
    (tmp_path / 'image').write_bytes(serialize_message(bench.message))
    (tmp_path / 'camera_info').write_bytes(serialize_message(bench.footage.info))
    processes = []

    def begin(role):
        command = [sys.executable, '-c', OTHER, role, tmp_path]
        processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def test_subscribers_come_and_go_and_one_is_killed_while_every_image_is_answered(bench, other):
    topics = [(SmplPeople, 'people'), (MarkerArray, 'markers'), (Image, 'overlay')]
    listener = other('listener')
    assert bench.wait(lambda: bench.answer() and select.select([listener.stdout], [], [], 0)[0]), 'it hears nothing'
    before, descriptors = bench.counts(), []
    for turn in range(6):
        got = []
        listeners = [bench.driver.listen(kind, f'{NODE}/{topic}', got.append) for kind, topic in topics]
        listeners.append(bench.driver.listen(TFMessage, '/tf', got.append))
        assert bench.wait(lambda got=got: bench.answer() and got)
        for each in listeners:
            bench.driver.node.destroy_subscription(each)
        if turn == 2:
            listener.send_signal(signal.SIGKILL)
            listener.wait()
        assert bench.answer()
        descriptors.append(bench.node.look()['descriptors'])
    assert bench.counts()['failed'] == before['failed']
    assert descriptors[-1] < descriptors[0] + 4, descriptors  # four listeners come and go six times


def test_a_killed_camera_is_missed_and_a_new_one_is_answered(bench, other):
    for _ in range(2):
        known = len(bench.driver.people.times)
        camera = other('camera')
        assert bench.wait(lambda known=known: len(bench.driver.people.times) > known + 2), bench.node.log()
        camera.send_signal(signal.SIGKILL)
        camera.wait()
    assert bench.answer(), 'the driver is a camera, too'


def test_at_60_images_a_second_the_newest_wins_and_latency_does_not_grow(bench):
    driver, rate, seconds = bench.driver, 60, 5
    assert bench.answer()
    before, sent = set(driver.people.times), {}
    begin = time.monotonic()
    for index in range(rate * seconds):
        time.sleep(max(0.0, begin + index / rate - time.monotonic()))
        stamp, when = driver.send(bench.message, bench.footage.info)
        sent[stamp] = when
    last = list(sent)[-1]
    assert driver.people.wait(last, 10) is not None, 'the last image is answered: none waits behind it'
    answered = [(stamp, when) for stamp, when in driver.people.times.items() if stamp not in before]
    assert [stamp for stamp, _ in answered] == sorted(stamp for stamp, _ in answered)
    assert 5 <= len(answered) < len(sent), 'a slower pipeline'
    latencies = np.array([when - sent[stamp] for stamp, when in answered])
    work = np.diff([when for _, when in answered])
    half = len(latencies) // 2
    # An image waits for the one in work and is then worked on; a queue would add the length of the run.
    assert np.median(latencies[half:]) < 3 * np.median(work) + 0.2, (latencies, work)
    assert np.median(latencies[half:]) < 2 * np.median(latencies[:half]) + 0.1, latencies


@pytest.mark.parametrize('seconds', [5, 2**31 - 1, -100], ids=['1970', 'far future', 'before 1970'])
def test_images_of_a_wrong_clock_are_answered_and_so_are_the_right_ones_after_it(bench, seconds):
    assert bench.answer()
    bench.message.header.stamp.sec, bench.message.header.stamp.nanosec = seconds, 7
    bench.footage.info.header = bench.message.header
    assert bench.give(bench.message, bench.footage.info) == 'answered', bench.node.log()[-2000:]
    assert bench.wait(lambda: (seconds, 7) in bench.driver.people.times), 'under the stamp it came with'
    assert bench.answer()


def test_two_nodes_of_one_name_both_work_and_sigkill_leaves_nothing_that_a_restart_trips_over(bench, start):
    second = start(driver=bench.driver)
    assert bench.wait(lambda: bench.driver.node.count_publishers(f'{NODE}/people') == 2), second.node.log()
    assert bench.wait(lambda: bench.answer() and answers_of(bench) == 2), 'both answer'
    for node in (bench.node, second.node):
        assert bench.wait(lambda node=node: 'two nodes of one name?' in node.log()), node.log()
    second.node.look()
    names = second.node.shared_memory
    assert second.node.stop(signal.SIGKILL) == -signal.SIGKILL
    segments = [SHARED_MEMORY / name for name in names if 'port' not in name]
    assert segments and all(path.exists() for path in segments), 'SIGKILL leaves its memory to whoever cares'
    assert bench.answer(), 'the first does not miss it'
    time.sleep(0.5)
    third = start(driver=bench.driver)
    assert bench.wait(lambda: bench.driver.node.count_publishers(f'{NODE}/people') == 2), third.node.log()
    assert bench.wait(lambda: bench.answer() and answers_of(bench) == 2), third.node.log()
    third.node.look()
    assert not any(path.exists() for path in segments), 'the third took it away'
    assert third.close() == 0
    assert not [name for name in left_behind(third.node.shared_memory) if 'port' not in name]
    assert 'Traceback' not in third.node.log() + second.node.log()


def answers_of(bench, seconds=1.0):
    """How many nodes answer one more image."""
    heard = []
    listener = bench.driver.listen(SmplPeople, f'{NODE}/people', heard.append)
    time.sleep(0.3)
    stamp, _ = bench.driver.send(bench.message, bench.footage.info)
    bench.wait(lambda: sum(stamp_of(data) == stamp for data in heard) == 2, 3)
    bench.driver.node.destroy_subscription(listener)
    return sum(stamp_of(data) == stamp for data in heard)


def damage(path, source):
    """The file with one bit changed in its middle."""
    data = bytearray(source.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink(missing_ok=True)
    path.write_bytes(data)


@pytest.fixture
def cache(tmp_path):
    """A cache of our own with the true files' contents, by links."""
    folder, true = tmp_path / 'cache', cache_directory()
    (folder / 'networks').mkdir(parents=True)
    shutil.copytree(true / 'files', folder / 'files', copy_function=os.symlink)
    for path in (true / 'networks').iterdir():
        (folder / 'networks' / path.name).symlink_to(path)
    return folder


def test_a_model_file_removed_or_damaged_between_runs_is_one_line_and_works_once_restored(environment, start, cache):
    network, true = cache / 'files' / 'pose_landmark_full.tflite', cache_directory() / 'files'
    damage(network, true / network.name)
    own = {**environment, 'MESH_PERCEPTION_CACHE': str(cache)}
    own['ROS_DOMAIN_ID'] = str(1 + int(own['ROS_DOMAIN_ID']) % 100)
    started = start(environment=own)
    bench = start(environment=own, driver=started.driver, autostart='false')
    try:
        assert started.node.process.wait(60) == 1
        lines = [line for line in started.node.log().splitlines() if 'ERROR' in line]
        assert len(lines) == 1 and 'pose_landmark_full.tflite is damaged' in lines[0], started.node.log()
        assert 'mesh-perception weights fetch' in lines[0] and 'Traceback' not in started.node.log()

        change = bench.driver.node.create_client(ChangeState, f'{NODE}/change_state')
        assert change.wait_for_service(60)

        def transition(number):
            future = change.call_async(ChangeState.Request(transition=Transition(id=number)))
            assert bench.wait(future.done), bench.node.log()
            return future.result().success

        faults = (('is damaged', lambda: None), ('is missing', network.unlink), ('is damaged', network.touch))
        for count, (fault, make) in enumerate(faults, 1):
            make()
            assert not transition(Transition.TRANSITION_CONFIGURE)
            assert bench.wait(lambda count=count: bench.node.log().count('cannot configure') == count)
            assert f'pose_landmark_full.tflite {fault}' in bench.node.log().splitlines()[-1]
        network.unlink()  # which is empty now
        network.symlink_to(true / network.name)
        imported = next((cache / 'networks').glob('blazepose_full-2.*'), None)
        if imported is not None:
            damage(imported, imported.resolve())
        assert transition(Transition.TRANSITION_CONFIGURE), bench.node.log()
        assert imported is None or 'it is made anew' in bench.node.log()
        assert transition(Transition.TRANSITION_ACTIVATE) and len(bench.ready().answer()) >= 2
        assert 'Traceback' not in bench.node.log(), bench.node.log()
    finally:
        bench.close()
        started.close()
