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

    def __init__(self):
        self.stamp = None
        self.now = 0.0
        self.step = 0.0
        self.measured = False
        self._usual = ASSUMED

    def jumps_back(self, stamp) -> bool:
        """Whether an image of this stamp (s) begins something new: the clock was set back."""
        return self.stamp is not None and math.isfinite(stamp) and stamp < self.stamp - BACK

    def advance(self, stamp) -> float:
        """The time (s) from the last image to one of this stamp; 0 for the first."""
        first = self.stamp is None
        self.measured = not first and math.isfinite(stamp) and stamp > self.stamp
        if first:
            self.step = 0.0
        elif self.measured:
            self.step = stamp - self.stamp
            # A pause is no rate: what is assumed stays a rate at which cameras run.
            self._usual = min(self.step, 4 * ASSUMED)
        else:
            self.step = self._usual
        if math.isfinite(stamp):
            self.stamp = stamp
        elif first:
            self.stamp = -math.inf
        self.now += self.step
        return self.step
