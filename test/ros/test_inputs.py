"""Images and camera_info become frames, or one line that says what is wrong."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip('sensor_msgs', reason='needs the ROS 2 message packages')
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, Image

from mesh_perception.ros import inputs
from mesh_perception.ros.inputs import FrameAssembler, InputError, is_rectified


def image(width=8, height=6, stamp=100.0, frame_id='camera', encoding='rgb8'):
    message = Image(width=width, height=height, encoding=encoding, step=width * 3, data=bytes(width * height * 3))
    message.header.frame_id = frame_id
    message.header.stamp = Time(sec=int(stamp), nanosec=round(stamp % 1 * 1e9))
    return message


def camera_info(width=8, height=6, focal=10.0):
    message = CameraInfo(
        width=width,
        height=height,
        distortion_model='plumb_bob',
        d=[0.1, 0.0, 0.0, 0.0, 0.0],
        k=np.array([focal, 0, 3.5, 0, focal, 2.5, 0, 0, 1]) * float(focal > 0),
    )
    message.header.frame_id = 'info_camera'
    return message


@pytest.fixture
def assembler():
    assembler = FrameAssembler()
    assembler.set_camera_info(camera_info())
    return assembler


def test_a_frame_holds_image_camera_header_and_stamp(assembler):
    frame = assembler.assemble(image(stamp=12.5))
    assert frame.image.shape == (6, 8, 3) and frame.stamp == 12.5 and not frame.restarted
    assert frame.camera.k[0, 0] == 10 and frame.camera.distortion.tolist() == [0.1, 0, 0, 0, 0]
    assert frame.header.frame_id == 'camera' and frame.header.stamp == Time(sec=12, nanosec=500000000)


def test_without_a_frame_id_camera_infos_is_taken(assembler):
    assert assembler.assemble(image(frame_id='')).header.frame_id == 'info_camera'


def test_the_camera_is_made_anew_only_when_the_calibration_changes(assembler):
    first = assembler.assemble(image()).camera
    assembler.set_camera_info(camera_info())
    assert assembler.assemble(image()).camera is first
    assembler.set_camera_info(camera_info(focal=11.0))
    assert assembler.assemble(image()).camera.k[0, 0] == 11


def test_no_camera_info_yet():
    with pytest.raises(InputError, match='no camera_info yet') as error:
        FrameAssembler().assemble(image())
    assert error.value.cause == 'no camera_info'


def test_an_uncalibrated_camera(assembler):
    assembler.set_camera_info(camera_info(focal=0.0))
    with pytest.raises(InputError, match=r'camera_info: .*K is all zero'):
        assembler.assemble(image())
    assembler.set_camera_info(camera_info())
    assert assembler.assemble(image())


def test_sizes_that_differ(assembler):
    with pytest.raises(InputError, match='image is 8x5 but camera_info is for 8x6'):
        assembler.assemble(image(height=5))


def test_bad_images(assembler):
    with pytest.raises(InputError, match='unknown encoding'):
        assembler.assemble(image(encoding='rgb9'))


def test_a_lens_model_that_cannot_be_inverted_on_the_image_is_refused(assembler):
    info = camera_info()
    info.d = [-50.0, 0.0, 0.0, 0.0, 0.0]
    assembler.set_camera_info(info)
    with pytest.raises(
        InputError, match=r'camera_info: plumb_bob .* can be inverted on 1?[0-9] % of the image'
    ) as error:
        assembler.assemble(image())
    assert error.value.cause == 'bad camera_info' and 'expected' in str(error.value)


def test_every_refusal_has_its_cause(assembler):
    causes = {}
    for name, make in {
        'bad image': lambda: image(encoding='rgb9'),
        'sizes differ': lambda: image(height=5),
        'late stamp': lambda: image(stamp=99.75),
    }.items():
        assembler.assemble(image(stamp=100.0))
        with pytest.raises(InputError) as error:
            assembler.assemble(make())
        causes[name] = error.value.cause
    assert all(name == cause for name, cause in causes.items())


def test_a_rectified_image_has_ps_camera():
    info = camera_info()
    info.p = np.array([20.0, 0, 3, -2, 0, 21, 2, 0, 0, 0, 1, 0])
    for rectified, focal, model in ((False, 10, 'plumb_bob'), (True, 20, 'none')):
        assembler = FrameAssembler(rectified=rectified)
        assembler.set_camera_info(info)
        camera = assembler.assemble(image()).camera
        assert camera.k[0, 0] == focal and camera.model == model
    info.p = np.array([22.0, 0, 3, -2, 0, 21, 2, 0, 0, 0, 1, 0])
    assembler.set_camera_info(info)
    assert assembler.assemble(image(stamp=101.0)).camera.k[0, 0] == 22, 'a changed P is a changed calibration'
    assembler.set_camera_info(camera_info())
    with pytest.raises(InputError, match='rectified image without P'):
        assembler.assemble(image(stamp=102.0))


@pytest.mark.parametrize(
    'topic, rectified',
    [
        ('/camera/image_raw', False),
        ('/image', False),
        ('/camera/image_rect', True),
        ('/camera/image_rect_color', True),
        ('/camera/image_rect_raw', True),
        ('/zed/zed_node/rgb/image_rect_color', True),
        ('/zed/rgb/color/rect/image', True),
        ('/left/rectified/image', True),
        ('/image_rectified', True),
        ('/rectangle/image_raw', False),
        ('/correct/image', False),
        ('/direct_camera/image', False),
    ],
)
def test_rectified_images_are_known_by_their_topic_or_as_told(topic, rectified):
    assert is_rectified('auto', topic) is rectified
    for told in ('true', True):
        assert is_rectified(told, topic)
    for told in ('false', False):
        assert not is_rectified(told, topic)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 12),
    st.integers(0, 12),
    st.sampled_from(['rgb8', 'mono8', 'nv12', 'bgr16', '']),
    st.binary(max_size=300),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(0, 2**32 - 1),
    st.lists(st.floats(), min_size=9, max_size=9) | st.just([10.0, 0, 3.5, 0, 10, 2.5, 0, 0, 1]),
    st.lists(st.floats(), max_size=8) | st.just([0.1, 0, 0, 0, 0]),
    st.text('abc\n\r', max_size=20),
)
def test_any_pair_of_messages_is_a_frame_or_refused_in_one_line(
    width, height, encoding, data, sec, nanosec, k, d, frame_id
):
    message = Image(width=width, height=height, encoding=encoding, step=width * 3, data=data)
    message.header.stamp = Time(sec=sec, nanosec=nanosec)
    message.header.frame_id = frame_id
    info = CameraInfo(width=width, height=height, distortion_model='plumb_bob', k=np.array(k), d=d)
    assembler = FrameAssembler()
    assembler.set_camera_info(info)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, 'PATIENCE', 0.0)
        try:
            frame = assembler.assemble(message)
        except InputError as error:
            assert '\n' not in str(error) and error.cause
        else:
            assert frame.image.shape == (height, width, 3) and frame.camera.width == width
            assert np.isfinite(frame.stamp)


def test_an_image_waits_a_moment_for_its_camera_info(assembler):
    assembler.assemble(image())
    threading.Timer(0.02, lambda: assembler.set_camera_info(camera_info(16, 12))).start()
    assert assembler.assemble(image(16, 12)).camera.width == 16


def test_the_wait_is_short(assembler):
    begin = time.monotonic()
    with pytest.raises(InputError):
        assembler.assemble(image(16, 12))
    assert time.monotonic() - begin < 1


def test_stamps(assembler):
    assert not assembler.assemble(image(stamp=100.0)).restarted
    assert not assembler.assemble(image(stamp=100.0)).restarted, 'a repeated stamp is no jump'
    with pytest.raises(InputError, match='before the last one'):
        assembler.assemble(image(stamp=99.75))
    assert not assembler.assemble(image(stamp=100.25)).restarted, 'the late image changed nothing'
    assert assembler.assemble(image(stamp=5.0)).restarted
    assert not assembler.assemble(image(stamp=5.25)).restarted
    assembler.reset()
    assert not assembler.assemble(image(stamp=1.0)).restarted


def test_a_refused_image_does_not_move_time(assembler):
    assembler.assemble(image(stamp=100.0))
    with pytest.raises(InputError):
        assembler.assemble(image(stamp=900.0, encoding='rgb9'))
    assert not assembler.assemble(image(stamp=100.5)).restarted
