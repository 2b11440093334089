"""The cache of third-party files: each is checked before use, and written so that no half passes for the whole."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from mesh_perception.weights.registry import BY_NAME, ENTRIES, WeightFile

_CHUNK = 1 << 20
_verified: dict[Path, tuple[str, tuple[int, int, int]]] = {}  # path -> sha256 and what the file system said of it then


class WeightsError(ValueError):
    """A third-party file is missing, damaged or cannot be obtained; the message names it and what to do."""


def cache_directory() -> Path:
    """MESH_PERCEPTION_CACHE, or `mesh_perception` in XDG_CACHE_HOME (~/.cache if unset). It may not exist yet."""
    own = os.environ.get('MESH_PERCEPTION_CACHE')
    if own:
        return Path(own).expanduser().absolute()
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache').absolute() / 'mesh_perception'


def location(entry: WeightFile) -> Path:
    """Where the cache keeps the file, be it there or not."""
    return cache_directory() / 'files' / entry.name


def state(entry: WeightFile) -> str:
    """'present' (there and its sha256 right), 'missing' or 'damaged' (something else is there)."""
    path = location(entry)
    try:
        stat = path.stat()
        seen = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
        if _verified.get(path) == (entry.sha256, seen):
            return 'present'
        if stat.st_size != entry.size or _sha256(path) != entry.sha256:
            return 'damaged'
    except (FileNotFoundError, NotADirectoryError):
        return 'missing'
    except OSError:
        return 'damaged'
    _verified[path] = (entry.sha256, seen)
    return 'present'


def path_of(name: str) -> Path:
    """The path of the file called `name`, its sha256 checked once in a process (again if the file changes).

    Raises WeightsError, naming the file and the command that obtains it, for one that is unknown, missing or damaged.
    """
    if name not in BY_NAME:
        raise WeightsError(f'{name!r} is not a file of the registry; `mesh-perception weights list` names them all')
    found = state(BY_NAME[name])
    if found != 'present':
        raise WeightsError(f'{name} is {found} ({location(BY_NAME[name])}); run `mesh-perception weights fetch`')
    return location(BY_NAME[name])


def select(names=()) -> list[WeightFile]:
    """The registry's entries of these names, or in folders of these names; all for none. WeightsError if unknown."""
    chosen = []
    for name in names:
        matches = [e for e in ENTRIES if e.name == name or e.name.startswith(name.rstrip('/') + '/')]
        if not matches:
            raise WeightsError(f'{name!r} is not a file of the registry; `mesh-perception weights list` names them all')
        chosen += [e for e in matches if e not in chosen]
    return chosen if names else list(ENTRIES)


@contextmanager
def writing(waiting=lambda: None):
    """The one writer's turn: locks the cache and gives an empty folder, on its disk, for unfinished files.

    Calls `waiting` if another process holds the lock. Raises WeightsError if the cache cannot be written.
    """
    cache = cache_directory()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = open(cache / 'lock', 'a')
    except OSError as error:
        raise WeightsError(f'the cache {cache} cannot be written: {error.strerror}') from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        unfinished = cache / 'unfinished'
        try:
            shutil.rmtree(unfinished, ignore_errors=True)  # left by one that was killed: nobody else is writing now
            unfinished.mkdir()
            yield unfinished
        except OSError as error:
            raise WeightsError(f'the cache {cache} cannot be written: {error.strerror or error}') from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


def put(entry: WeightFile, stream, unfinished: Path, source: str):
    """Copies the binary `stream` into the cache as `entry`, only if it is exactly that file. For use inside `writing`.

    Reads at most one byte more than the file should have. Raises WeightsError, naming the file and `source`, if it is
    another.
    """
    digest, left = hashlib.sha256(), entry.size + 1
    with tempfile.NamedTemporaryFile(dir=unfinished, delete=False) as file:
        while left and (chunk := stream.read(min(left, _CHUNK))):
            digest.update(chunk)
            file.write(chunk)
            left -= len(chunk)
    if left != 1 or digest.hexdigest() != entry.sha256:
        os.unlink(file.name)
        raise WeightsError(f'{entry.name} in {source} is not the file expected: its size or sha256 is wrong')
    target = location(entry)
    target.parent.mkdir(parents=True, exist_ok=True)
    os.chmod(file.name, 0o644)
    os.replace(file.name, target)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
