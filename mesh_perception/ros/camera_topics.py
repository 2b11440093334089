"""The subscriptions to one camera's image and camera_info, and what is heard of their publishers."""

import time

from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
from rclpy.qos import DurabilityPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy, qos_policy_name_from_kind
from sensor_msgs.msg import CameraInfo, CompressedImage

from mesh_perception.ros.qos import is_overridden, overridable
from mesh_perception.ros.silence import Silence


class CameraTopics:
    """Sensor-data QoS (`image_reliability`, keep last 1), each policy overridable (qos_overrides.<topic>.subscription).

    A camera_info that was latched before the node came is heard as well. That takes a subscription of its own, made
    when such a publisher is there: the usual ones would get nothing through it, and complain.
    """

    def __init__(self, node, image_type, reliability, on_image, on_camera_info):
        """image_type: Image or CompressedImage, handed to on_image serialised. Raises ParameterError, one line,
        for an override that cannot be used."""
        self._node = node
        self._on_image, self._on_camera_info = on_image, on_camera_info
        self._image_type = image_type
        topic = node.resolve_topic_name('image')
        if image_type is CompressedImage:  # image_transport's way: remap the name, then add the transport
            topic = f'{topic}/compressed'
        self._info_topic = node.resolve_topic_name('camera_info')
        self.silence = Silence(topic, self._info_topic, time.monotonic())
        self._subscriptions, self._hears_latched = [], False
        self._unfit = {}  # topic -> the policy in which the last unfit publisher differs
        try:
            qos = QoSProfile(depth=1, reliability=ReliabilityPolicy[reliability.upper()])
            self._subscribe(CameraInfo, self.silence.camera_info, self._take_camera_info, qos)
            qos = QoSProfile(depth=1, reliability=ReliabilityPolicy[reliability.upper()])
            self._subscribe(image_type, self.silence.image, self._take_image, qos, raw=True)
        except BaseException:
            self.destroy()
            raise

    def destroy(self):
        """Unsubscribes."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def reason(self, patience):
        """Why there are no images, or fewer than were published, in one line; '' where all is well."""
        self._hear_latched()
        now = time.monotonic()
        image, info = self.silence.image, self.silence.camera_info
        for topic, kind in ((image, self._image_type), (info, CameraInfo)):
            topic.misfit = self._misfit(topic.name) if topic.name in self._unfit else ''
            if not topic.publishers and (text := self.silence.reason(now, patience)):
                topic.others = self._published(kind)
                return self.silence.reason(now, patience) if topic.others else text
        return self.silence.reason(now, patience)

    def _published(self, kind):
        """Topics of a message type that somebody else publishes, the first few."""
        name, overlay = f'sensor_msgs/msg/{kind.__name__}', f'/{self._node.get_name()}/overlay'
        topics = [topic for topic, kinds in self._node.get_topic_names_and_types() if name in kinds]
        return sorted(t for t in topics if self._node.count_publishers(t) and not t.endswith(overlay))[:4]

    def _take_image(self, serialized):
        self.silence.image_came(time.monotonic(), len(serialized))
        self._on_image(serialized)

    def _take_camera_info(self, message):
        size = 0 if self._image_type is CompressedImage else 3 * message.width * message.height
        self.silence.camera_info_came(time.monotonic(), size)
        self._on_camera_info(message)

    def _hear_latched(self):
        if self._hears_latched or not any(map(_latches, self._node.get_publishers_info_by_topic(self._info_topic))):
            return
        self._hears_latched = True
        qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        quiet = SubscriptionEventCallbacks(use_default_callbacks=False)  # there may be other publishers
        self._subscriptions.append(
            self._node.create_subscription(
                CameraInfo, self._info_topic, self._take_camera_info, qos, event_callbacks=quiet
            )
        )

    def _subscribe(self, kind, topic, callback, qos, raw=False):
        def matched(event):
            self._hear_latched()
            self.silence.matched(topic, event.current_count, time.monotonic())

        def incompatible(event):
            # Who it is, DDS may tell a moment later.
            self._unfit[topic.name] = qos_policy_name_from_kind(event.last_policy_kind).lower()

        def lost(event):
            self.silence.images_lost(time.monotonic(), event.total_count_change)

        # image_reliability may be changed while the node is unconfigured, an override may not.
        given = is_overridden(self._node, topic.name, QoSPolicyKind.RELIABILITY)
        fixed = () if given else (QoSPolicyKind.RELIABILITY,)
        events = {'matched': matched, 'incompatible_qos': incompatible}
        if raw:
            events['message_lost'] = lost
        for without in (None, 'message_lost', 'matched'):  # not every middleware tells of these
            events.pop(without, None)
            try:
                told = SubscriptionEventCallbacks(**events)
                subscription = overridable(
                    self._node.create_subscription,
                    kind,
                    topic.name,
                    callback,
                    qos,
                    fixed=fixed,
                    raw=raw,
                    event_callbacks=told,
                )
                break
            except UnsupportedEventTypeError:
                continue
        self._subscriptions.append(subscription)

    def _misfit(self, topic):
        """What does not fit between the publishers of a topic and us, and what to do; '' if such a one is gone."""
        policy = self._unfit[topic]
        asked = next(_named(s.qos_profile, policy) for s in self._subscriptions if s.topic_name == topic)
        offers = {
            f'{info.node_namespace.rstrip("/")}/{info.node_name} offers {_named(info.qos_profile, policy)}'
            for info in self._node.get_publishers_info_by_topic(topic)
            if _named(info.qos_profile, policy) != asked
        }
        remedy = {
            'reliability': 'image_reliability:=best_effort takes both',
            'durability': f'qos_overrides.{topic}.subscription.durability:=volatile takes both',
        }.get(policy, f'change qos_overrides.{topic}.subscription.{policy}')
        if not offers:
            return ''
        return (
            f'{topic}: nothing comes from a publisher with another {policy}: {", ".join(sorted(offers))}, '
            f'{asked} is asked for; {remedy}'
        )


def _latches(publisher):
    qos = publisher.qos_profile
    return qos.durability == DurabilityPolicy.TRANSIENT_LOCAL and qos.reliability == ReliabilityPolicy.RELIABLE


def _named(qos, policy):
    """A policy's value in a profile, in words."""
    value = getattr(qos, policy, 'something else')
    return value.name.lower() if hasattr(value, 'name') else str(value)
