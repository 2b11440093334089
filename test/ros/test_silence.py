"""Why images do not come: one line that names the topic, the reason and the remedy, and none where all is well."""

import pytest

from mesh_perception.ros.silence import Silence

LARGE, SMALL = 1088 * 1920 * 3, 30_000
PATIENCE = 3.0


@pytest.fixture
def silence():
    return Silence('/camera/image', '/camera/camera_info', 100.0)


def connect(silence, now=100.0):
    silence.matched(silence.image, 1, now)
    silence.matched(silence.camera_info, 1, now)


def play(silence, begin, seconds, rate=30, size=LARGE, lost=0.0):
    """Images at a rate, each with its camera_info; a share of them lost on the way."""
    due = 0.0
    for i in range(int(seconds * rate)):
        now = begin + i / rate
        silence.camera_info_came(now, size)
        due += lost
        if due >= 1:
            due -= 1
            silence.images_lost(now, 1)
        else:
            silence.image_came(now, size)
    return begin + seconds


def test_images_that_come_are_no_reason_to_say_anything(silence):
    connect(silence)
    now = play(silence, 100.1, 20)
    assert silence.reason(now, PATIENCE) == ''


def test_nothing_is_said_before_the_time_is_up(silence):
    assert silence.reason(102.9, PATIENCE) == ''
    assert 'nobody publishes /camera/image' in silence.reason(103.1, PATIENCE)


def test_other_topics_of_the_type_are_named(silence):
    silence.image.others = ['/front/image_raw']
    assert '/front/image_raw: remap it' in silence.reason(104, PATIENCE)


def test_waiting_begins_when_a_publisher_comes(silence):
    connect(silence, 200.0)
    assert silence.reason(202.9, PATIENCE) == ''
    assert 'has 1 publisher(s), but nothing came for 3 s: is the camera running?' in silence.reason(203.1, PATIENCE)


def test_camera_info_without_its_large_images_names_the_profile(silence):
    connect(silence)
    for i in range(40):
        silence.camera_info_came(100 + i / 10, LARGE)
    reason = silence.reason(104, PATIENCE)
    assert 'while /camera/camera_info comes' in reason and 'fastdds_large_images.xml' in reason


def test_lost_large_images_name_the_profile(silence):
    connect(silence)
    now = play(silence, 100.1, 6, lost=0.7)
    reason = silence.reason(now, PATIENCE)
    assert '105 of 150' in reason and 'fastdds_large_images.xml' in reason, reason


def test_all_images_lost_names_the_profile(silence):
    connect(silence)
    now = play(silence, 100.1, 6, lost=1.0)
    reason = silence.reason(now, PATIENCE)
    assert 'images were lost on the way' in reason and 'fastdds_large_images.xml' in reason


def test_small_images_do_not_need_the_profile(silence):
    connect(silence)
    now = play(silence, 100.1, 6, size=SMALL, lost=0.5)
    reason = silence.reason(now, PATIENCE)
    assert 'images were lost' in reason and 'fastdds' not in reason


def test_a_few_losses_and_old_ones_are_not_mentioned(silence):
    connect(silence)
    now = play(silence, 100.1, 6, lost=0.1)
    assert silence.reason(now, PATIENCE) == ''
    now = play(silence, now, 3, lost=0.9)
    assert silence.reason(now, PATIENCE)
    now = play(silence, now, 6)
    assert silence.reason(now, PATIENCE) == ''


def test_a_publisher_that_does_not_fit_is_the_reason_until_another_one_comes(silence):
    silence.image.misfit = 'it does not fit'
    assert silence.reason(100.2, PATIENCE) == 'it does not fit', 'waiting would not help'
    connect(silence, 105)
    assert silence.reason(110, PATIENCE) != 'it does not fit'


def test_a_camera_that_stops_is_noticed(silence):
    connect(silence)
    now = play(silence, 100.1, 5)
    assert silence.reason(now + 2, PATIENCE) == ''
    assert 'nothing came for 4 s: is the camera running?' in silence.reason(now + 4, PATIENCE)


def test_images_without_camera_info_name_its_topic(silence):
    silence.matched(silence.image, 1, 100.0)
    for i in range(40):
        silence.image_came(100 + i / 10, LARGE)
    assert 'nobody publishes /camera/camera_info' in silence.reason(104, PATIENCE)
    silence.matched(silence.camera_info, 1, 104.0)
    assert silence.reason(105, PATIENCE) == ''
    for i in range(50):
        silence.image_came(104 + i / 10, LARGE)
    assert silence.reason(109, PATIENCE) == '/camera/camera_info is silent, its publisher is there'
