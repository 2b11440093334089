"""A running node's people in rerun, for machines without RViz; needs the extra `view`.

python -m mesh_perception.ros.view --ros-args -p node:=/mesh_perception

Parameters: node (whose topics to show), fixed_frame (show all in this frame of TF, whose z is up; by default in the
camera's), save (write this .rrd file) or connect (URL of a viewer that runs); by default a viewer is opened.
"""

import signal
import sys

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from mesh_perception.cli import missing_package
from mesh_perception.msg import SmplPeople
from mesh_perception.ros.images import ImageError, to_rgb
from mesh_perception.ros.markers import MESHES, NAMES, SKELETONS
from mesh_perception.ros.stamps import nanoseconds
from mesh_perception.ros.tf_buffer import TransformBuffer, TransformError

TOLERANCE = 10**9  # ns by which TF may be older than what is shown
WARN_EVERY = 5.0  # s
FLUSH = 5.0  # s to wait at the end for a viewer that takes nothing any more


class Viewer(Node):
    """Shows a node's people; parameters in the module's first lines."""

    def __init__(self):
        from mesh_perception.visualization.rerun_view import RerunView, open_recording  # rerun is an extra

        super().__init__('view')
        source, self._fixed, save, connect = (
            self.declare_parameter(name, default).value
            for name, default in (('node', 'mesh_perception'), ('fixed_frame', ''), ('save', ''), ('connect', ''))
        )
        self.recording = open_recording(save, connect)
        self._view = RerunView(self.recording, fixed=bool(self._fixed))
        self._buffer = TransformBuffer()
        newest = QoSProfile(depth=1)
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(SmplPeople, f'{source}/people', self._on_people, newest)
        self.create_subscription(MarkerArray, f'{source}/markers', self._on_markers, newest)
        self.create_subscription(Image, f'{source}/overlay', self._on_overlay, newest)
        self.create_subscription(TFMessage, '/tf_static', lambda m: self._buffer.insert(m.transforms, True), latched)
        if self._fixed:
            self.create_subscription(TFMessage, '/tf', lambda m: self._buffer.insert(m.transforms), 100)
        self.get_logger().info(f'waiting for {self.resolve_topic_name(f"{source}/people")}')

    def _on_people(self, message):
        self._view.camera(message.k, message.width, message.height)
        if not message.people:  # there are no markers, whose stamp would tell
            self._view.people(seconds(message.header), {})

    def _on_markers(self, message):
        added = [marker for marker in message.markers if marker.action == Marker.ADD]
        if added:
            header = added[0].header
            self._view.people(seconds(header), people_of(added), self._pose(header))

    def _on_overlay(self, message):
        try:
            self._view.overlay(seconds(message.header), to_rgb(message), self._pose(message.header))
        except ImageError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=WARN_EVERY)

    def _pose(self, header):
        """Where a message's frame is in the fixed frame; None without one, or where TF does not know."""
        if not self._fixed:
            return None
        stamp = nanoseconds(header.stamp)
        try:
            return self._buffer.lookup(self._fixed, header.frame_id, stamp, TOLERANCE)[:2]
        except TransformError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=WARN_EVERY)
            return None


def people_of(markers):
    """The node's markers as RerunView.people takes them."""
    by_person = {}
    for marker in markers:
        by_person.setdefault(marker.id, {})[marker.ns] = marker
    return {
        parts[NAMES].text: (
            color_of(parts[MESHES]),
            points_of(parts[MESHES]),
            points_of(parts[SKELETONS]).reshape(-1, 2, 3),
            place_of(parts[NAMES]),
        )
        for parts in by_person.values()
        if {MESHES, SKELETONS, NAMES} <= set(parts)
    }


def points_of(marker):
    """(P, 3) float32."""
    return np.array([(p.x, p.y, p.z) for p in marker.points], np.float32).reshape(-1, 3)


def place_of(marker):
    """A marker's position, (3,)."""
    place = marker.pose.position
    return np.array((place.x, place.y, place.z), np.float32)


def color_of(marker):
    """RGB, three numbers of 0 to 255."""
    return [round(255 * value) for value in (marker.color.r, marker.color.g, marker.color.b)]


def seconds(header):
    """A header's stamp in s."""
    return header.stamp.sec + 1e-9 * header.stamp.nanosec


def main():
    """Shows until interrupted. -> exit code"""
    rclpy.init()
    node = None
    try:
        node = Viewer()
        rclpy.spin(node)
    except ModuleNotFoundError as error:
        print(f"view: {missing_package(error)} (the extra 'view')", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f'view: {error}', file=sys.stderr)
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if node is not None:
            node.recording.flush(timeout_sec=FLUSH)
            node.recording.disconnect()
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
