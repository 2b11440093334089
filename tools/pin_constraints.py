"""Writes constraints.txt: what pip resolves today for every extra, on each Python given (oldest first).

    python tools/pin_constraints.py python3.10 python3.11 python3.12 python3.13 > constraints.txt

Each interpreter needs pip 23.2 or newer and setuptools; nothing is installed. torch's CUDA packages are left out: torch
pins them itself, and its CPU build has none.
"""

import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = 'smplx,bags,training,npm,ros,build,test,view'
LEFT_OUT = re.compile(r'(nvidia|cuda)-.*|triton|mesh-perception')
# Held back, with any version of theirs that fits: torch's builds differ in name (2.13.0, 2.13.0+cpu).
FIXED = {'torch': '2.13.*'}


def resolve(python: str) -> tuple[str, dict[str, str]]:
    """-> the Python's version ('3.11') and the version of every package that pip would install."""
    options = ['--dry-run', '--ignore-installed', '--quiet', '--no-build-isolation', '--report', '-']
    requirements = [f'{ROOT}[{EXTRAS}]', 'pip', *(f'{name}=={version}' for name, version in FIXED.items())]
    output = subprocess.run(
        [python, '-m', 'pip', 'install', *options, *requirements], check=True, stdout=subprocess.PIPE
    ).stdout
    report = json.loads(output)
    versions = {}
    for item in report['install']:
        name = re.sub(r'[-_.]+', '-', item['metadata']['name']).lower()
        if not LEFT_OUT.fullmatch(name):
            versions[name] = FIXED.get(name, item['metadata']['version'])
    return report['environment']['python_version'], versions


def lines(resolved: dict[str, dict[str, str]]) -> list[str]:
    """One pin a package; a marker for each run of Pythons (given in order) that needs another version."""
    pythons = list(resolved)
    result = []
    for name in sorted({name for versions in resolved.values() for name in versions}):
        having = [python for python in pythons if name in resolved[python]]
        changes = [p for last, p in pairwise(having) if resolved[last][name] != resolved[p][name]]
        starts = [having[0], *changes]
        for start, end in zip(starts, [*starts[1:], None], strict=True):
            markers = [f'python_version >= "{start}"'] * (start != starts[0])
            markers += [f'python_version < "{end}"'] * (end is not None)
            result.append(f'{name}=={resolved[start][name]}' + (' ; ' + ' and '.join(markers) if markers else ''))
    return result


if __name__ == '__main__':
    print('# Every version that `make setup` and `make view` install, as the tests ran; by tools/pin_constraints.py.')
    print('\n'.join(lines(dict(resolve(python) for python in sys.argv[1:]))))
