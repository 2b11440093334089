"""People in another frame than the camera's: `target_frame`, where TF has it at the time of the image."""

from dataclasses import replace

import numpy as np
import torch
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from mesh_perception.ros.stamps import nanoseconds
from mesh_perception.ros.tf_buffer import TransformBuffer, TransformError

# TF often comes a little after its image. Where its newest is not older than this, it is taken as it is; ns.
TOLERANCE = 100_000_000
# How far back one looks for the camera's own motion, ns.
SPAN = 100_000_000
# Messages of our own that are still to come back; they need not be read.
OWN = 50


class TargetFrame:
    """Listens to TF, and puts people into the frame asked for."""

    def __init__(self, node, frame):
        """frame: the target frame's name, as in TF."""
        self.frame = frame
        self._node = node
        self._buffer = TransformBuffer()
        self._own = []
        self._subscriptions = [
            node.create_subscription(TFMessage, '/tf', self._on_tf, QoSProfile(depth=100), raw=True),
            node.create_subscription(
                TFMessage,
                '/tf_static',
                lambda message: self._buffer.insert(message.transforms, static=True),
                QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL),
            ),
        ]

    def destroy(self):
        """Ends listening."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def reset(self):
        """Time started over."""
        self._buffer.clear()

    def sent(self, message):
        """Takes note of a serialised TFMessage that this node itself publishes: no need to read it."""
        self._own = [*self._own[1 - OWN :], hash(message)]

    def transform(self, people, header, vertices=None):
        """People, vertices and header in the target frame. Raises TransformError.

        people: People with CPU tensors in the camera's frame. header: their std_msgs/Header. vertices: (N, V, 3) numpy
        or None.
        """
        if not header.frame_id:
            raise TransformError(f'no TF to {self.frame!r}: the image has no frame_id')
        stamp = nanoseconds(header.stamp)
        rotation, translation, of = self._buffer.lookup(self.frame, header.frame_id, stamp, TOLERANCE)
        try:
            before = self._buffer.lookup(self.frame, header.frame_id, of - SPAN)
            turning, moving = (rotation - before[0]) / (1e-9 * SPAN), (translation - before[1]) / (1e-9 * SPAN)
        except TransformError:
            turning, moving = np.full((3, 3), np.nan), np.full(3, np.nan)
        people = transformed(people, rotation, translation, turning, moving)
        if vertices is not None:
            vertices = (vertices @ rotation.T + translation).astype(np.float32)
        return people, vertices, Header(stamp=header.stamp, frame_id=self.frame)

    def _on_tf(self, serialized):
        if hash(serialized) in self._own:
            return
        try:
            transforms = deserialize_message(serialized, TFMessage).transforms
        except RuntimeError:  # bytes that are no TFMessage: rmw drops those before typed callbacks, too
            return
        self._buffer.insert(transforms)


def transformed(people, rotation, translation, turning=None, moving=None):
    """People in another frame: the same bodies, at rotation @ x + translation.

    A body is turned about its joint 0's rest position j, not about the origin: skinned vertices are
    R0 (v - j) + j + t, so the new parameters are R R0 and R (j + t) + p - j. Where j is does not need the body: joint 0
    lies at j + t. Velocities are those of the frame: what the camera's own motion adds is taken in.

    rotation (3, 3), translation (3,): of the old frame in the new one, float64 numpy. turning (3, 3), moving (3,):
    their changes a second (0 where not given; NaN where unknown). Image coordinates stay what they are.
    """
    turn, offset = torch.from_numpy(np.asarray(rotation)), torch.from_numpy(np.asarray(translation))
    joints = people.joints.double()
    new_joints = joints @ turn.mT + offset
    rest = joints[:, 0] - people.translation.double()
    velocity = people.velocity.double() @ turn.mT
    if turning is not None:
        velocity = velocity + joints[:, 0] @ torch.from_numpy(turning).mT + torch.from_numpy(moving)
    rotations = people.rotations.clone()
    rotations[:, 0] = (turn @ people.rotations[:, 0].double()).to(rotations)
    return replace(
        people,
        rotations=rotations,
        translation=(new_joints[:, 0] - rest).to(people.translation),
        joints=new_joints.to(people.joints),
        velocity=velocity.to(people.velocity),
    )
