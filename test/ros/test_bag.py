"""`mesh-perception bag`: every image of a recording answered as the node would, and what cannot be used named."""

import json
import random
from collections import Counter
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('mesh_perception.msg', reason='needs the built messages', exc_type=ImportError)
pytest.importorskip('tf2_msgs.msg', reason='needs tf2_msgs')
pytest.importorskip('rosbags', reason='needs rosbags')
from rclpy.serialization import serialize_message
from rosbags.interfaces import QosDurability
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String

from mesh_perception.cli import main
from mesh_perception.configuration import load_config
from mesh_perception.geometry.camera import Camera
from mesh_perception.joints import SMPL_JOINTS
from mesh_perception.media import read_picture
from mesh_perception.pipeline import MeshPipeline
from mesh_perception.ros.bag import BagError, Results, choose_topics, messages, open_bag, run_over
from mesh_perception.ros.bag_files import typestore
from mesh_perception.weights.store import WeightsError

PICTURE = Path(__file__).resolve().parents[1] / 'data' / 'two_people.png'
SECOND = 10**9
FRAMES = 5


def picture(index):
    """The two people, a little to the right in each image."""
    return np.roll(read_picture(PICTURE), 2 * index, axis=1)


@pytest.fixture(scope='module')
def camera():
    height, width = read_picture(PICTURE).shape[:2]
    return Camera.from_fov(width, height, 55)


def raw_image(index):
    rgb = picture(index)
    message = Image(height=rgb.shape[0], width=rgb.shape[1], encoding='rgb8', step=3 * rgb.shape[1])
    message.data.frombytes(rgb.tobytes())
    return message


def compressed_image(index):
    message = CompressedImage(format='png')
    message.data.frombytes(cv2.imencode('.png', picture(index)[..., ::-1])[1].tobytes())
    return message


def record(folder, storage, topic, make, camera, spoil=(), step=40_000_000):
    """A bag of `make`'s images, `step` ns apart; each calibration comes after its image.

    Images in `spoil` are of no known encoding, and calibrations of that number no message.
    """
    types = get_typestore(Stores.ROS2_JAZZY)
    with Writer(folder, version=9, storage_plugin=storage) as bag:
        kind = type(make(0)).__name__
        images = bag.add_connection(topic, f'sensor_msgs/msg/{kind}', typestore=types)
        infos = bag.add_connection('/front/camera_info', 'sensor_msgs/msg/CameraInfo', typestore=types)
        others = bag.add_connection('/chatter', 'std_msgs/msg/String', typestore=types)
        for index in range(FRAMES):
            message, info = make(index), CameraInfo(width=camera.width, height=camera.height, k=camera.k.reshape(9))
            if index in spoil:
                message.encoding = 'nosuch'
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(1000 * SECOND + step * index, SECOND)
            message.header.frame_id = 'front_optical_frame'
            info.header = message.header
            at = 2000 * SECOND + 40_000_000 * index
            for connection, content in ((images, message), (infos, info), (others, String(data='hello'))):
                data = serialize_message(content)
                bag.write(connection, at, data[:20] if index in spoil and connection is infos else data)
    return folder


@pytest.fixture(scope='module')
def bags(tmp_path_factory, camera):
    """(raw images in a SQLite bag, the same compressed in an MCAP file alone)"""
    folder = tmp_path_factory.mktemp('bags')
    raw = record(folder / 'raw', StoragePlugin.SQLITE3, '/front/image_raw', raw_image, camera)
    mcap = record(folder / 'packed', StoragePlugin.MCAP, '/front/image_raw/compressed', compressed_image, camera)
    return raw, mcap / 'packed.mcap'


@pytest.fixture(scope='module')
def pipeline():
    try:
        return MeshPipeline(load_config('embedded'))
    except WeightsError as error:
        pytest.skip(str(error))


@pytest.fixture(scope='module')
def answered(bags, pipeline):
    """The raw bag's results, by the command itself."""
    assert main(['bag', str(bags[0])]) == 0
    return bags[0].parent / 'raw_people'


def run(path, folder, pipeline, **options):
    """Another bag with the pipeline that is there. -> (exit code, {topic: messages})"""
    pipeline.reset()
    with closing(open_bag(path)) as bag, Results(folder, **{'markers': False} | options) as results:
        code = run_over(path, bag, *choose_topics(path, bag.connections), pipeline, results)
    return code, read(folder)


def read(folder):
    """{topic: messages} of one of our bags, without ROS."""
    types, found = typestore(), {}
    with Reader(folder) as bag:
        for connection, _, data in bag.messages():
            found.setdefault(connection.topic, []).append(types.deserialize_cdr(data, connection.msgtype))
    return found


def test_every_image_is_answered_as_the_pipeline_does(answered, pipeline, camera):
    pipeline.reset()
    found = read(answered)['/mesh_perception/people']
    assert len(found) == FRAMES
    for index, message in enumerate(found):
        people = pipeline(picture(index), camera, 1000 + 0.04 * index)
        assert len(people) == len(message.people) >= 1
        assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1000, 40_000_000 * index)
        assert message.header.frame_id == 'front_optical_frame'
        for i, person in enumerate(message.people):
            np.testing.assert_allclose(person.joints.reshape(24, 3), people.joints[i].numpy(), atol=1e-4)


def test_the_bag_holds_what_the_node_would_have_said(answered):
    found = read(answered)
    counts = Counter({topic: len(messages) for topic, messages in found.items()})
    confirmed = [{p.id for p in m.people if p.state == p.CONFIRMED} for m in found['/mesh_perception/people']]
    assert any(confirmed)
    expected = {f'/mesh_perception/{name}': FRAMES for name in ('people', 'markers')}
    assert counts == expected | {'/mesh_perception/body_model': 1, '/tf': sum(map(bool, confirmed))}
    frames = {t.child_frame_id for t in found['/tf'][-1].transforms}
    assert frames == {f'smpl_{person}_{joint}' for person in confirmed[-1] for joint in SMPL_JOINTS}
    people = found['/mesh_perception/people'][-1].people
    assert {m.text for m in found['/mesh_perception/markers'][-1].markers if m.ns == 'names'} == {p.id for p in people}
    with Reader(answered) as bag:
        offered = {c.topic: [qos.durability for qos in c.ext.offered_qos_profiles] for c in bag.connections}
        assert offered['/mesh_perception/body_model'] == [QosDurability.TRANSIENT_LOCAL], 'for late listeners'
        assert bag.start_time == 2000 * SECOND, "the recording's time: both play together"


def test_people_json_says_the_same_by_stamp(answered):
    by_stamp = json.loads((answered / 'people.json').read_text())
    assert list(by_stamp) == [f'1000.{40_000_000 * index:09d}' for index in range(FRAMES)]
    for message, people in zip(read(answered)['/mesh_perception/people'], by_stamp.values(), strict=True):
        assert [person['track_id'] for person in people] == [person.id for person in message.people]
        for recorded, person in zip(message.people, people, strict=True):
            np.testing.assert_array_equal(np.ravel(person['joints']), recorded.joints)


def test_compressed_images_in_a_lone_mcap_file_give_the_same_people(bags, answered, pipeline, tmp_path):
    code, found = run(bags[1], tmp_path / 'results', pipeline)
    assert code == 0 and '/mesh_perception/markers' not in found
    for ours, expected in zip(found['/mesh_perception/people'], read(answered)['/mesh_perception/people'], strict=True):
        assert len(ours.people) == len(expected.people)
        for one, other in zip(ours.people, expected.people, strict=True):
            np.testing.assert_allclose(one.joints, other.joints, atol=1e-4)


def test_messages_that_cannot_be_used_are_named_and_the_others_are_answered(pipeline, camera, tmp_path, capsys):
    path = record(tmp_path / 'bag', StoragePlugin.SQLITE3, '/front/image_raw', raw_image, camera, spoil=[0, 1])
    code, found = run(path, tmp_path / 'results', pipeline)
    printed = capsys.readouterr()
    stamps = [m.header.stamp.nanosec for m in found['/mesh_perception/people']]
    assert code == 1 and stamps == [40_000_000 * index for index in (2, 3, 4)]
    assert "image 1 is left out: image with encoding 'nosuch'" in printed.err
    assert '/front/camera_info: 20 bytes that are no sensor_msgs/CameraInfo' in printed.err
    assert '3 images, ' in printed.out and '2 images that could not be used' in printed.out
    assert [line.count('mesh-perception: ') for line in printed.err.splitlines()] == [1, 1], printed.err


def test_images_of_one_stamp_are_all_in_the_file(pipeline, camera, tmp_path):
    path = record(tmp_path / 'bag', StoragePlugin.MCAP, '/front/image_raw', raw_image, camera, step=0)
    code, found = run(path, tmp_path / 'results', pipeline)
    by_stamp = json.loads((tmp_path / 'results' / 'people.json').read_text())
    expected = ['1000.000000000', *(f'1000.000000000#{n}' for n in range(2, FRAMES + 1))]
    assert code == 0 and list(by_stamp) == expected and len(found['/mesh_perception/people']) == FRAMES


def test_where_time_starts_over_everybody_is_new(pipeline, camera, tmp_path, capsys):
    path = record(tmp_path / 'bag', StoragePlugin.MCAP, '/front/image_raw', raw_image, camera, step=-3 * SECOND)
    code, found = run(path, tmp_path / 'results', pipeline)
    people = [person for message in found['/mesh_perception/people'] for person in message.people]
    assert code == 0 and len({person.id for person in people}) == len(people) >= FRAMES
    assert {person.state for person in people} == {people[0].TENTATIVE}, 'nobody is confirmed in a single image'
    assert capsys.readouterr().err.count('the stamps jump back') == 1


def damaged(content, generator, trial):
    """A file cut off, or with some bytes changed, many or in its first or last parts."""
    content = bytearray(content)
    if trial % 3 == 0:
        return content[: generator.randrange(len(content))]
    places = [generator.randrange(len(content)) for _ in range(generator.choice([1, 20, 400]))]
    if trial % 3 == 1:
        places = [generator.choice([0, len(content) - 3000]) + generator.randrange(3000)]
    for place in places:
        content[place] = generator.randrange(256)
    return content


def test_a_damaged_bag_is_one_line_or_read_as_far_as_it_goes(bags, tmp_path):
    generator, complaints = random.Random(1), Counter()
    for source in (bags[0] / 'raw.db3', bags[1]):
        content, path = source.read_bytes(), tmp_path / f'bag{source.suffix}'
        for trial in range(150):
            path.write_bytes(damaged(content, generator, trial))
            try:
                with closing(open_bag(path)) as bag:
                    chosen = choose_topics(path, bag.connections)
                    assert len(list(messages(path, bag, chosen))) <= 2 * FRAMES
            except BagError as error:
                text = str(error)
                assert text.startswith(f'{path}: ') and '\n' not in text
                complaints[text.split(': ')[1].split(' after ')[0]] += 1
    assert complaints['not a rosbag2 recording that can be read'] > 50 and complaints['damaged'] >= 1, complaints


def test_what_was_found_before_the_damage_stays(bags, pipeline, tmp_path):
    content, generator = (bags[0] / 'raw.db3').read_bytes(), random.Random(0)
    for trial in range(2, 2000, 3):
        path = tmp_path / f'bag{trial}.db3'
        path.write_bytes(damaged(content, generator, trial))
        count = 0
        try:
            with closing(open_bag(path)) as bag:
                for _ in messages(path, bag, choose_topics(path, bag.connections)):
                    count += 1
        except BagError as error:
            if 'damaged after' in str(error) and count > 2:
                break
        path.unlink()
    else:
        pytest.fail('no such damage found')
    with pytest.raises(BagError, match=f'damaged after {count} messages'):
        run(path, tmp_path / 'results', pipeline)
    found = read(tmp_path / 'results')['/mesh_perception/people']
    assert len(found) == (count + 1) // 2 == len(json.loads((tmp_path / 'results' / 'people.json').read_text()))


def test_what_cannot_work_is_one_line(bags, answered, tmp_path, capsys):
    old = tmp_path / 'old.bag'
    old.write_bytes(b'#ROSBAG V2.0')
    (tmp_path / 'empty').mkdir()
    text = tmp_path / 'notes.txt'
    text.write_text('hello')
    for arguments, expected in (
        ([bags[0]], f'{answered}: exists already'),
        ([tmp_path / 'nowhere'], 'nowhere: no such file or folder'),
        ([old], 'old.bag: a bag of ROS 1'),
        ([tmp_path / 'empty'], 'empty: not a rosbag2 recording'),
        ([text], 'notes.txt: not a rosbag2 recording'),
        ([bags[0], '--image', '/back'], 'no images on /back; 1 image topics: /front/image_raw'),
        ([bags[0], '--camera-info', '/back'], 'no calibration on /back; 1 CameraInfo topics: /front/camera_info'),
        ([bags[0], '--models', 'nosuch'], "unknown model set 'nosuch'"),
        ([bags[0], '--out', text / 'inside'], 'cannot be written'),
    ):
        out = [] if '--out' in arguments or expected.endswith('already') else ['--out', tmp_path / 'out']
        assert main(['bag', *map(str, arguments + out)]) == 1
        errors = capsys.readouterr().err
        assert expected in errors and errors.count('\n') == 1 and not (tmp_path / 'out').exists(), errors


def connections(*topics):
    """Connections by their topics; the type from the name."""
    kinds = {'info': 'CameraInfo', 'ssed': 'CompressedImage', 'epth': 'CompressedImage', 'tter': 'String'}
    return [SimpleNamespace(topic=t, msgtype=f'sensor_msgs/msg/{kinds.get(t[-4:], "Image")}') for t in topics]


@pytest.mark.parametrize(
    ('topics', 'options', 'expected'),
    [
        (('/a/image', '/b/info'), {}, ('/a/image', '/b/info')),
        (('/a/image', '/a/camera_info', '/b/camera_info'), {}, ('/a/image', '/a/camera_info')),
        (('/a/image', '/a/image/compressed', '/a/image/compressedDepth', '/info'), {}, ('/a/image', '/info')),
        (('/a/image/compressed', '/a/camera_info', '/x/info'), {}, ('/a/image/compressed', '/a/camera_info')),
        (('/a/image', '/b/image', '/info'), {'image': '/b/image'}, ('/b/image', '/info')),
        (('/a/image/compressed', '/b/image', '/info'), {'image': '/a/image'}, ('/a/image/compressed', '/info')),
        (('/a/image', '/a/camera_info', '/b/info'), {'camera_info': '/b/info'}, ('/a/image', '/b/info')),
        (('/a/image', '/b/image', '/info'), {}, '2 image topics: /a/image, /b/image; name one with --image'),
        (('/a/image', '/b/info', '/c/info'), {}, '2 CameraInfo topics: /b/info, /c/info; name one with --camera-info'),
        (('/a/image',), {}, 'no CameraInfo topics'),
        (('/chatter', '/info'), {}, 'no image topics'),
    ],
)
def test_topics_are_found_by_type_and_asked_for_where_there_are_several(topics, options, expected):
    if isinstance(expected, str):
        with pytest.raises(BagError, match=f'^bag: {expected}$'):
            choose_topics('bag', connections(*topics), **options)
    else:
        assert tuple(c.topic for c in choose_topics('bag', connections(*topics), **options)) == expected
