"""rosbag2 files with this package's messages, written by rosbags alone: no ROS is needed to read them."""

from pathlib import Path

from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

import mesh_perception.msg

_FOREVER = QosTime(2**31 - 1, 2**32 - 1)
# What players are to offer for topics that late listeners expect.
LATCHED = Qos(
    QosHistory.KEEP_LAST,
    1,
    QosReliability.RELIABLE,
    QosDurability.TRANSIENT_LOCAL,
    _FOREVER,
    _FOREVER,
    QosLiveliness.AUTOMATIC,
    _FOREVER,
    False,
)


def typestore():
    """rosbags' types with this package's own."""
    store = get_typestore(Stores.ROS2_JAZZY)
    definitions = Path('share', 'mesh_perception', 'msg')
    # The prefix they were installed to is a few folders above the Python package, how many differs between systems.
    prefix = next(p for p in Path(mesh_perception.msg.__file__).parents if (p / definitions).is_dir())
    types = {}
    for path in sorted((prefix / definitions).glob('*.msg')):
        types.update(get_types_from_msg(path.read_text(), f'mesh_perception/msg/{path.stem}'))
    store.register(types)
    return store


class BagWriter:
    """An MCAP bag: a folder as rosbag2 makes it. Every topic's definition is in it, with all that it consists of."""

    def __init__(self, folder):
        """folder: where; it must not be there yet. Raises OSError."""
        folder = Path(folder)
        if folder.exists():
            raise FileExistsError(f'{folder}: exists already')
        self._types, self._connections = typestore(), {}
        self._writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()

    def write(self, topic, kind, stamp, data, latched=False):
        """One serialised message of a generated Python type, at a time in ns; latched: as players offer its topic."""
        if topic not in self._connections:
            package, folder, _ = kind.__module__.split('.')
            name = f'{package}/{folder}/{kind.__name__}'
            self._connections[topic] = self._writer.add_connection(
                topic, name, typestore=self._types, offered_qos_profiles=[LATCHED] * latched
            )
        self._writer.write(self._connections[topic], stamp, data)

    def close(self):
        """Completes the files."""
        self._writer.close()


def person_records(message):
    """A SmplPeople message's people as plain numbers, for JSON."""
    return [
        {
            'track_id': person.id,
            'state': person.state,
            'score': person.score,
            'box': person.box.tolist(),
            'joints': person.joints.reshape(24, 3).tolist(),
            'joints_2d': person.joints_2d.reshape(24, 2).tolist(),
            'joint_confidence': person.joint_confidence.tolist(),
            'pose': person.pose.tolist(),
            'betas': list(person.betas),
            'translation': person.translation.tolist(),
        }
        for person in message.people
    ]
