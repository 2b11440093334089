"""Malformed messages of every kind, to the real node over DDS: refused in a line, and the next good one is answered."""

import random
import resource
import struct
import time
from contextlib import contextmanager

import numpy as np
import pytest
import torch

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('mesh_perception.msg', reason='needs the built messages', exc_type=ImportError)
pytest.importorskip('tf2_msgs.msg', reason='needs tf2_msgs')
import cv2
from geometry_msgs.msg import TransformStamped
from hypothesis import HealthCheck, Phase, assume, example, given, settings
from hypothesis import strategies as st
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, RegionOfInterest
from tf2_msgs.msg import TFMessage

from mesh_perception.ros.inputs import Frame, FrameAssembler, InputError

# What a field that is wrong may hold.
SIZES = st.one_of(st.integers(0, 70), st.sampled_from((2**16, 2**31 - 1, 2**31, 2**32 - 1)))
ENCODINGS = st.sampled_from(
    (
        *('rgb8', 'bgr8', 'mono8', 'mono16', 'rgba8', 'bgra8', 'yuv422', 'yuv422_yuy2', 'nv12', 'nv21', 'bayer_rggb8'),
        *('bayer_gbrg16', '8UC1', '8UC3', '32FC1', 'rgb16', 'RGB8', '', 'rgb8 ', 'x' * 200, 'ä☃\n', '%s%n{0}'),
    )
)
NUMBERS = st.one_of(
    st.sampled_from((0.0, -1.0, 1e-300, 1e-9, 1e6, 1e18, 1e300, float('nan'), float('inf'), float('-inf'))),
    st.floats(-10, 1000),
)
FRAMES = st.sampled_from(('camera', '', '/camera', 'a b', 'x' * 300, 'ä☃', '\n', '../..'))
SECONDS = st.sampled_from((0, 1, 1_700_000_000, 2**31 - 1, -1, -(2**31)))
MODELS = st.sampled_from(('plumb_bob', 'rational_polynomial', 'equidistant', '', 'none', 'fisheye', 'x' * 200, 'ä\n'))
FEW = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),  # making the example smaller takes minutes over DDS
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
MANY = settings(FEW, max_examples=300)


@st.composite
def images(draw):
    """Images whose fields do not fit each other, or only by chance."""
    width, height, encoding = draw(SIZES), draw(SIZES), draw(ENCODINGS)
    natural = width * draw(st.sampled_from((0, 1, 2, 3, 4, 6)))
    step = draw(st.one_of(SIZES, st.just(natural % 2**32), st.just((natural + 1) % 2**32)))
    length = draw(st.one_of(st.integers(0, 300), st.just(min(step * height, 10**5)), st.just(max(0, step - 1) % 1000)))
    message = Image(width=width, height=height, encoding=encoding, step=step, is_bigendian=draw(st.integers(0, 255)))
    message.data.frombytes(bytes(length))
    message.header.frame_id = draw(FRAMES)
    message.header.stamp.sec, message.header.stamp.nanosec = draw(SECONDS), draw(st.sampled_from((0, 5, 2**32 - 1)))
    return message


@st.composite
def infos(draw, width=None, height=None):
    """Calibrations that no camera has; of this size where it is given."""
    k = draw(
        st.one_of(
            st.lists(NUMBERS, min_size=9, max_size=9),
            st.tuples(NUMBERS, NUMBERS).map(lambda f: [f[0], 0, 30, 0, f[1], 20, 0, 0, 1.0]),
            st.just([50.0, 0, 30, 0, 50.0, 20, 0, 0, 1]),
        )
    )
    message = CameraInfo(
        width=draw(SIZES) if width is None else width,
        height=draw(SIZES) if height is None else height,
        k=[float(value) for value in k],
        d=draw(st.lists(NUMBERS, max_size=16)),
        distortion_model=draw(MODELS),
        p=draw(st.lists(NUMBERS, min_size=12, max_size=12)),
        binning_x=draw(st.sampled_from((0, 1, 2, 2**32 - 1))),
        binning_y=draw(st.sampled_from((0, 1, 3, 2**32 - 1))),
    )
    if draw(st.booleans()):
        message.roi = RegionOfInterest(
            x_offset=draw(SIZES), y_offset=draw(SIZES), width=draw(SIZES), height=draw(SIZES), do_rectify=True
        )
    message.header.frame_id = draw(FRAMES)
    return message


@st.composite
def compressed(draw):
    """Files that are none, or none whole."""
    picture = np.full((draw(st.integers(1, 40)), draw(st.integers(1, 40)), 3), 90, np.uint8)
    whole = cv2.imencode(draw(st.sampled_from(('.jpg', '.png', '.bmp', '.webp', '.tiff'))), picture)[1].tobytes()
    changed = bytearray(whole)
    for at, value in draw(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=5)):
        changed[at % len(changed)] = value
    data = draw(st.one_of(st.binary(max_size=200), st.just(bytes(changed)), st.just(whole[: draw(st.integers(0, 60))])))
    message = CompressedImage(
        format=draw(st.sampled_from(('jpeg', 'png', '', 'rgb8; jpeg compressed bgr8', 'x' * 300)))
    )
    message.data.frombytes(data)
    message.header.frame_id = draw(FRAMES)
    message.header.stamp.sec = draw(SECONDS)
    return message


@pytest.fixture
def hurry(monkeypatch):
    """No waiting for a better calibration, which does not come."""
    monkeypatch.setattr('mesh_perception.ros.inputs.PATIENCE', 0.0)


def check_assembled(assembler, message):
    """A frame or an InputError of one line, nothing else."""
    try:
        frame = assembler.assemble(message)
    except InputError as error:
        text = str(error)
        assert text and len(text) < 600 and text.isprintable(), ascii(text[:300])
    else:
        assert isinstance(frame, Frame) and frame.image.shape[:2] == (frame.camera.height, frame.camera.width)
        assert frame.image.dtype == np.uint8 and frame.image.shape[2] == 3 and np.isfinite(frame.stamp)


@MANY
@given(images(), infos())
def test_every_image_becomes_a_frame_or_one_line(hurry, message, info):
    assembler = FrameAssembler()
    assembler.set_camera_info(info)
    check_assembled(assembler, message)


@MANY
@given(st.data())
def test_every_calibration_becomes_a_camera_or_one_line(hurry, data):
    assembler = FrameAssembler()
    assembler.set_camera_info(data.draw(infos(60, 40)))
    message = Image(width=60, height=40, encoding='rgb8', step=180)
    message.data.frombytes(bytes(60 * 40 * 3))
    check_assembled(assembler, message)


@MANY
@given(compressed(), infos())
def test_every_compressed_image_becomes_a_frame_or_one_line(hurry, message, info):
    assembler = FrameAssembler(compressed=True)
    assembler.set_camera_info(info)
    check_assembled(assembler, message)


# ---- The same over DDS


@pytest.fixture(scope='module')
def raw(start):
    """A node for raw images, which has answered one and must survive all of it."""
    bench = start(target_frame='map').ready()
    assert len(bench.answer()) >= 2
    yield bench
    assert bench.node.alive() and bench.answer()
    assert 'Traceback' not in bench.node.log(), bench.node.log()[-5000:]


@pytest.fixture(scope='module')
def jpegs(start):
    """The same for compressed images."""
    bench = start(compressed=True, namespace='faults_jpeg').ready()
    assert len(bench.answer()) >= 2
    yield bench
    assert bench.node.alive() and bench.answer()


@FEW
@given(images(), infos())
def test_malformed_images_over_dds_are_refused_and_the_next_good_one_is_answered(raw, message, info):
    assume('\0' not in message.encoding)
    assert raw.give(message, info) in ('refused', 'answered'), raw.node.log()[-3000:]
    if random.random() < 0.2:
        assert raw.answer()


@FEW
@given(st.data())
def test_absurd_calibrations_over_dds_never_fail_inside(raw, data):
    """They fit the image's size, so that what passes for a camera reaches the pipeline."""
    width, height = raw.footage.camera.width, raw.footage.camera.height
    before = raw.driver.people.newest
    happened = raw.give(stamped(raw), data.draw(infos(width, height)))
    assert happened in ('refused', 'answered'), raw.node.log()[-3000:]
    if happened == 'answered':
        assert raw.wait(lambda: raw.driver.people.newest is not before)
        check_finite(raw.driver.people.newest)


def stamped(bench):
    from mesh_perception.ros.soak.driver import stamp_now

    stamp_now(bench.message)
    return bench.message


def check_finite(serialized):
    """People are either left out or whole, whatever the camera."""
    from rclpy.serialization import deserialize_message

    from mesh_perception.msg import SmplPeople

    for person in deserialize_message(serialized, SmplPeople).people:
        for field in ('joints', 'pose', 'betas', 'translation', 'box', 'joints_2d'):
            assert np.isfinite(getattr(person, field)).all(), field


def test_after_absurd_distortion_the_next_good_frame_is_answered_as_before(raw):
    expected = len(raw.answer())
    info = CameraInfo(width=raw.footage.info.width, height=raw.footage.info.height, k=raw.footage.info.k)
    info.distortion_model, info.d = 'plumb_bob', [1e5, -1e5, 1e5, 1e5, 1e5]
    assert raw.give(stamped(raw), info) in ('refused', 'answered')
    for _ in range(3):
        people = raw.answer()
    assert len(people) == expected


def bytes_that_are_no_message(kind):
    """Serialised messages, damaged: cut short, counts of 4 GB, noise."""
    generator = random.Random(5)
    good = serialize_message(kind)
    yield good[:-1]
    yield good[: len(good) // 2]
    yield good[:4]
    for at in range(4, min(len(good) - 4, 80), 4):
        yield good[:at] + struct.pack('<I', 0xFFFFFFFF) + good[at + 4 :]
    for _ in range(5):
        yield good[:4] + generator.randbytes(60)


def test_bytes_that_are_no_image_are_refused(raw):
    image = Image(width=4, height=4, step=12, encoding='rgb8')
    image.data.frombytes(bytes(48))
    for data in list(bytes_that_are_no_message(image))[::3]:
        assert raw.give(data) in ('refused', 'answered'), raw.node.log()[-3000:]
    assert raw.answer() and 'no sensor_msgs/Image' in raw.node.log()


def test_bytes_that_are_no_camera_info_do_not_end_the_node(raw):
    for data in bytes_that_are_no_message(raw.footage.info):
        raw.driver.infos.publish(data)
        time.sleep(0.02)  # only the newest is kept
    assert raw.answer()


def test_bytes_that_are_no_tf_do_not_end_a_node_with_a_target_frame(raw):
    publisher = raw.driver.node.create_publisher(TFMessage, '/tf', 10)
    assert raw.wait(publisher.get_subscription_count)
    nowhere = TransformStamped(child_frame_id='soak_optical_frame')
    nowhere.header.frame_id = 'map'
    nowhere.transform.translation.x = float('nan')
    for data in [*bytes_that_are_no_message(TFMessage(transforms=[nowhere])), serialize_message(TFMessage())]:
        publisher.publish(data)
        time.sleep(0.02)
    publisher.publish(TFMessage(transforms=[nowhere]))
    assert raw.answer() and raw.node.alive(), raw.node.log()[-3000:]
    raw.driver.node.destroy_publisher(publisher)


def test_a_huge_frame_id_is_answered_or_refused(raw):
    message = stamped(raw)
    message.header.frame_id = 'x' * 1_000_000
    try:
        assert raw.give(message, raw.footage.info) in ('answered', 'refused')
    finally:
        message.header.frame_id = 'soak_optical_frame'
    assert raw.answer()


@FEW
@given(compressed())
@example(CompressedImage())
@example(CompressedImage(format='jpeg', data=b'\xff\xd8\xff'))
def test_malformed_compressed_images_over_dds_are_refused_and_the_next_good_one_is_answered(jpegs, message):
    assert jpegs.give(message, jpegs.footage.info) in ('refused', 'answered'), jpegs.node.log()[-3000:]
    if random.random() < 0.2:
        assert jpegs.answer()


def peak(bench):
    """MB that the node ever had resident."""
    with open(f'/proc/{bench.node.pid}/status') as file:
        return next(int(line.split()[1]) for line in file if line.startswith('VmHWM')) * 1024 / 1e6


def huge(data, form):
    message = CompressedImage(format=form)
    message.data.frombytes(data)
    message.header.frame_id = 'camera'
    message.header.stamp.sec = 1_700_000_000
    return message


@pytest.mark.parametrize('kind', ['a whole PNG', "a JPEG's claim"])
def test_a_small_file_of_a_huge_picture_is_refused_before_it_eats_memory(jpegs, bomb, jpeg, kind):
    if kind == 'a whole PNG':
        message = huge(bomb(30000, 30000), 'png')
    else:
        data = bytearray(jpeg(16, 16))
        frame = data.index(b'\xff\xc0')
        data[frame + 5 : frame + 9] = struct.pack('>HH', 30000, 30000)
        message = huge(bytes(data), 'jpeg')
    assert jpegs.answer()
    before = peak(jpegs)
    assert jpegs.give(message, jpegs.footage.info) == 'refused'
    assert peak(jpegs) < before + 150, 'the picture has 2700 MB'
    assert '30000x30000' in jpegs.node.log() and jpegs.answer()


@contextmanager
def memory_limit(bench, spare):
    """No more memory for the running node than it has now and so many bytes: allocations then really fail."""
    with open(f'/proc/{bench.node.pid}/statm') as file:
        virtual = int(file.read().split()[0]) * resource.getpagesize()
    unlimited = resource.prlimit(bench.node.pid, resource.RLIMIT_AS)
    resource.prlimit(bench.node.pid, resource.RLIMIT_AS, (int(virtual + spare), unlimited[1]))
    try:
        yield
    finally:
        resource.prlimit(bench.node.pid, resource.RLIMIT_AS, unlimited)


def test_where_memory_runs_out_for_an_image_it_is_refused_and_the_next_one_is_answered(jpegs, jpeg):
    size = 8000
    message = huge(jpeg(size, size), 'jpeg')
    k = [8000.0, 0, 4000, 0, 8000, 4000, 0, 0, 1]
    info = CameraInfo(width=size, height=size, k=k, distortion_model='plumb_bob', d=[0.0] * 5)
    assert jpegs.answer()
    with memory_limit(jpegs, 100e6):
        assert jpegs.give(message, info) in ('failed', 'refused'), 'it had enough memory'
        assert jpegs.answer(), 'what is small still works'
    assert jpegs.give(message, info) == 'answered'


@pytest.fixture
def crowd(footage):
    """(a JPEG of the scene eight times side by side, its calibration)"""
    picture = np.tile(footage.pictures[0], (2, 4, 1))
    height, width = picture.shape[:2]
    message = huge(cv2.imencode('.jpg', picture[..., ::-1])[1].tobytes(), 'jpeg')
    return message, CameraInfo(width=width, height=height, k=footage.info.k, distortion_model='plumb_bob', d=[0.0] * 5)


def test_where_memory_runs_out_in_the_networks_the_image_fails_and_the_next_one_is_answered(jpegs, crowd):
    """Six people where there were two: their crops need memory that is not there."""
    assert jpegs.answer()
    with memory_limit(jpegs, 1e6):
        assert jpegs.give(*crowd) == 'failed'
        assert 'memory' in jpegs.values['last problem'].lower(), jpegs.values['last problem']
    assert jpegs.answer() and jpegs.give(*crowd) == 'answered'


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_where_gpu_memory_runs_out_images_fail_and_are_answered_once_there_is_some(start, crowd):
    bench = start(compressed=True, namespace='faults_gpu', device='cuda').ready()
    assert len(bench.answer()) >= 2
    taken = []
    size = torch.cuda.mem_get_info()[0]
    while size > 2**20:  # all there is, in ever smaller pieces
        try:
            taken.append(torch.empty(size, dtype=torch.uint8, device='cuda'))
        except torch.OutOfMemoryError:
            size //= 2
    assert bench.give(*crowd) == 'failed', 'it had memory enough'
    assert 'memory' in bench.values['last problem'].lower(), bench.values['last problem']
    taken.clear()
    torch.cuda.empty_cache()
    assert bench.give(*crowd) == 'answered' and len(bench.answer()) >= 2
