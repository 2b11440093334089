"""People as REP-155 (ROS4HRI) has them: /humans/bodies/... and the frames of its human model."""

from rclpy.event_handler import PublisherEventCallbacks
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState

from mesh_perception.geometry.rotations import matrix_to_quaternion
from mesh_perception.joints import SMPL_JOINTS
from mesh_perception.ros.human_kinematics import JOINTS, LINKS, joint_angles, link_frames

TOPICS = '/humans/bodies'
# Points of Skeleton2D by SMPL's joints; the neck is OpenPose's, midway between the shoulders. The body has no joints
# at nose, eyes and ears: they stay at confidence 0, as OpenPose leaves what it has not seen.
POINTS = {
    f'{side}_{point}'.upper(): [SMPL_JOINTS.index(f'{side}_{point}')]
    for side in ('right', 'left')
    for point in ('shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')
}
POINTS['NECK'] = POINTS['LEFT_SHOULDER'] + POINTS['RIGHT_SHOULDER']


def body_frames(people, names, camera_frame):
    """[(parent, child, translation, quaternion xyzw)]: body_<id> in the camera's frame, all other links in it."""
    rotations, origins = link_frames(people)
    root, center = rotations[:, :1], origins[:, :1]
    offsets = ((origins - center).unsqueeze(-2) @ root).squeeze(-2)
    offsets[:, 0] = origins[:, 0]
    turns = root.mT @ rotations
    turns[:, 0] = rotations[:, 0]
    turns = matrix_to_quaternion(turns)
    result = []
    for name, translations, quaternions in zip(names, offsets.tolist(), turns.tolist(), strict=True):
        frames = [f'{link}_{name}' for link in LINKS]
        parents = [camera_frame] + [frames[0]] * (len(frames) - 1)
        result += zip(parents, frames, translations, quaternions, strict=True)
    return result


class Humans:
    """The topics of all bodies; publishers come and go with the people. Methods are called from one thread."""

    def __init__(self, node):
        """Raises ValueError, with one line, where hri_msgs cannot be imported."""
        try:
            from hri_msgs import msg
        except ImportError as error:
            raise ValueError(
                f'publish_humans needs the package hri_msgs ({error}); expected it installed '
                '(apt: ros-<distro>-hri-msgs) or publish_humans false'
            ) from None
        self._node, self._messages = node, msg
        self._kinds = {
            'roi': msg.NormalizedRegionOfInterest2D,
            'skeleton2d': msg.Skeleton2D,
            'joint_states': JointState,
        }
        self._tracked = self._publisher(msg.IdsList, f'{TOPICS}/tracked')
        self._bodies = {}  # name -> {topic: publisher}
        self._header = None  # of the last image

    def publish(self, people, names, header, camera):
        """One image's people: the list of all for whoever comes, the rest for who listens.

        people: People with CPU tensors. names: N strings. header: the image's std_msgs/Header. camera: its Camera.
        """
        self._follow(names)
        self._header = header
        self._tracked.publish(self._messages.IdsList(header=header, ids=names))
        wanted = {kind: [i for i, name in enumerate(names) if self._heard(name, kind)] for kind in self._kinds}
        for i in wanted['roi']:
            self._bodies[names[i]]['roi'].publish(self._region(people[[i]], header, camera))
        for i in wanted['skeleton2d']:
            self._bodies[names[i]]['skeleton2d'].publish(self._skeleton(people[[i]], header, camera))
        listened = wanted['joint_states']
        if listened:
            angles = joint_angles(link_frames(people[listened])[0]).tolist()
            for i, values in zip(listened, angles, strict=True):
                joints = [f'{joint}_{names[i]}' for joint in JOINTS]
                self._bodies[names[i]]['joint_states'].publish(JointState(header=header, name=joints, position=values))

    def leave(self):
        """Nobody is looked at any more: says so, and takes everybody's topics away."""
        if self._bodies:
            self._follow(())
            if self._node.context.ok():  # else the process is ending, and the topics with it
                self._tracked.publish(self._messages.IdsList(header=self._header))

    def destroy(self):
        """Takes all topics away."""
        self._follow(())
        self._node.destroy_publisher(self._tracked)

    def _follow(self, names):
        """Makes the publishers of those who came, and ends those of who left."""
        for name in self._bodies.keys() - set(names):
            for publisher in self._bodies.pop(name).values():
                self._node.destroy_publisher(publisher)
        for name in names:
            if name not in self._bodies:
                topics = {
                    topic: self._publisher(kind, f'{TOPICS}/{name}/{topic}') for topic, kind in self._kinds.items()
                }
                self._bodies[name] = topics

    def _publisher(self, kind, topic):
        # Without callbacks for QoS events: the executor, in another thread, need not know of publishers that go.
        quiet = PublisherEventCallbacks(use_default_callbacks=False)
        return self._node.create_publisher(kind, topic, QoSProfile(depth=5), event_callbacks=quiet)

    def _heard(self, name, topic):
        return self._bodies[name][topic].get_subscription_count() > 0

    def _region(self, people, header, camera):
        x0, y0, x1, y1 = people.boxes[0].tolist()
        (xmin, ymin), (xmax, ymax) = (_share(point, camera)[0] for point in ((x0, y0), (x1, y1)))
        return self._kinds['roi'](header=header, xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax, c=people.scores[0].item())

    def _skeleton(self, people, header, camera):
        message = self._kinds['skeleton2d'](header=header)
        for name, joints in POINTS.items():
            point = message.skeleton[getattr(message, name)]
            (point.x, point.y), inside = _share(people.joints_2d[0, joints].mean(0).tolist(), camera)
            point.c = people.joint_confidence[0, joints].min().item() if inside else 0.0
        return message


def _share(pixel, camera):
    """A pixel as shares of the image's width and height, moved to the border where it is outside; whether it is not.

    (0, 0) is the centre of the first pixel, half a pixel from the border.
    """
    shares = [(value + 0.5) / size for value, size in zip(pixel, (camera.width, camera.height), strict=True)]
    return [min(max(share, 0.0), 1.0) for share in shares], all(0 <= share <= 1 for share in shares)
