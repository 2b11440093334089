"""A node as a process of its own, and what the system says of it: memory, threads, open files, shared memory."""

import os
import signal
import subprocess
import sys
from pathlib import Path

SHARED_MEMORY = Path('/dev/shm')
STOP = 20.0  # s for a process to end by itself


class NodeProcess:
    """`python -m mesh_perception.ros.node`, its log in a file."""

    def __init__(self, environment, log, parameters=None, arguments=(), module='mesh_perception.ros.node', **options):
        """environment: of the process. log: a path. parameters: {name: value}. arguments: more of them, after
        --ros-args. options: subprocess.Popen's."""
        self.log_path = Path(log)
        self._before = set(os.listdir(SHARED_MEMORY))
        command = [sys.executable, '-m', module, '--ros-args', *arguments]
        for name, value in (parameters or {}).items():
            command += ['-p', f'{name}:={value}']
        with open(log, 'w') as stream:
            self.process = subprocess.Popen(
                command, env=environment, stdout=stream, stderr=subprocess.STDOUT, **options
            )
        self._shared_memory = set()

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        """It runs."""
        return self.process.poll() is None

    def log(self):
        """What it printed so far."""
        return self.log_path.read_text(errors='replace')

    def look(self):
        """{'memory_mb', 'own_memory_mb', 'threads', 'descriptors'} of now; notes the shared memory that it uses.

        memory_mb is what is resident (RSS), with shared memory and files; own_memory_mb is what nobody else has.
        Raises ProcessLookupError where it ended.
        """
        folder = Path('/proc', str(self.pid))
        try:
            lines = (folder / 'status').read_text().splitlines()
            fields = dict(line.split(':', 1) for line in lines if ':' in line)
            resident, own = (int(fields[name].split()[0]) * 1024 / 1e6 for name in ('VmRSS', 'RssAnon'))
            descriptors = len(os.listdir(folder / 'fd'))
            self._shared_memory |= _mapped(folder)
        except (OSError, KeyError):  # a zombie has no memory
            raise ProcessLookupError(f'the node ended: {self.log()[-2000:]}') from None
        return {
            'memory_mb': resident,
            'own_memory_mb': own,
            'threads': int(fields['Threads']),
            'descriptors': descriptors,
        }

    def stop(self, number=signal.SIGINT):
        """Ends it by a signal, if it does not end by SIGKILL. -> exit code, negative where a signal ended it."""
        if self.alive():
            self.process.send_signal(number)
        try:
            return self.process.wait(STOP)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    @property
    def shared_memory(self):
        """Names under /dev/shm that it was seen to use and that were not there before it."""
        return self._shared_memory - self._before


def _mapped(folder):
    """Names under /dev/shm that a process has in its memory."""
    names = set()
    for line in (folder / 'maps').read_text().splitlines():
        path = line.split(maxsplit=5)[5:]
        if path and path[0].startswith(f'{SHARED_MEMORY}/'):
            names.add(path[0].removeprefix(f'{SHARED_MEMORY}/').removesuffix(' (deleted)'))
    return names


def shared_memory_in_use():
    """Names under /dev/shm that any process has in its memory, as far as we may look."""
    names = set()
    for folder in Path('/proc').iterdir():
        if folder.name.isdigit():
            try:
                names |= _mapped(folder)
            except OSError:
                continue
    return names


def left_behind(names):
    """Those of `names` that lie under /dev/shm and that no process uses."""
    there = {name for name in names if (SHARED_MEMORY / name).exists()}
    return sorted(there - shared_memory_in_use()) if there else []
