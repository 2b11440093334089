"""Signals from a process's first line on: they end it with exit code 0, whatever it is at.

Nothing heavy is imported here, since this has to run before the imports that take seconds.
"""

import os
import signal

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_imported = False


def quiet_start():
    """SIGINT and SIGTERM end the process at once, until `imported`: nothing is there yet that needs an orderly end."""
    for number in _SIGNALS:
        signal.signal(number, _handle)


def imported():
    """From now on the two raise KeyboardInterrupt. (rclpy's own handlers, if later, call these.)"""
    global _imported
    _imported = True
    quiet_start()


def ignore_signals():
    """For the end of the process: a second Ctrl-C would break into the teardown."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _handle(number, frame):
    if not _imported:
        os._exit(0)
    raise KeyboardInterrupt
