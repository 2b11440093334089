"""The bare transport of an image: a process that takes it, still serialised, and answers its stamp.

Parameter: compressed (subscribes to `image/compressed`). Answers on `echo`, a std_msgs/Header.
"""

import sys

import rclpy
from builtin_interfaces.msg import Time
from rclpy.executors import ExternalShutdownException
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from mesh_perception.ros.soak.driver import stamp_of


def main():
    """Until interrupted."""
    rclpy.init()
    try:
        node = rclpy.create_node('echo')
        publisher = node.create_publisher(Header, 'echo', 10)

        def answer(serialized):
            sec, nanosec = stamp_of(serialized)
            publisher.publish(Header(stamp=Time(sec=sec, nanosec=nanosec)))

        # As the node under test subscribes.
        qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        compressed = node.declare_parameter('compressed', False).value
        kind, topic = (CompressedImage, 'image/compressed') if compressed else (Image, 'image')
        node.create_subscription(kind, topic, answer, qos, raw=True)
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
