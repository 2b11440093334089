"""A report is one page that loads nothing, valid JSON, and a CSV."""

import csv
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from mesh_perception.evaluation.report import Picture, Report, Table, as_json, as_text, write_report

TABLE = Table('Errors', ['who', 'mm', 'interval', 'n'], [['a & b', 12.34, '1.0 (0.5 to 2.0)', 3], ['c', None, '-', 10]])


class Page(HTMLParser):
    """What a page asks for, which tags it leaves open, and its cells."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.open, self.cells = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.loads += [attributes[name] for name in ('src', 'href', 'srcset') if name in attributes]
        if tag not in ('meta', 'img'):
            self.open.append(tag)
        if tag in ('td', 'th'):
            self.cells.append([tag, attributes.get('class'), ''])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ('td', 'th'):
            self.cells[-1][2] += data


@pytest.fixture
def report():
    photograph = np.zeros((8, 12, 3), np.uint8)
    figure = Figure(figsize=(1, 1))
    figure.subplots().plot([1, 2])
    parts = [
        'One.\n\nTwo <b>.',
        '# Part',
        TABLE,
        Picture('A photograph', photograph, 'dark'),
        Picture('A plot', figure),
    ]
    summary = {
        'error': float('nan'),
        'worst': np.float32(np.inf),
        'mean': torch.tensor(2.5),
        'by': {3: [1, None, True]},
    }
    return Report('Title', summary, parts, [{'scene': 'a', 'error': 1.5}, {'scene': 'b,c', 'n': torch.tensor(2)}])


def test_the_page_holds_its_pictures_and_loads_nothing(report, tmp_path):
    text = write_report(report, tmp_path / 'new').read_text()
    page = Page(text)
    assert page.open == []
    assert [re.match(r'data:image/\w+;base64,', source)[0] for source in page.loads] == [
        'data:image/jpeg;base64,',
        'data:image/png;base64,',
    ]
    assert not re.search(r'https?://|url\(|@import|<script', text)
    assert 'prefers-color-scheme: dark' in text and 'Two &lt;b&gt;.' in text and '<h2>Part</h2>' in text


def test_figures_are_aligned_to_the_right_and_words_to_the_left(report, tmp_path):
    cells = Page(write_report(report, tmp_path).read_text()).cells
    assert [cell[1] for cell in cells[:4]] == [None, 'number', 'number', 'number']
    assert [cell[2] for cell in cells[4:]] == ['a & b', '12.3', '1.0 (0.5 to 2.0)', '3', 'c', '-', '-', '10']


def test_json_is_valid_where_figures_are_missing(report, tmp_path):
    write_report(report, tmp_path)

    def refuse(name):
        raise AssertionError(name)

    read = json.loads((tmp_path / 'summary.json').read_text(), parse_constant=refuse)
    assert read == {'error': None, 'worst': None, 'mean': 2.5, 'by': {'3': [1, None, True]}}
    assert '\n' not in as_json(report.summary)


def test_detail_has_all_columns(report, tmp_path):
    write_report(report, tmp_path)
    with open(tmp_path / 'detail.csv', newline='') as file:
        assert list(csv.DictReader(file)) == [
            {'scene': 'a', 'error': '1.5', 'n': ''},
            {'scene': 'b,c', 'error': '', 'n': '2'},
        ]


def test_text_lines_up():
    assert as_text(TABLE).split('\n') == [
        'Errors',
        'who      mm          interval   n',
        '-----  ----  ----------------  --',
        'a & b  12.3  1.0 (0.5 to 2.0)   3',
        'c         -                 -  10',
    ]


def test_small_figures_keep_three_decimals_and_large_ones_one():
    table = Table('', ['m', 'mm'], [[0.12345, 123.456], [1.5, 0.5]])
    assert [line.split() for line in as_text(table).split('\n')[3:]] == [['0.123', '123.5'], ['1.500', '0.5']]


def test_a_row_of_another_length_is_refused_by_the_tables_name():
    with pytest.raises(ValueError, match="table 'T': a row of 1 cells, expected 2"):
        as_text(Table('T', ['a', 'b'], [[1]]))
