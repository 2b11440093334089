"""docs/reliability.md names tests that exist, and every test of faults is named there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs' / 'reliability.md'


def names_in(folder):
    return {
        name for path in folder.rglob('test_*.py') for name in re.findall(r'^def (test_\w+)', path.read_text(), re.M)
    }


def named():
    return set(re.findall(r'`(test_\w+)`', PAGE.read_text()))


def test_every_test_that_the_page_names_exists():
    assert named() and not named() - names_in(ROOT / 'test')


def test_every_test_of_a_fault_is_on_the_page():
    assert not names_in(ROOT / 'test' / 'ros' / 'robustness') - named()


def test_every_fault_says_what_happens_and_its_test():
    rows = [
        line.strip('|').split('|') for line in PAGE.read_text().split('## Endurance')[0].splitlines() if line[:1] == '|'
    ]
    faults = [row for row in rows if row[0].strip() not in ('fault', '---')]
    assert len(faults) > 20
    for row in faults:
        assert len(row) == 3 and all(cell.strip() for cell in row), row
        assert '`test_' in row[2] or row[2].strip() == 'the same', row
