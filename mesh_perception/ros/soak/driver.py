"""The other side of the node under test: sends images, and notes when which answer arrived."""

import struct
import threading
import time

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from mesh_perception.msg import SmplPeople

DISCOVERY = 90.0  # s to wait for the node: it loads its networks first


def stamp_of(serialized):
    """(sec, nanosec) of a serialised message that begins with a header."""
    return struct.unpack_from('<iI', serialized, 4)


def stamp_now(message):
    """Stamps a message with the clock's time. -> (stamp, time.monotonic() of it)"""
    begin, now = time.monotonic(), time.time_ns()
    stamp = (now // 10**9, now % 10**9)
    message.header.stamp.sec, message.header.stamp.nanosec = stamp
    return stamp, begin


class Arrivals:
    """When which answer came, by the image's stamp; a subscription's callback."""

    def __init__(self):
        self.times = {}  # stamp -> time.monotonic()
        self.newest = None  # the newest answer, serialised
        self._came = threading.Condition()

    def __call__(self, serialized):
        now = time.monotonic()
        with self._came:
            self.times[stamp_of(serialized)] = now
            self.newest = serialized
            self._came.notify_all()

    def wait(self, stamp, patience):
        """When the answer to an image came; None if it did not within `patience` seconds."""
        with self._came:
            self._came.wait_for(lambda: stamp in self.times, patience)
            return self.times.get(stamp)


class Driver:
    """Publishes `image` (or `image/compressed`) and `camera_info` in a namespace; hears `mesh_perception/people`.

    Answers arrive in a thread of its own, still serialised: `people` notes when they came.
    """

    def __init__(self, namespace='soak', compressed=False, qos=qos_profile_sensor_data, domain=None):
        """domain: None is that of the environment."""
        self.context = rclpy.Context()
        self.context.init(domain_id=domain)
        self.node = rclpy.create_node('driver', namespace=namespace, context=self.context)
        kind, topic = (CompressedImage, 'image/compressed') if compressed else (Image, 'image')
        self.images = self.node.create_publisher(kind, topic, qos)
        self.infos = self.node.create_publisher(CameraInfo, 'camera_info', qos)
        self.people = Arrivals()
        self.listen(SmplPeople, 'mesh_perception/people', self.people, 50)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def listen(self, kind, topic, callback=lambda _: None, qos=10):
        """Subscribes; the callback takes serialised messages."""
        qos = QoSProfile(depth=qos) if isinstance(qos, int) else qos
        return self.node.create_subscription(kind, topic, callback, qos, raw=True)

    def wait_for_node(self, alive):
        """Until the node takes images and its answers are heard. Raises TimeoutError, or at once if not alive()."""
        deadline = time.monotonic() + DISCOVERY
        while not (
            self.images.get_subscription_count()
            and self.infos.get_subscription_count()
            and self.node.count_publishers('mesh_perception/people')
        ):
            if not alive():
                raise TimeoutError('the node ended before it took images')
            if time.monotonic() > deadline:
                raise TimeoutError(f'nobody subscribed to {self.images.topic_name} within {DISCOVERY:g} s')
            time.sleep(0.05)
        time.sleep(1.0)  # the node discovers us a moment later than we see it

    def send(self, image, info):
        """Stamps both with the clock's time and publishes them. -> (stamp, time.monotonic() of the stamp)"""
        stamp, begin = stamp_now(image)
        info.header = image.header
        self.infos.publish(info)
        self.images.publish(image)
        return stamp, begin

    def _spin(self):
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass

    def close(self):
        """Ends the thread and leaves DDS."""
        self._executor.shutdown()
        self._thread.join()
        self.node.destroy_node()
        self.context.try_shutdown()
