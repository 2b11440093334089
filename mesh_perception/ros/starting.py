"""Signals from a process's first line on: they end it with exit code 0, whatever it is at.

Nothing heavy is imported here, since this has to run before the imports that take seconds.
"""

import importlib
import os
import signal

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_imported = False


def start(name, module):
    """Imports a module and runs its `main`, quiet under signals from now on; the exit code, or one line of text.

    name: the program's.
    """
    quiet_start()
    try:
        main = importlib.import_module(module).main
    except ModuleNotFoundError as error:
        from mesh_perception.cli import missing_package

        return f'{name}: {missing_package(error)}'
    return main()


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
