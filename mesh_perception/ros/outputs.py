"""The publishers of a configured node, and what is computed for whom: nothing for a topic that nobody listens to."""

from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from mesh_perception.msg import BodyModel, SmplPeople
from mesh_perception.ros.hri import Humans, body_frames
from mesh_perception.ros.ids import PersonNames
from mesh_perception.ros.markers import MarkerEncoder
from mesh_perception.ros.messages import body_message, image_bytes, people_message
from mesh_perception.ros.qos import overridable
from mesh_perception.ros.target_frame import TargetFrame
from mesh_perception.ros.tf_buffer import TransformError
from mesh_perception.ros.transforms import FrameChoice, PeopleTransforms, TransformEncoder
from mesh_perception.visualization.overlay import Overlay


class Outputs:
    """Everything the node publishes. `publish` and `close` belong to one thread, the one that runs the pipeline."""

    def __init__(self, node, value):
        """node: a LifecycleNode. value: a function from a parameter's name to its present value.

        Raises ValueError where publish_humans is asked for and hri_msgs is not there.
        """
        self._node, self._value = node, value
        self._publishers = []
        self._humans = Humans(node) if value('publish_humans') else None
        self._target = TargetFrame(node, value('target_frame')) if value('target_frame') else None
        reliable = QoSProfile(depth=5)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._people = self.publisher(SmplPeople, '~/people', reliable)
        self._fixed = self.publisher(SmplPeople, '~/people_fixed', reliable) if self._target else None
        self._body = self.publisher(BodyModel, '~/body_model', latched)
        self._markers = self.publisher(MarkerArray, '~/markers', reliable)
        self._overlay = self.publisher(Image, '~/overlay', QoSProfile(depth=1))
        self._tf = self.publisher(TFMessage, '/tf', QoSProfile(depth=100))
        self._names = PersonNames()
        self._encoder = MarkerEncoder(value('marker_lifetime'))
        self._joint_frames = PeopleTransforms(value('tf_prefix'), [j for j in value('tf_joints') if j])
        self._choice, self._encode_tf = FrameChoice(), TransformEncoder()
        self._drawing = None

    def reset(self):
        """Time or the tracker started over: track ids may come again, for other people and with earlier stamps."""
        self._names.clear()
        self._choice.reset()
        self._encode_tf.reset()
        self.leave()
        if self._target:
            self._target.reset()

    def set_body(self, body):
        """Publishes the body, for all who listen now or later; `close` comes before another one."""
        if self._drawing is None:
            self._drawing = Overlay(body)
        self._body.publish(body_message(body))

    def leave(self):
        """Nobody is looked at any more."""
        if self._humans:
            self._humans.leave()

    def close(self):
        """Gives graphics memory back; nobody is looked at any more."""
        if self._drawing is not None:
            self._drawing.close()
            self._drawing = None
        self.leave()

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
        for other in filter(None, (self._humans, self._target)):
            other.destroy()

    def publish(self, frame, people, pipeline):
        """One image's people on every topic that is switched on and has a listener; ~/people always.

        Returns what had to be left out, and why, one line each.
        """
        names = self._names(people.track_ids.tolist())
        vertices = pipeline.meshes(people) if self._value('publish_vertices') else None
        context = (frame.camera, pipeline.body.id, pipeline.config.name)
        self._people.publish(people_message(people, names, frame.header, *context, vertices))
        problems = self._publish_framed(frame, people, names)
        if self._fixed and self._fixed.get_subscription_count() > 0:
            try:
                moved, moved_vertices, header = self._target.transform(people, frame.header, vertices)
                self._fixed.publish(people_message(moved, names, header, *context, moved_vertices))
            except TransformError as error:
                problems.append(f'nothing on ~/people_fixed: {error}')
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
        return problems

    def _wanted(self, publisher, switch):
        return self._value(switch) and publisher.get_subscription_count() > 0

    def _publish_framed(self, frame, people, names):
        """TF, listener or not (TF listeners come late and expect the frames of before), and REP-155's topics."""
        chosen = self._choice(people, self._value('max_tf_people'))
        people, names = people[chosen], [names[i] for i in chosen]
        if self._humans:
            self._humans.publish(people, names, frame.header, frame.camera)
        camera = frame.header.frame_id
        frames = self._joint_frames(people, names, camera) if self._value('publish_tf') else []
        if self._humans:
            frames += body_frames(people, names, camera)
        if not frames:
            return []
        if not camera:
            return ['the image has no frame_id: its TF is left out']
        message = self._encode_tf.encode(frames, frame.header.stamp)
        if message is None:
            return ["the image's stamp is not later than the last one's: its TF is left out"]
        if self._target:
            self._target.sent(message)
        self._tf.publish(message)
        return []

    def _publish_markers(self, frame, people, names, pipeline, vertices):
        faces = pipeline.body.faces
        if vertices is None:
            vertices, faces = pipeline.meshes(people, light=True), pipeline.body.light_faces
        self._markers.publish(self._encoder.encode(people, names, frame.header, vertices, faces.cpu().numpy()))
