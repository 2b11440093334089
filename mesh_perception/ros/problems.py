"""Problems in the log: each once in a while, however often it comes."""

import re
import time

# Seconds between two warnings of the same kind.
WARN_EVERY = 5.0
# Different problems remembered for that.
REMEMBERED = 100


class Problems:
    """Warnings of a node. (rclpy's own throttle goes by the line of code, and would hide one behind another.)"""

    def __init__(self, logger):
        self._logger = logger
        self._logged = {}  # problem -> when

    def warn(self, text, trace=None, every=WARN_EVERY):
        """Logs a problem at most every few seconds, one with a trace once; numbers make no difference."""
        key = re.sub(r'\d+', '', text)
        now, last = time.monotonic(), self._logged.get(key)
        if last is not None and (trace or now - last < every):
            return
        if len(self._logged) > REMEMBERED:
            self._logged.clear()
        self._logged[key] = now
        if trace:
            self._logger.error(f'{text}\n{trace}')
        else:
            self._logger.warning(text)
