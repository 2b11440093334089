"""`mesh-perception evaluate`: the benchmarks, each writing one report."""

import importlib
import shlex
import sys
from pathlib import Path
from tempfile import TemporaryFile

from mesh_perception import __version__
from mesh_perception.configuration import load_config

# Each module has HELP, add_arguments(parser) and run(arguments) -> Report; what is heavy is imported inside run.
PROTOCOLS = {
    'synthetic': 'mesh_perception.evaluation.synthetic.command',
    'multiview': 'mesh_perception.evaluation.multiview.command',
    '3dpw': 'mesh_perception.evaluation.threedpw.command',
    'mupots': 'mesh_perception.evaluation.mupots.command',
    'agora': 'mesh_perception.evaluation.agora.command',
}


def register(subparsers):
    """Adds the command to the command line."""
    parser = subparsers.add_parser(
        'evaluate',
        help='errors on synthetic scenes, on open footage and on the datasets of the paper',
        description='Measures a model set. Writes report.html, summary.json and detail.csv.',
    )
    protocols = parser.add_subparsers(dest='protocol', required=True, metavar='{' + ','.join(PROTOCOLS) + '}')
    for name, module in PROTOCOLS.items():
        command = importlib.import_module(module)
        protocol = protocols.add_parser(name, help=command.HELP, description=command.HELP)
        command.add_arguments(protocol)
        _add_common_arguments(protocol, name)
    parser.set_defaults(handler=run)


def _add_common_arguments(parser, name):
    parser.add_argument('--models', default='embedded', help='a model set, or the path of one (default: embedded)')
    parser.add_argument('--body', help="an SMPL .pkl or .npz of your own instead of the set's body")
    parser.add_argument('--device', help='auto (the GPU where there is one), cpu, cuda or cuda:N (default: auto)')
    out = Path('out/evaluate') / name
    parser.add_argument('--out', type=Path, default=out, metavar='DIR', help=f'where the report goes (default: {out})')
    parser.add_argument('--json', action='store_true', help='print the summary as one line of JSON last')


def load(arguments):
    """The Config that --models, --body and --device ask for. Raises ConfigurationError."""
    chosen = {'body': arguments.body, 'device': arguments.device}
    return load_config(arguments.models, {key: value for key, value in chosen.items() if value})


def run(arguments):
    """Runs a protocol, writes its report and prints its tables. -> exit code. Raises ValueError and OSError."""
    from mesh_perception.evaluation.report import Table, as_json, as_text, write_report

    arguments.out.mkdir(parents=True, exist_ok=True)
    TemporaryFile(dir=arguments.out).close()  # said before the work, not after it
    report = importlib.import_module(PROTOCOLS[arguments.protocol]).run(arguments)
    report.parts.append(f'Made by mesh_perception {__version__} with: {shlex.join(["mesh-perception", *sys.argv[1:]])}')
    page = write_report(report, arguments.out)
    for part in report.parts:
        if isinstance(part, Table):
            print(as_text(part) + '\n')
    print(f'Report: {page}')
    if arguments.json:
        print(as_json(report.summary))
    return 0
