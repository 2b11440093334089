import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_perception.tracking.timeline import ASSUMED, BACK, Timeline


def test_time_is_what_the_stamps_say():
    time = Timeline()
    assert [time.advance(stamp) for stamp in (100.0, 100.1, 100.15, 103.0)] == pytest.approx([0, 0.1, 0.05, 2.85])
    assert time.now == pytest.approx(3) and time.measured


@pytest.mark.parametrize('missing', [0.0, math.nan, math.inf])
def test_without_stamps_images_are_assumed_to_follow_each_other_at_a_usual_rate(missing):
    time = Timeline()
    steps = [time.advance(missing) for _ in range(4)]
    assert steps == pytest.approx([0, ASSUMED, ASSUMED, ASSUMED]) and not time.measured


def test_an_equal_stamp_or_one_a_little_out_of_order_takes_as_long_as_the_last_step():
    time = Timeline()
    for stamp in (5.0, 5.1, 5.1):
        time.advance(stamp)
    assert time.step == pytest.approx(0.1) and not time.measured
    assert not time.jumps_back(5.05)
    assert time.advance(5.05) == pytest.approx(0.1)
    assert time.advance(5.2) == pytest.approx(0.15) and time.measured


def test_a_clock_set_back_is_told_from_images_out_of_order():
    time = Timeline()
    assert not time.jumps_back(-5.0)  # nothing came before
    time.advance(10.0)
    assert time.jumps_back(10 - BACK - 0.01) and not time.jumps_back(10 - BACK + 0.01) and not time.jumps_back(math.nan)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=20))
def test_whatever_the_stamps_time_never_goes_back_and_stays_a_number_while_they_are(stamps):
    time, last = Timeline(7.0), 7.0
    for stamp in stamps:
        if math.isfinite(stamp) and abs(stamp) > 1e12:
            continue
        time.advance(stamp)
        assert math.isfinite(time.now) and time.now >= last and time.step >= 0
        last = time.now
