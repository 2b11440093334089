"""What the stamps of images say about time: their order, and how they fit the node's own clock. Nanoseconds."""

from dataclasses import dataclass

SECOND = 1_000_000_000
# Stamps that fall back by less are images overtaken on the way; by more, a bag that starts over or a clock set anew.
LATE = SECOND
# Farther ahead of the clock is no matter of transport or of two machines' clocks a little apart.
AHEAD = SECOND // 2
# Farther behind it no pipeline can be: a bag without simulated time, or a clock that was not set.
BEHIND = 60 * SECOND
# Results in a row before a clock is called wrong: where a bag starts over, images and /clock meet in any order.
PATIENCE = 3

FIRST, LATER, EQUAL, OVERTAKEN, RESTARTED = 'first', 'later', 'equal', 'overtaken', 'restarted'


def nanoseconds(stamp):
    """A builtin_interfaces/Time as an int."""
    return stamp.sec * SECOND + stamp.nanosec


class StampOrder:
    """The order of stamps, one after the other: first, later, equal, overtaken or restarted."""

    def __init__(self):
        self.last = None

    def reset(self):
        """The next stamp is the first."""
        self.last = None

    def take(self, stamp):
        """What a stamp is after the last one. One that was overtaken leaves the last as it was."""
        last = self.last
        if last is not None and 0 < last - stamp < LATE:
            return OVERTAKEN
        self.last = stamp
        if last is None:
            return FIRST
        if stamp == last:
            return EQUAL
        return LATER if stamp > last else RESTARTED


@dataclass(frozen=True)
class Age:
    """How old a result is by the node's clock."""

    seconds: float | None  # None where clock or stamp say nothing
    problem: str = ''  # one line, if stamps and clock have not fitted together for a few results
    new: bool = False  # the problem was not there before: the time to log it


class ClockWatch:
    """Whether the images' stamps and the node's clock speak of the same time."""

    def __init__(self):
        self._kind, self._count = '', 0

    def age(self, stamp, now, simulated=False):
        """The Age of a result published now. simulated: the node's clock follows /clock (use_sim_time)."""
        kind, text = _compare(stamp, now, simulated)
        self._count = self._count + 1 if kind == self._kind else 1
        self._kind = kind
        lasting = bool(kind) and self._count >= PATIENCE
        return Age(
            None if kind else (now - stamp) / SECOND,
            text if lasting else '',
            lasting and self._count == PATIENCE,
        )


def _compare(stamp, now, simulated):
    """(kind of problem, the problem with both values); '' for none."""
    both = f'image stamp {stamp / SECOND:.3f} s, clock {now / SECOND:.3f} s'
    if simulated and now == 0:
        return 'no clock', 'use_sim_time is set, but nothing has come on /clock'
    if stamp == 0:
        return 'no stamp', 'the images are not stamped (0 s); expected the time at which they were taken'
    if stamp - now > AHEAD:
        return 'ahead', f'wrong clock: images are stamped {(stamp - now) / SECOND:.3f} s ahead of it ({both})'
    if now - stamp > BEHIND:
        return 'behind', (
            'wrong clock, or a bag without use_sim_time: '
            f'images are stamped {(now - stamp) / SECOND:.3f} s ago ({both})'
        )
    return '', ''
