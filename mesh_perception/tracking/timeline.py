"""Time as the tracker counts it, whatever the stamps do."""

import math

ASSUMED = 1 / 30  # s between two images whose stamps do not say
BACK = 0.5  # s by which a clock that was set back, or a bag that starts again, is told from images out of order


class Timeline:
    """Turns the images' stamps into steps forward.

    `now` (s) never goes back. Stamps that are equal, missing (all zero, or not finite) or a little out of order are no
    measure of time: the step is then as long as the last measured one (1/30 s before there is one), and `measured` is
    False.
    """

    def __init__(self, now=0.0):
        """now: where to go on from, s."""
        self.now = now
        self.step = 0.0
        self.measured = False
        self._stamp = None  # the last that was a number
        self._begun = False
        self._usual = ASSUMED

    def jumps_back(self, stamp) -> bool:
        """Whether an image of this stamp (s) begins something new: the clock was set back."""
        return self._stamp is not None and math.isfinite(stamp) and stamp < self._stamp - BACK

    def advance(self, stamp) -> float:
        """The time (s) from the last image to one of this stamp; 0 for the first."""
        known = math.isfinite(stamp)
        self.measured = known and self._stamp is not None and stamp > self._stamp
        if self.measured:
            self.step = stamp - self._stamp
            # A pause is no rate: what is assumed stays a rate at which cameras run.
            self._usual = min(self.step, 4 * ASSUMED)
        else:
            self.step = self._usual if self._begun else 0.0
        if known:
            self._stamp = stamp
        self._begun = True
        self.now += self.step
        return self.step
