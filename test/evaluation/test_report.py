"""A report is one page that loads nothing, valid JSON, and a CSV."""

import base64
import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
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


def test_all_that_is_given_is_shown_and_nothing_is_taken_for_markup(tmp_path):
    parts = ['One.\n\nTwo.', Table('<T>', ['<c>'], [['<x>']], 'note <t>')]
    parts += [Picture('"<P>"', np.zeros((2, 2, 3), np.uint8), 'note <p>')]
    text = write_report(Report('<Title>', {}, parts), tmp_path).read_text()
    assert text.count('&lt;Title&gt;') == 2 and '<p>One.</p>\n<p>Two.</p>' in text
    for shown in (
        '&lt;T&gt;',
        '&lt;c&gt;',
        '&lt;x&gt;',
        'note &lt;t&gt;',
        'alt="&quot;&lt;P&gt;&quot;"',
        'note &lt;p&gt;',
    ):
        assert shown in text
    for markup in ('<Title>', '<T>', '<c>', '<x>', '<t>', '<P>', 'note <'):
        assert markup not in text


def test_photographs_keep_their_colours_as_jpeg(tmp_path):
    photograph = np.zeros((64, 64, 3), np.uint8)
    photograph[:, :32], photograph[:, 32:] = (250, 120, 10), (20, 60, 200)
    photograph += np.random.default_rng(0).integers(0, 6, photograph.shape, dtype=np.uint8)
    (source,) = Page(write_report(Report('t', {}, [Picture('p', photograph)]), tmp_path).read_text()).loads
    data = base64.b64decode(source.removeprefix('data:image/jpeg;base64,'))
    assert data[:3] == b'\xff\xd8\xff'
    seen = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)
    assert np.abs(seen - photograph)[:, np.r_[:24, 40:64]].mean() < 3


@pytest.mark.parametrize('image', [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)])
def test_what_is_no_rgb_picture_is_refused(image, tmp_path):
    with pytest.raises(ValueError, match=r'picture of shape \(4, 4.* expected uint8 \(H, W, 3\)'):
        write_report(Report('t', {}, [Picture('p', image)]), tmp_path)


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
    nested = {'a': [float('inf'), {np.int64(2): (np.float64('nan'), Path('é'))}], True: False}
    assert as_json(nested) == '{"a": [null, {"2": [null, "é"]}], "True": false}'


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


def test_the_decimals_are_those_of_the_largest_finite_figure():
    inf, nan = float('inf'), float('nan')
    table = Table('', ['a', 'b', 'c', 'd'], [[10.0, 9.99, -12.0, inf], [0.5, 0.5, 0.5, -inf], [nan, nan, nan, 0.5]])
    assert [line.split() for line in as_text(table).split('\n')[3:]] == [
        ['10.0', '9.990', '-12.0', '∞'],
        ['0.5', '0.500', '0.5', '-∞'],
        ['-', '-', '-', '0.500'],
    ]


def test_words_and_answers_stand_on_the_left_and_the_note_below():
    table = Table('T', ['answer', 'words'], [[True, '3 people'], [False, '12 px']], 'A note.')
    assert as_text(table).split('\n') == [
        'T',
        'answer  words',
        '------  --------',
        'yes     3 people',
        'no      12 px',
        'A note.',
    ]


def test_a_row_of_another_length_is_refused_by_the_tables_name():
    with pytest.raises(ValueError, match="table 'T': a row of 1 cells, expected 2"):
        as_text(Table('T', ['a', 'b'], [[1]]))
