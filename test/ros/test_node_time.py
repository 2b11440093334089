"""Time: simulated clocks, bags that start over, stamps that come twice or late."""

import sys
from pathlib import Path

import pytest

rclpy = pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('mesh_perception.msg', reason='needs the built messages', exc_type=ImportError)
pytest.importorskip('tf2_msgs.msg', reason='needs tf2_msgs')
from builtin_interfaces.msg import Time
from rosgraph_msgs.msg import Clock
from tf2_msgs.msg import TFMessage

sys.path.insert(0, str(Path(__file__).parent))
from live import Camera, running

START = 1000.0


class Bag(Camera):
    """A camera whose images come with /clock, as from a played bag."""

    def __init__(self, environment, scene):
        super().__init__(environment, scene)
        self.clock = self.node.create_publisher(Clock, '/clock', 10)
        self.listen(TFMessage, '/tf')

    def play(self, seconds=0.1):
        """The next image, its clock just before it: its answer."""
        image = self.image()  # moves `now` on by 0.1 s
        self.now += seconds - 0.1
        self.stamp(image, 0)
        self.tick(self.now)
        return self.answer(image, self.camera_info())

    def tick(self, now):
        self.clock.publish(Clock(clock=Time(sec=int(now), nanosec=round(now % 1 * 1e9))))
        self.wait(lambda: False, 0.05)

    def frames(self, header):
        """TF messages with an image's stamp."""
        return [m for m in self.received['/tf'] if m.transforms[0].header.stamp == header.stamp]

    def ids(self, count=1):
        for _ in range(count):
            people = self.play().people
        return {person.id for person in people}


@pytest.fixture(scope='module')
def bag(environment, scene):
    bag = Bag(environment, scene)
    yield bag
    bag.close()


@pytest.fixture(scope='module')
def report(bag):
    return bag.reports()


@pytest.fixture(scope='module')
def node(environment, bag, tmp_path_factory):
    arguments = 'use_sim_time:=true', 'image_reliability:=reliable', 'diagnostics_period:=0.2'
    with running(environment, bag, tmp_path_factory.mktemp('node'), *arguments) as node:
        assert bag.wait(bag.clock.get_subscription_count)
        yield node


def test_ages_are_told_by_the_simulated_clock(node, bag, report):
    for _ in range(4):
        assert bag.play().people

    def clock():
        return report() and {v.key: v.value for v in report().values}

    assert bag.wait(lambda: clock() and clock()['clock'] == 'fits the stamps', 10), report()
    age = next(float(value) for key, value in clock().items() if key.startswith('age of the result, median'))
    assert 0 <= age < 1000, 'ms: years by the wall clock'


def test_a_short_bag_that_starts_over_is_answered_from_its_first_image_on(node, bag):
    """Its stamps fall back by less than a second, as those of an image that was overtaken do: /clock tells."""
    begin = bag.now
    before = bag.ids(4)
    bag.now = begin
    bag.received['mesh_perception/people'].clear()  # of the same stamps
    bag.tick(begin)
    after = bag.ids()
    assert 'the clock jumped back' in node.log(), node.log()
    assert after and not after & before, 'ids start anew'
    assert bag.ids() == after


def test_a_clock_that_leaps_ahead_loses_nobody_for_good(node, bag):
    bag.ids()
    assert bag.play(3600.0).people
    assert bag.ids()


def test_a_stamp_that_comes_twice_is_in_tf_once(node, bag):
    def known():
        header = bag.play().header
        return bag.frames(header) or bag.wait(lambda: bag.frames(header), 0.3)

    assert bag.wait(known), 'a detector has seen them twice'
    image = bag.image()
    for _ in range(2):
        bag.received['mesh_perception/people'].clear()
        assert bag.answer(image).people
    assert bag.wait(lambda: bag.frames(image.header), 10)
    bag.wait(lambda: False, 0.3)
    assert len(bag.frames(image.header)) == 1
    assert bag.play().people


def test_an_image_that_was_overtaken_is_not_answered(node, bag):
    late, newer = bag.image(), bag.image()
    assert bag.answer(newer).people
    bag.received['mesh_perception/people'].clear()
    bag.send(late)
    assert bag.wait(lambda: 'before the last one' in node.log(), 10), node.log()
    assert not bag.received['mesh_perception/people']
    assert bag.play().people
