"""Stamps are put in order, and held against the clock."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_perception.ros.stamps import (
    EQUAL,
    FIRST,
    LATER,
    OVERTAKEN,
    PATIENCE,
    RESTARTED,
    SECOND,
    ClockWatch,
    StampOrder,
)

NOW = 1_700_000_000 * SECOND


def orders(*stamps):
    order = StampOrder()
    return [order.take(stamp) for stamp in stamps]


def test_stamps_are_later_equal_overtaken_or_start_over():
    assert orders(NOW, NOW + 1, NOW + 1, NOW, NOW + 2) == [FIRST, LATER, EQUAL, OVERTAKEN, LATER]
    assert orders(NOW, NOW - SECOND + 1, NOW - SECOND, NOW - SECOND + 1) == [FIRST, OVERTAKEN, RESTARTED, LATER]


def test_one_nanosecond_counts():
    """As a float64 of seconds, stamps of today differ by 240 ns at least."""
    assert orders(NOW + 1, NOW + 2) == [FIRST, LATER]


def test_one_stamp_of_a_far_future_costs_two_starts_and_no_silence():
    assert orders(NOW, 2**62, NOW + 1, NOW + 2) == [FIRST, LATER, RESTARTED, LATER]


def test_a_bag_that_loops_starts_over_each_time():
    bag = [NOW + i * SECOND // 10 for i in range(20)]
    assert orders(*bag, *bag, *bag).count(RESTARTED) == 2


def test_after_a_reset_any_stamp_is_the_first():
    order = StampOrder()
    order.take(NOW)
    order.reset()
    assert order.take(5) == FIRST


@given(st.lists(st.integers(0, 5 * SECOND), min_size=1))
def test_the_last_stamp_never_falls_back_by_less_than_a_second(stamps):
    order, taken = StampOrder(), []
    for stamp in stamps:
        if order.take(stamp) != OVERTAKEN:
            taken.append(stamp)
    steps = [b - a for a, b in itertools.pairwise(taken)]
    assert all(step >= 0 or step <= -SECOND for step in steps) and order.last == taken[-1]


def test_age_is_the_clock_less_the_stamp():
    age = ClockWatch().age(NOW, NOW + SECOND // 4)
    assert (age.seconds, age.problem, age.new) == (0.25, '', False)
    assert ClockWatch().age(NOW, NOW - SECOND // 4).seconds == -0.25, 'two machines may be a little apart'


@pytest.mark.parametrize(
    'stamp, now, simulated, words',
    [
        (NOW + 3 * SECOND, NOW, False, ['3.000 s ahead', '1700000003.000', '1700000000.000']),
        (
            NOW - 90 * SECOND,
            NOW,
            False,
            ['90.000 s ago', 'bag without use_sim_time', '1699999910.000', '1700000000.000'],
        ),
        (0, NOW, False, ['not stamped', 'expected']),
        (NOW, 0, True, ['use_sim_time', '/clock']),
        (0, 0, True, ['use_sim_time', '/clock']),
    ],
)
def test_a_clock_that_does_not_fit_is_told_once_with_both_values(stamp, now, simulated, words):
    watch = ClockWatch()
    ages = [watch.age(stamp + i * (stamp > 0), now + i * (now > 0), simulated) for i in range(PATIENCE + 3)]
    assert all(age.seconds is None for age in ages), 'such an age is no age'
    assert [age.new for age in ages] == [i == PATIENCE - 1 for i in range(len(ages))]
    assert not any(age.problem for age in ages[: PATIENCE - 1]) and all(age.problem for age in ages[PATIENCE - 1 :])
    for word in words:
        assert word in ages[PATIENCE - 1].problem
    assert '\n' not in ages[-1].problem
    good = watch.age(NOW, NOW + 1)
    assert good.seconds is not None and not good.problem
    assert any(watch.age(stamp, now, simulated).new for _ in range(PATIENCE)), 'it is told again when it comes again'


def test_one_image_across_a_jump_of_the_clock_is_no_wrong_clock():
    """A bag that loops: /clock is back at the beginning while an image of the end is on its way."""
    watch = ClockWatch()
    times = [(NOW + 9 * SECOND, NOW), (NOW, NOW + 1), (NOW + 1, NOW + 2)]
    assert not any(watch.age(stamp, now, True).problem for stamp, now in times)
