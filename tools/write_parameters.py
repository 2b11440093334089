"""Writes config/mesh_perception.yaml and docs/parameters.md from the table of the node's parameters.

python tools/write_parameters.py
"""

import textwrap
from pathlib import Path

import yaml

from mesh_perception.ros.parameter_table import SECTIONS
from mesh_perception.ros.parameters import expected

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 118
WHEN = """[start]: read when the node starts, read-only afterwards. [configure]: read when the node is configured;
may be set while it is unconfigured (ros2 lifecycle set /mesh_perception cleanup). [live]: may be set at any time."""
READ = (
    '- **start**: read when the node starts, read-only afterwards.',
    '- **configure**: read when the node is configured; may be set while it is unconfigured',
    '  (`ros2 lifecycle set /mesh_perception cleanup`).',
    '- **live**: may be set at any time.',
    '',
    'Several are set all or none (`set_parameters_atomically`); a refusal names parameter, value and what is expected.',
)
HEAD = f"""\
# Parameters of the mesh_perception node, all at their defaults. Copy the file, change what you need, pass it on:
#   ros2 launch mesh_perception mesh_perception.launch.py params_file:=/path/to/yours.yaml
#   python3 -m mesh_perception.ros.node --ros-args --params-file /path/to/yours.yaml
# Written by tools/write_parameters.py from mesh_perception/ros/parameter_table.py.
{textwrap.indent(WHEN, '# ')}
/**:
  ros__parameters:
"""


def as_yaml(value):
    """A value in one line of YAML."""
    return yaml.safe_dump(value, default_flow_style=True, width=10**9).split('\n')[0]


def comment(entry):
    """A parameter in one sentence or two: when it is read, what it means, what it may be."""
    limits = f' From {entry.limits[0]} to {entry.limits[1]}.' if entry.limits else ''
    return f'[{entry.when}] {entry.description}{limits}'


def parameter_file():
    """The text of config/mesh_perception.yaml."""
    parts = []
    for heading, entries in SECTIONS.items():
        lines = [f'    # ---- {heading}']
        for entry in entries:
            lines += textwrap.wrap(comment(entry), WIDTH, initial_indent='    # ', subsequent_indent='    #   ')
            value = f'{entry.name}: {as_yaml(entry.default)}'
            lines += textwrap.wrap(value, WIDTH, initial_indent='    ', subsequent_indent='      ')
        parts.append('\n'.join(lines) + '\n')
    return HEAD + '\n'.join(parts)


def page():
    """The text of docs/parameters.md."""
    lines = ['# Parameters of the node', '', *READ, '']
    for heading, entries in SECTIONS.items():
        lines += [f'## {heading}', '', '| parameter | default | read | values | meaning |', '|---|---|---|---|---|']
        for entry in entries:
            several = isinstance(entry.default, list) and len(entry.default) > 1
            default = 'all of them' if several else f'`{as_yaml(entry.default)}`'
            lines.append(f'| `{entry.name}` | {default} | {entry.when} | {expected(entry)} | {entry.description} |')
        lines.append('')
    return '\n'.join(lines)


if __name__ == '__main__':
    (ROOT / 'config' / 'mesh_perception.yaml').write_text(parameter_file())
    (ROOT / 'docs' / 'parameters.md').write_text(page())
