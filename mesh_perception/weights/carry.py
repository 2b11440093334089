"""Carries the files to a machine without network or npm, as a folder or a .tar file; what arrives is not trusted."""

import os
import shutil
import tarfile
from pathlib import Path

from mesh_perception.weights import store
from mesh_perception.weights.registry import BY_NAME
from mesh_perception.weights.store import WeightsError


def export_files(target, names=()) -> int:
    """Copies the named files (all for none) from the cache into the folder `target`, or one file if it ends in .tar.

    Returns how many. Raises WeightsError if one of them is missing or damaged, or `target` cannot be written.
    """
    target = Path(target)
    paths = {entry.name: store.path_of(entry.name) for entry in store.select(names)}
    try:
        if target.suffix == '.tar':
            partial = target.with_name(target.name + '.partial')
            with tarfile.open(partial, 'w') as archive:
                for name, path in paths.items():
                    archive.add(path, name, filter=_anonymous)
            os.replace(partial, target)
        else:
            for name, path in paths.items():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target / name)
    except OSError as error:
        raise WeightsError(f'{target}: cannot be written: {error.strerror or error}') from error
    return len(paths)


def import_files(source) -> int:
    """Takes the registered files out of a folder or .tar file made by `export_files` into the cache; returns how many.

    Each is checked on the way. A folder may hold other files too. Raises WeightsError for a source that cannot be read
    or holds none of them, for a file that is not the one expected, and for a .tar that holds any but registered files.
    """
    source = Path(source)
    with store.writing() as unfinished:
        if source.is_dir():
            count = _import_folder(source, unfinished)
        else:
            count = _import_tar(source, unfinished)
    if not count:
        raise WeightsError(f'{source}: none of the registered files is in it')
    return count


def _import_folder(source, unfinished) -> int:
    count = 0
    for name, entry in BY_NAME.items():
        if (source / name).is_file():
            try:
                stream = open(source / name, 'rb')
            except OSError as error:
                raise WeightsError(f'{source / name}: cannot be read: {error.strerror}') from error
            with stream:
                store.put(entry, stream, unfinished, str(source))
            count += 1
    return count


def _import_tar(source, unfinished) -> int:
    try:
        stream = open(source, 'rb')
    except OSError as error:
        raise WeightsError(f'{source}: cannot be read: {error.strerror}') from error
    done = set()
    # Uncompressed tars only ('r:'): nothing in one can grow beyond the file itself. Members' own paths are never used
    # to write: a file goes where the registry's entry of exactly that name goes.
    try:
        with stream, tarfile.open(fileobj=stream, mode='r:') as archive:
            for member in archive:
                if member.isdir():
                    continue
                if not member.isreg() or member.name not in BY_NAME or member.name in done:
                    raise WeightsError(f'{source}: {member.name[:100]!r} in it is not a file of the registry')
                store.put(BY_NAME[member.name], archive.extractfile(member), unfinished, str(source))
                done.add(member.name)
    except (tarfile.TarError, EOFError) as error:
        raise WeightsError(f'{source}: not a readable .tar file: {error}') from error
    return len(done)


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ''
    info.mode = 0o644
    return info
