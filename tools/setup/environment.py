"""`make setup`: a .venv with the ROS 2 wheels, this checkout and its messages, on a machine without ROS.

Arguments are further extras of pyproject.toml that it is to hold, such as `view`.

Run by any Python 3.10 to 3.13, with nothing but the standard library. Each of the two steps (packages, messages) is
skipped while the files that it depends on have not changed, so a second run costs no more than starting Python.
"""

import functools
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / '.venv'
PYTHON = VENV / 'bin' / 'python'
BUILD = VENV / 'build'
EXTRAS = 'smplx,bags,training,npm,ros,build,test'
# Messages of other packages, of which there are no wheels.
OVERLAYS = [ROOT / 'tools' / 'setup' / name for name in ('tf2_msgs', 'hri_msgs')]


class SetupError(Exception):
    """One line for the user."""


def check_machine():
    """Raises SetupError naming everything that is missing and cannot come from a package registry."""
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        raise SetupError(
            f'Python 3.10 to 3.13 is needed and this is {sys.version.split()[0]}; choose another with '
            '`PYTHON=python3.12 make setup`'
        )
    if 'ROS_DISTRO' in os.environ:
        raise SetupError(
            f'this shell has ROS 2 {os.environ["ROS_DISTRO"]} sourced: use `colcon build` there, or run `make setup` '
            'from a shell without it'
        )
    python = f'python{sys.version_info.major}.{sys.version_info.minor}'
    compilers = [os.environ.get('CXX'), 'c++', 'g++', 'clang++']
    missing = {}
    if not any(compiler and shutil.which(compiler) for compiler in compilers):
        missing['a C++ compiler'] = 'g++'
    if not (Path(sysconfig.get_path('include')) / 'Python.h').is_file():
        missing["Python's headers"] = f'{python}-dev'
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        missing["Python's venv module"] = f'{python}-venv'
    if missing:
        raise SetupError(
            f'missing: {", ".join(missing)} (on Debian or Ubuntu: apt install {" ".join(missing.values())})'
        )


def fingerprint(*paths: Path) -> str:
    """A hash of the files (or of all files in the folders) and of where the checkout and its Python are."""
    digest = hashlib.sha256(f'{ROOT} {sys.version_info[:3]}'.encode())
    for path in paths:
        for file in sorted(f for f in path.rglob('*') if f.is_file()) if path.is_dir() else [path]:
            digest.update(f'\0{file.relative_to(ROOT)}\0'.encode() + file.read_bytes())
    return digest.hexdigest()


def clean_environment() -> dict[str, str]:
    """The user's environment without what another Python environment may have left in it."""
    foreign = ('PYTHONPATH', 'PYTHONHOME', 'AMENT_PREFIX_PATH', 'CMAKE_PREFIX_PATH', '_ROS_WHEELS_BOOTSTRAP_COMPLETE')
    environment = {name: value for name, value in os.environ.items() if name not in foreign}
    return environment | {
        'PATH': f'{VENV / "bin"}{os.pathsep}{os.environ["PATH"]}',
        'VIRTUAL_ENV': str(VENV),
        'AMENT_PREFIX_PATH': str(VENV),
        'PIP_DISABLE_PIP_VERSION_CHECK': '1',
    }


def run(*command, log: Path | None = None):
    """Runs a command in the venv; with a log its output goes there, and to the user only when it fails."""
    command = [str(part) for part in command]
    if log is None:
        code = subprocess.run(command, cwd=ROOT, env=clean_environment()).returncode
    else:
        with log.open('a') as file:
            code = subprocess.run(command, cwd=ROOT, env=clean_environment(), stdout=file, stderr=file).returncode
    if code and log:
        print('\n'.join(log.read_text(errors='replace').splitlines()[-40:]), file=sys.stderr)
    if code:
        raise SetupError(f'`{" ".join(command[:4])} ...` failed' + (f', all of its output is in {log}' if log else ''))


def pip(*arguments):
    """pip in the venv, with every version pinned."""
    run(PYTHON, '-m', 'pip', '-qq', 'install', '--constraint', ROOT / 'constraints.txt', *arguments)


def file_size(url: str) -> int:
    """Bytes that fetching the URL takes: 0 for a local file, and where the server does not tell."""
    if not url.startswith('http'):
        return 0
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method='HEAD'), timeout=20) as reply:
            return int(reply.headers.get('Content-Length', 0))
    except OSError:
        return 0


def announce_download(report: Path):
    """Prints how much pip is about to fetch, from its report of a dry run, without what its cache may hold."""
    items = json.loads(report.read_text())['install']
    with ThreadPoolExecutor(16) as pool:
        sizes = pool.map(file_size, [item['download_info']['url'] for item in items])
    sizes = sorted(((size, item['metadata']['name']) for size, item in zip(sizes, items, strict=True)), reverse=True)
    largest = ', '.join(f'{name} {size / 1e6:.0f} MB' for size, name in sizes[:3] if size > 1e7)
    total = sum(size for size, _ in sizes)
    print(
        f'setup: {len(items)} packages, {total / 1e6:.0f} MB to download' + (f' ({largest})' if largest else ''),
        flush=True,
    )


def install(extras: str):
    """Installs the checkout in place with some of its extras; says first how much has to be fetched."""
    report = VENV / 'report.json'
    checkout = ['--no-build-isolation', '--editable', f'{ROOT}[{extras}]']
    pip('--dry-run', '--report', report, *checkout)
    announce_download(report)
    pip(*(['--progress-bar', 'on'] if sys.stdout.isatty() else []), *checkout)


def install_packages():
    """Creates the venv, or completes it, and installs the checkout with all that every target needs."""
    print(f'setup: .venv with Python {sys.version.split()[0]}', flush=True)
    if Path(sys.prefix).resolve() != VENV.resolve():
        subprocess.run([sys.executable, '-m', 'venv', '--clear', VENV], check=True)
    elif not importlib.util.find_spec('pip'):  # an interrupted start
        run(PYTHON, '-m', 'ensurepip')
    pip('--upgrade', 'pip', 'setuptools')
    install(EXTRAS)


def build_package(source: Path, *options: str):
    """Builds an ament_cmake package and installs it into the venv."""
    print(f'setup: building the messages of {source.name if source != ROOT else "mesh_perception"}', flush=True)
    folder = BUILD / source.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    log = folder / 'log.txt'
    settings = {
        'CMAKE_INSTALL_PREFIX': VENV,
        'CMAKE_PREFIX_PATH': VENV,
        'CMAKE_BUILD_TYPE': 'Release',
        'Python3_EXECUTABLE': PYTHON,
        'BUILD_TESTING': 'OFF',
    }
    defines = [f'-D{name}={value}' for name, value in settings.items()]
    run('cmake', '-S', source, '-B', folder, '-G', 'Ninja', *defines, *options, log=log)
    run('cmake', '--build', folder, log=log)
    run('cmake', '--install', folder, log=log)


def build_messages():
    """Builds mesh_perception's messages, and others where no package brought them."""
    site_packages = next((VENV / 'lib').glob('python3*/site-packages'))
    for overlay in OVERLAYS:
        if (BUILD / overlay.name).exists() or not (site_packages / overlay.name).exists():
            build_package(overlay)
    build_package(ROOT, '-DMESSAGES_ONLY=ON')
    # What would hide the checkout's: the generated package's empty start and its metadata.
    (site_packages / 'mesh_perception' / '__init__.py').unlink()
    for metadata in site_packages.glob('mesh_perception-*.egg-info'):
        shutil.rmtree(metadata)


def install_programs():
    """The checkout's programs, run by the venv's Python wherever they are called from."""
    for script in (ROOT / 'scripts').iterdir():
        program = VENV / 'bin' / script.name
        # A #! line cannot hold a path with spaces or a long one, so sh finds Python; to Python it is a string.
        start = f"#!/bin/sh\n'''exec' '{PYTHON}' \"$0\" \"$@\"\n' '''\n"
        program.write_text(start + script.read_text().split('\n', 1)[1])
        program.chmod(0o755)


def main():
    """Runs the steps that are due."""
    check_machine()
    mine = Path(__file__).resolve()
    pins = ROOT / 'constraints.txt'
    packages = [mine, pins, ROOT / 'pyproject.toml', ROOT / 'scripts']
    messages = [mine, pins, ROOT / 'CMakeLists.txt', ROOT / 'package.xml', ROOT / 'cmake', ROOT / 'msg', *OVERLAYS]
    for name, inputs, steps in (
        ('packages', packages, (install_packages, install_programs)),
        ('messages', messages, (build_messages,)),
        *((extra, [pins, ROOT / 'pyproject.toml'], (functools.partial(install, extra),)) for extra in sys.argv[1:]),
    ):
        stamp = VENV / f'{name}.stamp'
        wanted = fingerprint(*inputs)
        if not stamp.is_file() or stamp.read_text() != wanted:
            for step in steps:
                step()
            stamp.write_text(wanted)


if __name__ == '__main__':
    try:
        main()
    except SetupError as error:
        sys.exit(f'setup: {error}')
    except KeyboardInterrupt:
        sys.exit('setup: interrupted; the next `make setup` goes on')
    except subprocess.CalledProcessError as error:
        sys.exit(f'setup: `{" ".join(map(str, error.cmd))}` failed')
