"""The publishers of a configured node, and what is computed for whom: nothing for a topic that nobody listens to."""

from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from mesh_perception.msg import BodyModel, SmplPeople
from mesh_perception.ros.ids import PersonNames
from mesh_perception.ros.markers import MarkerEncoder
from mesh_perception.ros.messages import body_message, image_bytes, people_message
from mesh_perception.ros.qos import overridable
from mesh_perception.ros.transforms import PeopleTransforms
from mesh_perception.visualization.overlay import Overlay


class Outputs:
    """Everything the node publishes. `publish` and `close` belong to one thread, the one that runs the pipeline."""

    def __init__(self, node, value):
        """node: a LifecycleNode. value: a function from a parameter's name to its present value."""
        self._node, self._value = node, value
        self._publishers = []
        reliable = QoSProfile(depth=5)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._people = self.publisher(SmplPeople, '~/people', reliable)
        self._body = self.publisher(BodyModel, '~/body_model', latched)
        self._markers = self.publisher(MarkerArray, '~/markers', reliable)
        self._overlay = self.publisher(Image, '~/overlay', QoSProfile(depth=1))
        self._tf = self.publisher(TFMessage, '/tf', QoSProfile(depth=100))
        self._names = PersonNames()
        self._encoder = MarkerEncoder(value('marker_lifetime'))
        self._transforms = PeopleTransforms(value('tf_prefix'), [j for j in value('tf_joints') if j])
        self._drawing = None

    def reset(self):
        """Time or the tracker started over: track ids may come again, for other people and with earlier stamps."""
        self._names.clear()
        self._transforms.reset()

    def set_body(self, body):
        """Publishes the body, for all who listen now or later; `close` comes before another one."""
        if self._drawing is None:
            self._drawing = Overlay(body)
        self._body.publish(body_message(body))

    def close(self):
        """Gives graphics memory back."""
        if self._drawing is not None:
            self._drawing.close()
            self._drawing = None

    def publisher(self, kind, topic, qos):
        """A lifecycle publisher that goes with `destroy`, its QoS overridable (qos_overrides.<topic>.publisher)."""
        publisher = overridable(self._node.create_lifecycle_publisher, kind, topic, qos)
        self._publishers.append(publisher)
        return publisher

    def destroy(self):
        """Takes the publishers off the network; `close` comes before."""
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers = []

    def publish(self, frame, people, pipeline):
        """One image's people on every topic that is switched on and has a listener; ~/people always.

        Returns False where TF had to be left out because of the stamp or the missing frame_id.
        """
        names = self._names(people.track_ids.tolist())
        vertices = pipeline.meshes(people) if self._value('publish_vertices') else None
        self._people.publish(
            people_message(people, names, frame.header, frame.camera, pipeline.body.id, pipeline.config.name, vertices)
        )
        stamped = self._publish_tf(frame, people, names) if self._value('publish_tf') else True
        # Pictures come last: whoever acts on people does not wait for them.
        wants_overlay = self._wanted(self._overlay, 'publish_overlay')
        wants_markers = self._wanted(self._markers, 'publish_markers')
        light = self._value('marker_mesh') == 'light'
        if vertices is None and (wants_overlay or (wants_markers and not light)):
            vertices = pipeline.meshes(people)
        if wants_markers:
            self._publish_markers(frame, people, names, pipeline, None if light else vertices)
        if wants_overlay:
            picture = self._drawing.draw(frame.image, frame.camera, people, vertices, names)
            self._overlay.publish(image_bytes(picture, frame.header))
        return stamped

    def _wanted(self, publisher, switch):
        return self._value(switch) and publisher.get_subscription_count() > 0

    def _publish_tf(self, frame, people, names):
        """Always, listener or not: TF listeners come late and expect the frames of before."""
        if not frame.header.frame_id:
            return False
        message = self._transforms.encode(people, names, frame.header)
        if message is not None and len(people):
            self._tf.publish(message)
        return message is not None

    def _publish_markers(self, frame, people, names, pipeline, vertices):
        faces = pipeline.body.faces
        if vertices is None:
            vertices, faces = pipeline.meshes(people, light=True), pipeline.body.light_faces
        self._markers.publish(self._encoder.encode(people, names, frame.header, vertices, faces.cpu().numpy()))
