"""Names of people on the network: short random letters, so that nodes and restarts cannot meet in one (REP-155)."""

import random
import string

LENGTH = 5
# Kept for people long gone: far more than any tracker remembers.
REMEMBERED = 1000


class PersonNames:
    """Gives every track id five random letters and keeps to it until `clear`."""

    def __init__(self, generator=None):
        """generator: a random.Random, for repeatable names; by default the system's randomness."""
        self._random = generator or random.SystemRandom()
        self._names = {}

    def __call__(self, track_ids):
        """The names of a sequence of track ids (integers), in its order."""
        return [self._name(int(track)) for track in track_ids]

    def clear(self):
        """Forgets all names: the tracker starts over and may use its ids again."""
        self._names.clear()

    def _name(self, track):
        name = self._names.pop(track, None)  # put back as the newest
        taken = self._names.values()
        while name is None or name in taken:
            name = ''.join(self._random.choices(string.ascii_lowercase, k=LENGTH))
        self._names[track] = name
        if len(self._names) > REMEMBERED:
            del self._names[next(iter(self._names))]
        return name
