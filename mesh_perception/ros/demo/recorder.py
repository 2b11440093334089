"""Records what the node says: an MCAP bag, people.json, the overlay as a video and pictures of it."""

import json
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

import mesh_perception.msg
from mesh_perception.media import VideoFile, write_picture
from mesh_perception.msg import BodyModel, SmplPeople
from mesh_perception.ros.images import to_rgb

QUIET = 0.5  # s without a message after which nothing more is expected
QUALITY = 90  # of the JPEG pictures in the bag: raw ones would fill gigabytes


def typestore():
    """rosbags' types with this package's own."""
    store = get_typestore(Stores.ROS2_JAZZY)
    definitions = Path('share', 'mesh_perception', 'msg')
    # The prefix they were installed to is a few folders above the Python package, how many differs between systems.
    prefix = next(p for p in Path(mesh_perception.msg.__file__).parents if (p / definitions).is_dir())
    types = {}
    for path in sorted((prefix / definitions).glob('*.msg')):
        types.update(get_types_from_msg(path.read_text(), f'mesh_perception/msg/{path.stem}'))
    store.register(types)
    return store


class Recorder(Node):
    """Parameters: output (folder), name (of the camera; files begin with it), node (whose topics to record)."""

    def __init__(self):
        super().__init__('recorder')
        self.folder = Path(self.declare_parameter('output', 'out/demo').value)
        self.camera = self.declare_parameter('name', 'cam01').value
        source = self.declare_parameter('node', 'mesh_perception').value
        self.lock = threading.Lock()
        self.people, self.counts, self.connections = [], Counter(), {}
        self.frame = 0
        self.types = typestore()
        self.folder.mkdir(parents=True, exist_ok=True)
        bag = self.folder / f'{self.camera}.bag'
        if bag.exists():
            for path in bag.iterdir():
                path.unlink()
            bag.rmdir()
        self.bag = Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP)
        self.bag.open()
        self.video = VideoFile(self.folder / f'{self.camera}.mp4', 30.0)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        for topic, kind, qos, also in (
            ('image', Image, qos_profile_sensor_data, None),
            ('camera_info', CameraInfo, qos_profile_sensor_data, None),
            (f'{source}/people', SmplPeople, 50, self._people),
            (f'{source}/markers', MarkerArray, 50, None),
            (f'{source}/overlay', Image, qos_profile_sensor_data, self._overlay),
            (f'{source}/body_model', BodyModel, latched, None),
            ('/tf', TFMessage, 50, None),
            ('/tf_static', TFMessage, latched, None),
            ('/diagnostics', DiagnosticArray, 10, None),
        ):
            self._record(topic, kind, qos, also)

    def _record(self, topic, kind, qos, also):
        name = self.resolve_topic_name(topic)

        def callback(data):
            with self.lock:
                self.counts[name] += 1
                message = deserialize_message(data, kind) if also or kind is Image else None
                if kind is Image:
                    rgb = to_rgb(message)
                    self._write(f'{name}/compressed', CompressedImage, _jpeg(message.header, rgb))
                    if also:
                        also(rgb)
                else:
                    self._write(name, kind, data)
                    if also:
                        also(message)

        self.create_subscription(kind, topic, callback, qos, raw=True)

    def _write(self, topic, kind, data):
        if topic not in self.connections:
            module, _, name = kind.__module__.split('.')[0], 'msg', kind.__name__
            self.connections[topic] = self.bag.add_connection(topic, f'{module}/msg/{name}', typestore=self.types)
        self.bag.write(self.connections[topic], self.get_clock().now().nanoseconds, data)

    def _people(self, message):
        self.people.append(
            (
                message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec,
                [
                    {
                        'track_id': person.id,
                        'state': person.state,
                        'score': person.score,
                        'box': person.box.tolist(),
                        'joints': person.joints.reshape(24, 3).tolist(),
                        'joints_2d': person.joints_2d.reshape(24, 2).tolist(),
                        'joint_confidence': person.joint_confidence.tolist(),
                        'pose': person.pose.tolist(),
                        'betas': list(person.betas),
                        'translation': person.translation.tolist(),
                    }
                    for person in message.people
                ],
            )
        )

    def _overlay(self, rgb):
        self.video.write(rgb)
        if self.frame % 10 == 0:
            write_picture(self.folder / f'{self.camera}_{self.frame:04d}.jpg', rgb)
        self.frame += 1

    def finish(self):
        """Closes the files. -> {'people': {number: frames}, 'topics': {name: count}}"""
        with self.lock:
            self.bag.close()
            self.video.__exit__()
            self.people.sort(key=lambda item: item[0])
            frames = {f'{self.camera}#{i}': people for i, (_, people) in enumerate(self.people)}
            (self.folder / f'{self.camera}_people.json').write_text(json.dumps(frames))
        crowd = Counter(len(people) for people in frames.values())
        return {'people': {str(n): crowd[n] for n in sorted(crowd)}, 'topics': dict(sorted(self.counts.items()))}


def _jpeg(header, rgb):
    message = CompressedImage(header=header, format='jpeg')
    _, data = cv2.imencode('.jpg', np.ascontiguousarray(rgb[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    message.data.frombytes(data.tobytes())
    return serialize_message(message)


def main():
    """Records until interrupted, then prints one line of JSON."""
    rclpy.init()
    done = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: done.set())
    try:
        node = Recorder()
    except OSError as error:
        print(f'recorder: cannot write: {error}', file=sys.stderr)
        return 1
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    print('recording', flush=True)
    quiet, recorded = 0.0, 0
    # What has arrived before the interruption is still written: until nothing came for a while.
    while not done.is_set() or quiet < QUIET:
        try:
            begin = time.monotonic()
            executor.spin_once(timeout_sec=0.1)
        except (KeyboardInterrupt, ExternalShutdownException):
            break
        quiet = quiet + time.monotonic() - begin if sum(node.counts.values()) == recorded else 0.0
        recorded = sum(node.counts.values())
    print(json.dumps(node.finish()), flush=True)
    rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
