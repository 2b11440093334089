"""The `mesh-perception` command."""

import argparse
import importlib
import os
import sys

from mesh_perception import __version__

# Each module adds its own command, and imports what is heavy only when it runs.
COMMANDS = {
    'run': 'mesh_perception.run',
    'bag': 'mesh_perception.bag',
    'describe': 'mesh_perception.describe',
    'benchmark': 'mesh_perception.benchmark',
    'evaluate': 'mesh_perception.evaluation.cli',
    'train': 'mesh_perception.training.cli',
    'weights': 'mesh_perception.weights.cli',
}
# OpenCV and its FFmpeg write of damaged files to stderr on their own; the commands say it in one line.
QUIET = {'OPENCV_LOG_LEVEL': 'OFF', 'OPENCV_FFMPEG_LOGLEVEL': '-8'}


def build_parser(wanted=None):
    """The command line; `wanted` limits it to one command, so that the others need not be imported."""
    parser = argparse.ArgumentParser(
        prog='mesh-perception', description='Multi-person 3D human meshes from one calibrated RGB camera.'
    )
    parser.add_argument('--version', action='version', version=f'%(prog)s {__version__}')
    subparsers = parser.add_subparsers(dest='command', required=True, metavar='{' + ','.join(COMMANDS) + '}')
    for name, module in COMMANDS.items():
        if wanted in (None, name):
            importlib.import_module(module).register(subparsers)
    return parser


def missing_package(error):
    """One line for a ModuleNotFoundError. The error again if it is about a part of this package."""
    name = (error.name or '').split('.')[0]
    if name in ('', 'mesh_perception'):
        raise error
    return f'the Python package {name!r} is not installed for {sys.executable}; see the installation in README.md'


def main(argv=None):
    """Runs a command. -> exit code: 0 done, 1 something failed (said in one line), 2 wrong usage, 130 interrupted."""
    argv = sys.argv[1:] if argv is None else argv
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        parser = build_parser(argv[0] if argv and argv[0] in COMMANDS else None)
        arguments = parser.parse_args(argv)
        return arguments.handler(arguments)
    except (ValueError, OSError) as error:
        print(f'mesh-perception: {" ".join(str(error).split())}', file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:  # on a robot: the virtual environment that has torch is not active
        print(f'mesh-perception: {missing_package(error)}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('mesh-perception: interrupted', file=sys.stderr)
        return 130


if __name__ == '__main__':
    sys.exit(main())
