"""The messages' definitions, and the built ones against them."""

from pathlib import Path

import pytest

MESSAGES = Path(__file__).resolve().parents[2] / 'msg'
FILES = sorted(MESSAGES.glob('*.msg'), key=lambda path: path.name)

FIELDS = {
    'SmplPeople': 'header body_model model_set width height k people',
    'SmplPerson': 'id state score box pose betas translation joints joints_2d joint_confidence joint_sigma velocity '
    'vertices',
    'BodyModel': 'id licence faces joint_names parents rest_joints',
}


def fields_of(path):
    """[(type, name, has a comment above)] of a message file, constants included with their value as the name."""
    result, commented = [], False
    for line in path.read_text().splitlines():
        if line.startswith('#'):
            commented = True
        elif line.strip():
            kind, name = line.split()
            result.append((kind, name, commented))
            commented = False
        else:
            commented = False
    return result


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_every_field_and_constant_has_its_own_comment(path):
    assert [name for _, name, commented in fields_of(path) if not commented] == []


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_messages_have_the_fields_that_users_rely_on(path):
    assert [name for _, name, _ in fields_of(path) if '=' not in name] == FIELDS[path.stem].split()


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_built_messages_are_those_of_the_checkout(path):
    messages = pytest.importorskip('mesh_perception.msg', reason='the messages are not built', exc_type=ImportError)
    built = getattr(messages, path.stem).get_fields_and_field_types()
    # rosidl's own spelling of the types.
    spelling = {'float32': 'float', 'float64': 'double', 'SmplPerson': 'mesh_perception/SmplPerson'}
    wanted = {}
    for kind, name, _ in fields_of(path):
        if '=' not in name:
            base, bracket, length = kind.partition('[')
            base = spelling.get(base, base)
            wanted[name] = f'sequence<{base}>' if length == ']' else base + bracket + length
    assert built == wanted


def test_states_are_numbered_as_published():
    constants = dict(name.split('=') for _, name, _ in fields_of(MESSAGES / 'SmplPerson.msg') if '=' in name)
    assert constants == {'TENTATIVE': '0', 'CONFIRMED': '1', 'LOST': '2'}


def test_a_message_of_every_type_survives_serialisation():
    messages = pytest.importorskip('mesh_perception.msg', reason='the messages are not built', exc_type=ImportError)
    serialization = pytest.importorskip('rclpy.serialization', reason='no rclpy here')
    person = messages.SmplPerson(id='ab', betas=[0.5, -1.0], state=messages.SmplPerson.LOST)
    for message in (messages.SmplPeople(body_model='open', people=[person]), messages.BodyModel(id='open'), person):
        again = serialization.deserialize_message(serialization.serialize_message(message), type(message))
        assert str(again) == str(message)


def test_tf_message_has_its_own_name():
    tf2_msgs = pytest.importorskip('tf2_msgs.msg', reason='tf2_msgs is not built')
    assert tf2_msgs.TFMessage.get_fields_and_field_types() == {'transforms': 'sequence<geometry_msgs/TransformStamped>'}
