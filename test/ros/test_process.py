"""A process of several nodes, without the models: how it starts, breaks and ends."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from mesh_perception.ros.shared_memory import FOLDER

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys
from rclpy.node import Node
from std_msgs.msg import Header
from mesh_perception.ros.parameters import ParameterError
from mesh_perception.ros.process import run


class Small(Node):
    def __init__(self, name, starts=True, breaks=False, ends=False):
        super().__init__(name)
        self.starts = starts
        if breaks or ends:
            self.create_timer(0.2, self.break_down if breaks else self.end)

    def start(self):
        return self.starts

    def break_down(self):
        raise RuntimeError('broken')

    def end(self):
        import os, signal
        os.kill(os.getpid(), signal.SIGTERM)

    def killed_soon(self):
        import os, signal
        self.create_timer(0.2, lambda: os.kill(os.getpid(), signal.SIGKILL))
        return self

    def close(self):
        print('closed', self.get_name(), flush=True)
        self.destroy_node()


    def publish_all_the_time(self):
        publisher = self.create_publisher(Header, 'topic', 1)
        self.create_timer(0.0005, lambda: publisher.publish(Header()))
        return self


def make(nodes):
    {make}

sys.exit(run('small', make))
"""


def ends(make):
    environment = {
        **os.environ,
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'OFF',
        'PYTHONPATH': f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}',
    }
    script = SCRIPT.replace('{make}', make)
    done = subprocess.run([sys.executable, '-c', script], env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    'make, code, closed, words',
    [
        ("nodes += [Small('a', ends=True)]", 0, 'a', ''),
        ("nodes += [Small('a'), Small('b', ends=True)]", 0, 'ab', ''),
        ("nodes += [Small(name).publish_all_the_time() for name in 'abcd'] + [Small('e', ends=True)]", 0, 'abcde', ''),
        ("nodes += [Small('a', starts=False), Small('b', ends=True)]", 0, 'ab', ''),
        ("nodes += [Small('a', starts=False), Small('b', starts=False)]", 1, 'ab', ''),
        ("nodes += [Small('a'), Small('b', breaks=True), Small('c')]", 1, 'abc', 'broken'),
        ("nodes += [Small('a')]; raise ParameterError('no such camera')", 1, 'a', 'no such camera'),
    ],
)
def test_however_it_ends_every_node_is_closed_and_the_code_tells(make, code, closed, words):
    found, output, errors = ends(make)
    assert found == code, errors
    assert [line.split()[1] for line in output.splitlines() if line.startswith('closed')] == list(closed)
    assert words in errors and ('Traceback' in errors) == (words == 'broken')


@pytest.mark.parametrize('part', ['GuardCondition', 'SignalHandlerGuardCondition'])
def test_a_signal_while_an_executor_is_made_ends_it_without_a_trace(part):
    make = f"""
    import os, signal
    import rclpy.executors
    rclpy.executors.{part} = lambda *_, **__: os.kill(os.getpid(), signal.SIGINT)
    nodes.append(Small('a'))"""
    code, output, errors = ends(make)
    assert (code, output) == (0, 'closed a\n') and 'Traceback' not in errors and 'ignored' not in errors, errors


def is_free(lock):
    """Whether the owner is gone: others on this machine may start meanwhile."""
    with open(lock) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


@pytest.mark.skipif(not FOLDER.is_dir(), reason='shared memory is not in files here')
def test_the_next_start_takes_away_what_a_killed_process_left_in_shared_memory():
    before = set(FOLDER.glob('fast*_el'))
    code, _, errors = ends("nodes.append(Small('a').killed_soon())")
    left = {lock for lock in set(FOLDER.glob('fast*_el')) - before if is_free(lock)}
    assert code == -signal.SIGKILL and left, (errors, 'SIGKILL leaves its memory to whoever cares')
    for lock in left:
        os.utime(lock, (0, 0))  # new ones may not have their owner yet
    assert ends("nodes.append(Small('b', ends=True))")[0] == 0
    assert not [path for lock in left for path in (lock, lock.with_name(lock.name[:-3])) if path.exists()]
