"""docs/diagnostics.md names every value, level and cause that there is, and none that there is not."""

import ast
import re
from pathlib import Path

import pytest

pytest.importorskip('diagnostic_msgs', reason='needs the ROS 2 message packages')
import torch
from builtin_interfaces.msg import Time

from mesh_perception.ros import diagnostics
from mesh_perception.ros.parameter_table import BY_NAME
from mesh_perception.ros.stamps import Age

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'diagnostics.md'


@pytest.fixture(scope='module')
def page():
    if not PAGE.is_file():
        pytest.skip('docs/ is not installed')
    return PAGE.read_text()


def names(page):
    """What stands in backticks in the first column of the table of values."""
    rows = page.split('| value | meaning |')[1].split('\n\n')[0].splitlines()[2:]
    return {name for row in rows for name in re.findall('`([^`]+)`', row.split('|')[1])}


def test_every_value_is_explained_and_nothing_else(page, monkeypatch):
    monkeypatch.setattr(
        diagnostics,
        'memory_values',
        lambda _: dict.fromkeys(('resident memory, MiB', 'GPU memory allocated, MiB', 'GPU memory reserved, MiB'), '1'),
    )
    reporter = diagnostics.Diagnostics('node', {name: entry.default for name, entry in BY_NAME.items()}.__getitem__)
    reporter.configured('embedded', 'open', torch.device('cpu'))
    reporter.count('refused', 'words', 'CAUSE')
    reporter.answered(1, 0.1, Age(0.1), {'STAGE': 1.0})
    status = reporter.message(Time(), 'active').status[0]
    assert {value.key for value in status.values} == names(page)


def test_every_cause_of_a_refusal_is_named(page):
    causes = set()
    for path in Path(diagnostics.__file__).parent.glob('*.py'):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and getattr(call.func, 'id', '') == 'InputError':
                causes.add(call.args[1].value)
    told = page.split('causes: ')[1].split('|')[0]
    assert len(causes) > 4 and causes == set(re.findall('`([^`]+)`', told))


def test_the_parameters_it_names_exist(page):
    for name in ('diagnostics_period', 'image_timeout', 'max_age', 'min_rate'):
        assert f'`{name}`' in page and name in BY_NAME
