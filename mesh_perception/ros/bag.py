"""Everybody in a recorded bag: what the node would have said of every image, in a bag of its own.

The node's own parts run here (FrameAssembler, MeshPipeline, Outputs), without its queue: no image is left out.
"""

import json
import sys
from contextlib import closing
from pathlib import Path

from rclpy.qos import DurabilityPolicy
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import Reader
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tqdm import tqdm

from mesh_perception.configuration import load_config
from mesh_perception.pipeline import MeshPipeline
from mesh_perception.ros.bag_files import BagWriter, person_records
from mesh_perception.ros.inputs import FrameAssembler, InputError, is_rectified, read_message
from mesh_perception.ros.outputs import Outputs
from mesh_perception.ros.parameter_table import SECTIONS

IMAGE, COMPRESSED, INFO = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage', 'sensor_msgs/msg/CameraInfo'
TYPES = {IMAGE: Image, COMPRESSED: CompressedImage, INFO: CameraInfo}
NODE = '/mesh_perception'  # whose topics the results are


class BagError(ValueError):
    """A bag that cannot be used; one line that names it and what was expected."""


def process(arguments):
    """The command. -> exit code. Raises BagError, and ValueError from the configuration."""
    path = arguments.bag
    folder = arguments.out or path.parent / f'{path.resolve().stem}_people'
    with closing(open_bag(path)) as bag:
        if folder.exists():  # said before the networks are loaded
            raise BagError(f'{folder}: exists already; name another folder with --out')
        image, info = choose_topics(path, bag.connections, arguments.image, arguments.camera_info)
        changes = {key: value for key in ('body', 'device') if (value := getattr(arguments, key))}
        config = load_config(arguments.models, changes)
        pipeline = MeshPipeline(config)
        print(f'{image.topic} with {info.topic} -> {folder}', flush=True)
        with Results(folder, not arguments.no_markers) as results:
            return run_over(path, bag, image, info, pipeline, results)


def run_over(path, bag, image, info, pipeline, results):
    """Every image of the bag through the pipeline. -> exit code"""
    assembler = FrameAssembler(image.msgtype == COMPRESSED, is_rectified('auto', image.topic))
    frames, refused, most, said = 0, 0, 0, set()

    def complain(text):
        """Once, however many messages it is true of."""
        if text not in said:
            said.add(text)
            tqdm.write(f'mesh-perception: {path}: {text}', sys.stderr)

    def calibrate(data):
        try:
            assembler.set_camera_info(read_message(bytes(data), CameraInfo))
            return True
        except InputError as error:
            complain(f'{info.topic}: {error}')
            return False

    next(filter(calibrate, (data for _, _, data in messages(path, bag, [info]))), None)  # images may come before it
    results.begin(pipeline, bag.start_time)
    with tqdm(total=image.msgcount, unit='image', disable=not sys.stderr.isatty()) as bar:
        for connection, stamp, data in messages(path, bag, [image, info]):
            if connection.topic == info.topic:
                calibrate(data)
                continue
            bar.update()
            try:
                frame = assembler.assemble(read_message(bytes(data), TYPES[image.msgtype]))
            except InputError as error:
                if not refused:
                    complain(f'image {frames + 1} is left out: {error}')
                refused += 1
                continue
            if frame.restarted:
                complain('the stamps jump back: everybody is forgotten there, ids start anew')
                pipeline.reset()
                results.reset()
            if frame.calibration_frame not in ('', frame.header.frame_id):
                complain(f'frame_id of images {frame.header.frame_id!r}, of camera_info {frame.calibration_frame!r}')
            people = pipeline(frame.image, frame.camera, frame.stamp)
            for problem in results.add(stamp, frame, people, pipeline):
                complain(problem)
            frames, most = frames + 1, max(most, len(people))
    print(
        f'{_counted(frames, "image", "images")}, at most {_counted(most, "person", "people")} in one'
        + (f', {_counted(refused, "image", "images")} that could not be used' if refused else '')
        + f'; in {results.folder}'
    )
    return 1 if refused or not frames else 0


def open_bag(path):
    """A rosbags Reader, open. Raises BagError."""
    if not path.exists():
        raise BagError(f'{path}: no such file or folder')
    if path.suffix == '.bag' and path.is_file():
        raise BagError(f'{path}: a bag of ROS 1; `rosbags-convert --src {path} --dst ...` makes a rosbag2 of it')
    try:
        bag = Reader(path)
        bag.open()
    except Exception as error:  # damaged files fail in the storage's and the decompressors' own ways
        raise BagError(
            f'{path}: not a rosbag2 recording that can be read: {_reason(error)}; `ros2 bag reindex` or `mcap recover` '
            'mends recordings that were not closed'
        ) from None
    return bag


def messages(path, bag, connections):
    """The bag's messages of these connections in turn. Raises BagError where the file is damaged."""
    count = 0
    stream = bag.messages(connections)
    while True:
        try:
            message = next(stream)
        except StopIteration:
            return
        except Exception as error:
            raise BagError(f'{path}: damaged after {count} messages: {_reason(error)}') from None
        count += 1
        yield message


def choose_topics(path, connections, image='', camera_info=''):
    """The bag's connections with images and their calibration. Raises BagError where that is not clear.

    image, camera_info: topics' names, where the user gave them.
    """
    images = {c.topic: c for c in connections if c.msgtype in (IMAGE, COMPRESSED) and 'compressedDepth' not in c.topic}
    infos = {c.topic: c for c in connections if c.msgtype == INFO}
    if image:
        chosen = images.get(image) or images.get(f'{image}/compressed')
        if chosen is None:
            raise BagError(f'{path}: no images on {image}; {_listed(images, "image topics")}')
    else:
        # An image that is there raw need not be decompressed.
        several = {t: c for t, c in images.items() if t.removesuffix('/compressed') not in images or t in _raw(images)}
        if len(several) != 1:
            raise BagError(f'{path}: {_listed(several, "image topics")}' + '; name one with --image' * bool(several))
        (chosen,) = several.values()
    beside = f'{chosen.topic.removesuffix("/compressed").rpartition("/")[0]}/camera_info'
    wanted = camera_info or (beside if beside in infos else '')
    if wanted:
        if wanted not in infos:
            raise BagError(f'{path}: no calibration on {wanted}; {_listed(infos, "CameraInfo topics")}')
        return chosen, infos[wanted]
    if len(infos) != 1:
        raise BagError(f'{path}: {_listed(infos, "CameraInfo topics")}' + '; name one with --camera-info' * bool(infos))
    return chosen, next(iter(infos.values()))


class Results:
    """The bag and the JSON file that are written; a context manager."""

    def __init__(self, folder, markers):
        """folder: where; it must not be there yet. markers: write what RViz draws. Raises BagError."""
        self.folder = Path(folder)
        settings = {entry.name: entry.default for entries in SECTIONS.values() for entry in entries}
        settings |= {'publish_markers': markers, 'publish_overlay': False}
        try:
            self._bag = BagWriter(self.folder)
            self._json = (self.folder / 'people.json').open('w')
        except OSError as error:
            raise BagError(f'{folder}: cannot be written: {error.strerror or error}') from None
        self._outputs = BagOutputs(self, settings.__getitem__)
        self._now, self._keys = 0, set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._json.write('\n}\n' if self._keys else '{}\n')
        self._json.close()
        self._bag.close()
        self._outputs.close()

    def begin(self, pipeline, stamp):
        """Writes the body, at a time in ns."""
        self._now = stamp
        self._outputs.set_body(pipeline.body)

    def reset(self):
        """Time started over."""
        self._outputs.reset()

    def add(self, stamp, frame, people, pipeline):
        """Everything about one image, at the bag's time in ns. -> what had to be left out, one line each"""
        self._now = stamp
        return self._outputs.publish(frame, people, pipeline)

    def write(self, topic, kind, message, latched):
        """A message, or the bytes of one."""
        data = message if isinstance(message, bytes) else serialize_message(message)
        self._bag.write(topic, kind, self._now, data, latched)
        if topic == f'{NODE}/people':
            self._json.write(',\n' if self._keys else '{\n')
            self._json.write(f'"{self._key(message.header.stamp)}": ')
            json.dump(person_records(message), self._json)

    def _key(self, stamp):
        """The stamp's digits; of images with one stamp the later ones are numbered."""
        first = key = f'{stamp.sec}.{stamp.nanosec:09d}'
        while key in self._keys:
            key = f'{first}#{int(key.partition("#")[2] or 1) + 1}'
        self._keys.add(key)
        return key


class BagOutputs(Outputs):
    """The node's outputs, into a bag instead of the network."""

    def __init__(self, results, value):
        """results: Results. value: a function from a parameter's name to its value."""
        self._results = results
        super().__init__(None, value)

    def publisher(self, kind, topic, qos):
        """What publishes into the bag."""
        latched = qos.durability == DurabilityPolicy.TRANSIENT_LOCAL
        return BagTopic(self._results, kind, topic.replace('~', NODE), latched)


class BagTopic:
    """As much of a publisher as Outputs uses."""

    def __init__(self, results, kind, topic, latched):
        self._results, self._kind, self._topic, self._latched = results, kind, topic, latched

    def publish(self, message):
        """A message, or the bytes of one."""
        self._results.write(self._topic, self._kind, message, self._latched)

    def get_subscription_count(self):
        """The bag listens to everything."""
        return 1


def _raw(images):
    return {topic for topic, connection in images.items() if connection.msgtype == IMAGE}


def _listed(topics, what):
    if not topics:
        return f'no {what}'
    return f'{len(topics)} {what}: {", ".join(sorted(topics))}'


def _counted(number, one, many):
    return f'{number} {one if number == 1 else many}'


def _reason(error):
    return ' '.join(str(error).split()) or type(error).__name__
