"""A real node in a process of its own, and the other side of its topics: what several test files share."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import cv2
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image

from mesh_perception.media import read_frames
from mesh_perception.msg import SmplPeople, SmplPerson
from mesh_perception.ros.demo.footage import demo_footage

ROOT = Path(__file__).resolve().parents[2]
SCALE = 0.35
FAST = "['detection.movenet_size=256', 'detection.nanodet=false']"
PATIENCE = 60.0  # s for anything that must happen; the first image builds the networks' kernels


def small_scene():
    """A frame of the demo's footage, smaller, and its K: two people and more. Raises WeightsError."""
    path, camera = demo_footage('cam01')
    picture = cv2.resize(next(iter(read_frames(path))).image, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_AREA)
    k = camera.k.copy()
    k[:2] *= SCALE
    return picture, k


def own_environment():
    """Variables for a domain of our own on this host; the caller's process has to set the discovery range as well."""
    return {
        **os.environ,
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'ROS_DOMAIN_ID': str(random.randrange(1, 100)),
        'PYTHONPATH': f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}',
    }


class NodeProcess:
    """The node under test, and its log."""

    def __init__(self, environment, log, *arguments, module='mesh_perception.ros.node', cameras=()):
        self.log_path = log
        with open(log, 'w') as stream:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    '-m',
                    module,
                    *cameras,
                    '--ros-args',
                    '-p',
                    f'overrides:={FAST}',
                    '-p',
                    'device:=cpu',
                    *arguments,
                ],
                env=environment,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )

    def log(self):
        return self.log_path.read_text()

    def stop(self, number=signal.SIGINT):
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()


def parameters(*given):
    """Arguments of the command line that set parameters, each given as NAME:=VALUE."""
    return [argument for one in given for argument in ('-p', one)]


@contextmanager
def running(environment, camera, folder, *given):
    """A node with parameters as for `parameters` that takes images; it has to live to the end, without a trace."""
    node = NodeProcess(environment, folder / 'log', *parameters(*given))
    try:
        camera.wait_for(node)
        yield node
        assert node.process.poll() is None and 'Traceback' not in node.log(), node.log()
    finally:
        node.stop()


class Camera:
    """The other side: publishes images and camera_info, and keeps what the node answers."""

    def __init__(self, environment, scene, namespace='', infos=10):
        """namespace: the node's. infos: QoS of camera_info."""
        self.picture, self.k = scene
        self.context = rclpy.Context()
        self.context.init(domain_id=int(environment['ROS_DOMAIN_ID']))
        self.node = rclpy.create_node('driver', context=self.context, namespace=namespace)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.images = self.node.create_publisher(Image, 'image', 10)
        self.infos = self.node.create_publisher(CameraInfo, 'camera_info', infos)
        self.now = 1000.0
        self.received = {}
        self.listen(SmplPeople, 'mesh_perception/people')

    def listen(self, kind, topic, qos=10):
        self.received[topic] = []
        return self.node.create_subscription(kind, topic, self.received[topic].append, qos)

    def wait(self, condition, patience=PATIENCE):
        """Spins until the condition holds; its value."""
        deadline = time.monotonic() + patience
        while not (result := condition()) and time.monotonic() < deadline:
            self.executor.spin_once(timeout_sec=0.02)
        return result

    def wait_for(self, node, publisher=None):
        """Until the node takes images and its answers are heard; fails with its log if it ends instead."""
        publishers = publisher or self.images, self.infos
        self.wait(
            lambda: (
                node.process.poll() is not None
                or (
                    all(p.get_subscription_count() for p in publishers)
                    and self.node.count_publishers('mesh_perception/people')
                )
            )
        )
        assert node.process.poll() is None and publishers[0].get_subscription_count(), node.log()
        self.wait(lambda: False, 0.3)

    def image(self, picture=None, **changes):
        picture = self.picture if picture is None else picture
        message = Image(height=picture.shape[0], width=picture.shape[1], encoding='rgb8', step=picture.shape[1] * 3)
        message.data.frombytes(picture.tobytes())
        self.stamp(message)
        for name, value in changes.items():
            setattr(message, name, value)
        return message

    def stamp(self, message, step=0.1):
        self.now += step
        message.header.frame_id = 'camera_optical_frame'
        message.header.stamp.sec, message.header.stamp.nanosec = int(self.now), round(self.now % 1 * 1e9)

    def camera_info(self, scale=1.0):
        height, width = (round(n * scale) for n in self.picture.shape[:2])
        k = self.k.copy()
        k[:2] *= scale
        return CameraInfo(width=width, height=height, k=k.reshape(-1), distortion_model='plumb_bob', d=[0.0] * 5)

    def send(self, image, info=None, publisher=None):
        if info is not None:
            self.infos.publish(info)
            self.wait(lambda: False, 0.1)
        (publisher or self.images).publish(image)

    def answer(self, image, info=None, publisher=None):
        """Sends an image and waits for its people; again if DDS lost it, as best effort may."""
        for _ in range(3):
            self.send(image, info, publisher)
            found = self.wait(
                lambda: [m for m in self.received['mesh_perception/people'] if m.header == image.header], PATIENCE / 3
            )
            if found:
                return found[0]
        raise AssertionError('no answer')

    def confirmed(self):
        """Answers until everybody is confirmed, and so has TF frames; the last ~/people."""
        for _ in range(20):
            message = self.answer(self.image(), self.camera_info())
            if message.people and all(person.state == SmplPerson.CONFIRMED for person in message.people):
                return message
        raise AssertionError('nobody is confirmed')

    def call(self, kind, service, **request):
        client = self.node.create_client(kind, f'mesh_perception/{service}')
        assert self.wait(client.service_is_ready)
        future = client.call_async(kind.Request(**request))
        assert self.wait(future.done)
        self.node.destroy_client(client)
        return future.result()

    def change_state(self, transition):
        return self.call(ChangeState, 'change_state', transition=Transition(id=transition)).success

    def state(self):
        return self.call(GetState, 'get_state').current_state.label

    def set_parameter(self, name, value):
        """The node's own answer: SetParametersResult."""
        request = [Parameter(name, value=value).to_parameter_msg()]
        return self.call(SetParameters, 'set_parameters', parameters=request).results[0]

    def reports(self):
        """Listens to /diagnostics; a function that gives the newest status, or None, of the node in our namespace."""
        self.listen(DiagnosticArray, '/diagnostics')
        name = f'{self.node.get_namespace().rstrip("/")}/mesh_perception: people'

        def newest():
            found = [m.status[0] for m in self.received['/diagnostics'] if m.status[0].name == name]
            return found[-1] if found else None

        return newest

    def close(self):
        self.executor.shutdown()
        self.node.destroy_node()
        self.context.try_shutdown()
