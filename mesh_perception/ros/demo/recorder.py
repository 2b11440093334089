"""Records what the node says: an MCAP bag, people.json, the overlay as a video and pictures of it."""

import json
import shutil
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
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from mesh_perception.media import VideoFile, write_picture
from mesh_perception.msg import BodyModel, SmplPeople
from mesh_perception.ros.bag_files import BagWriter, person_records
from mesh_perception.ros.images import to_rgb

QUIET = 0.5  # s without a message after which nothing more is expected
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
QUALITY = 90  # of the JPEG pictures in the bag: raw ones would fill gigabytes


class Recorder(Node):
    """Parameters: output (folder), name (of the camera; files begin with it), node (whose topics to record)."""

    def __init__(self):
        super().__init__('recorder')
        self.folder = Path(self.declare_parameter('output', 'out/demo').value)
        self.camera = self.declare_parameter('name', 'cam01').value
        source = self.declare_parameter('node', 'mesh_perception').value
        self.lock = threading.Lock()
        self.people, self.counts = [], Counter()
        self.frame = 0
        self.folder.mkdir(parents=True, exist_ok=True)
        bag = self.folder / f'{self.camera}_bag'  # rosbags takes NAME.bag for a ROS 1 file
        if bag.exists():
            shutil.rmtree(bag)
        self.bag = BagWriter(bag)
        self.video = VideoFile(self.folder / f'{self.camera}.mp4', 30.0)
        for topic, kind, qos, also in (
            ('image', Image, qos_profile_sensor_data, None),
            ('camera_info', CameraInfo, qos_profile_sensor_data, None),
            (f'{source}/people', SmplPeople, 50, self._people),
            (f'{source}/markers', MarkerArray, 50, None),
            (f'{source}/overlay', Image, qos_profile_sensor_data, self._overlay),
            (f'{source}/body_model', BodyModel, LATCHED, None),
            ('/tf', TFMessage, 50, None),
            ('/tf_static', TFMessage, LATCHED, None),
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
                    self._write(name, kind, data, qos is LATCHED)
                    if also:
                        also(message)

        self.create_subscription(kind, topic, callback, qos, raw=True)

    def _write(self, topic, kind, data, latched=False):
        self.bag.write(topic, kind, self.get_clock().now().nanoseconds, data, latched)

    def _people(self, message):
        stamp = message.header.stamp
        self.people.append((stamp.sec + 1e-9 * stamp.nanosec, person_records(message)))

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
