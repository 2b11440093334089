"""A camera made of footage: publishes `image` and `camera_info`, the next image when the last one was answered."""

import json
import sys
import threading
import time

from mesh_perception.ros.starting import ignore_signals, imported, quiet_start

if __name__ == '__main__':
    quiet_start()  # the imports below take seconds

import rclpy
from geometry_msgs.msg import TransformStamped
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage
from tqdm import tqdm
from transforms3d.quaternions import mat2quat

from mesh_perception.media import frame_count, read_frames
from mesh_perception.msg import SmplPeople
from mesh_perception.ros.demo.footage import camera_pose, demo_footage
from mesh_perception.ros.process import Executor

PATIENCE = 2.0  # s until a frame counts as not answered
DISCOVERY = 60.0  # s to wait for the node: it loads its networks first


def camera_info(camera):
    """Camera -> sensor_msgs/CameraInfo without a header."""
    k = camera.k
    return CameraInfo(
        width=camera.width,
        height=camera.height,
        k=k.flatten().tolist(),
        distortion_model=camera.model,
        d=camera.distortion.tolist(),
        r=[1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0],
        p=[k[0, 0], 0.0, k[0, 2], 0.0, 0.0, k[1, 1], k[1, 2], 0.0, 0.0, 0.0, 1.0, 0.0],
    )


class FootagePublisher(Node):
    """Parameters: camera (cam01 to cam04), frames (0: all), loop, frame_id, answers (their topic), listeners to it."""

    def __init__(self):
        super().__init__('footage')
        self.camera_name = self.declare_parameter('camera', 'cam01').value
        self.frames = self.declare_parameter('frames', 0).value
        self.loop = self.declare_parameter('loop', False).value
        self.frame_id = self.declare_parameter('frame_id', f'{self.camera_name}_optical_frame').value
        self.answers = self.declare_parameter('answers', 'mesh_perception/people').value
        self.listeners = self.declare_parameter('listeners', 1).value
        self.path, self.camera = demo_footage(self.camera_name)
        self.image_publisher = self.create_publisher(Image, 'image', qos_profile_sensor_data)
        self.info_publisher = self.create_publisher(CameraInfo, 'camera_info', qos_profile_sensor_data)
        self.create_subscription(SmplPeople, self.answers, self._answer, 10)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.static_publisher = self.create_publisher(TFMessage, '/tf_static', latched)
        self.static_publisher.publish(TFMessage(transforms=[self._place_in_room()]))
        self.answered = threading.Event()
        self.expected = None
        self.latencies = []

    def _place_in_room(self):
        """Where the calibration says that the camera stands, in the frame `world`, whose z is up."""
        pose = camera_pose(self.camera_name)
        transform = TransformStamped(child_frame_id=self.frame_id)
        transform.header.frame_id = 'world'
        transform.header.stamp = self.get_clock().now().to_msg()
        place, turn = transform.transform.translation, transform.transform.rotation
        place.x, place.y, place.z = pose[:3, 3].tolist()
        turn.w, turn.x, turn.y, turn.z = mat2quat(pose[:3, :3]).tolist()
        return transform

    def _answer(self, message):
        if self.expected == (message.header.stamp.sec, message.header.stamp.nanosec):
            self.answered.set()

    def play(self):
        """Publishes the footage. -> {'frames', 'answered', 'latency_ms' [...]}"""
        self._wait_for_everybody()
        sent = 0
        total = self.frames or (None if self.loop else frame_count(self.path))
        with tqdm(total=total, desc=self.camera_name, unit='frame') as progress:
            while rclpy.ok() and (sent == 0 or self.loop) and sent != total:
                for frame in read_frames(self.path):
                    if not rclpy.ok() or sent == total:
                        break
                    self._publish(frame.image)
                    sent += 1
                    progress.update()
        return {'frames': sent, 'answered': len(self.latencies), 'latency_ms': self.latencies}

    def _wait_for_everybody(self):
        """Until the node takes images and its answers reach all who want them: what is sent before is lost."""
        deadline = time.monotonic() + DISCOVERY
        while rclpy.ok() and (
            self.image_publisher.get_subscription_count() == 0
            or self.count_publishers(self.answers) == 0
            or self.count_subscribers(self.answers) < self.listeners
        ):
            if time.monotonic() > deadline:
                raise TimeoutError(f'nobody subscribed to {self.image_publisher.topic_name} within {DISCOVERY:g} s')
            time.sleep(0.05)
        time.sleep(1.5)  # the node discovers its listeners a moment later than we see them

    def _publish(self, rgb):
        info, image = camera_info(self.camera), Image()
        image.header.frame_id = self.frame_id
        image.height, image.width, image.encoding, image.step = *rgb.shape[:2], 'rgb8', rgb.shape[1] * 3
        image.data.frombytes(rgb.tobytes())
        stamp = self.get_clock().now().to_msg()
        image.header.stamp = stamp
        info.header = image.header
        self.answered.clear()
        self.expected = (stamp.sec, stamp.nanosec)
        begin = time.monotonic()
        self.info_publisher.publish(info)
        self.image_publisher.publish(image)
        if self.answered.wait(PATIENCE):
            self.latencies.append(1e3 * (time.monotonic() - begin))
        else:
            tqdm.write(f'{self.camera_name}: a frame was not answered within {PATIENCE:g} s', file=sys.stderr)


def main():
    """Plays the footage and prints one line of JSON."""
    imported()  # SIGINT and SIGTERM raise KeyboardInterrupt, once and here: rclpy's own handlers end ROS as well
    code, executor, spinner = 0, None, None
    try:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        node = FootagePublisher()
        executor = Executor()
        executor.add_node(node)
        spinner = threading.Thread(target=_spin, args=(executor,), daemon=True)
        spinner.start()
        print(json.dumps(node.play()), flush=True)
    except (ValueError, TimeoutError) as error:
        print(f'footage: {error}', file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        pass
    finally:
        ignore_signals()
        if executor:
            executor.shutdown()
        if spinner:
            spinner.join()  # ROS is not taken from under a thread that still uses it
        rclpy.try_shutdown()
    return code


def _spin(executor):
    try:
        executor.spin()
    except ExternalShutdownException:
        pass


if __name__ == '__main__':
    sys.exit(main())
