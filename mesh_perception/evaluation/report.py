"""What a benchmark found, as one self-contained HTML page, as text for a terminal, as JSON and as CSV."""

import base64
import csv
import html
import io
import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np


@dataclass
class Table:
    """Rows of cells (text, numbers or None) below named columns. NaN and None are shown as a dash.

    Floats of a column share their decimals: one where some reach 10, else three.
    """

    title: str
    columns: list[str]
    rows: list[list]
    note: str = ''


@dataclass
class Picture:
    """An image, uint8 RGB (H, W, 3), or a matplotlib Figure, with a caption."""

    title: str
    image: Any
    note: str = ''


@dataclass
class Report:
    """A benchmark's result.

    Parts are shown in their order: text (paragraphs, or a heading if it starts with '# '), tables and pictures.
    `summary` is what --json prints, names to numbers, text, lists and dicts of these; `detail` one dict a row of
    detail.csv. Summary and detail may hold NaN, infinities, and scalars of numpy and torch.
    """

    title: str
    summary: dict
    parts: list[str | Table | Picture] = field(default_factory=list)
    detail: list[dict] = field(default_factory=list)


def write_report(report: Report, folder) -> Path:
    """Writes report.html (with its pictures inside; it loads nothing), summary.json and detail.csv into a folder.

    -> the page's path. Raises OSError where they cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'summary.json').write_text(as_json(report.summary, indent=1) + '\n', encoding='utf-8')
    _write_detail(report.detail, folder / 'detail.csv')
    page = folder / 'report.html'
    page.write_text(_page(report), encoding='utf-8')
    return page


def as_json(value, indent=None) -> str:
    """JSON that every reader takes: what is not finite becomes null."""
    return json.dumps(_plain(value), indent=indent, allow_nan=False, ensure_ascii=False)


def as_text(table: Table) -> str:
    """A table for a terminal: title, columns, rows and note."""
    cells = [list(table.columns), *_cells(table)]
    right = _right_aligned(table)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        '  '.join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    ]
    lines.insert(1, '  '.join('-' * width for width in widths))
    return '\n'.join([table.title, *lines, *([table.note] if table.note else [])])


def _plain(value):
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, 'tolist'):  # arrays, tensors and their scalars
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _write_detail(detail, path):
    columns = list(dict.fromkeys(name for row in detail for name in row))
    with path.open('w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, columns, lineterminator='\n')
        writer.writeheader()
        writer.writerows({key: _bare(value) for key, value in row.items()} for row in detail)


def _bare(value):
    return value.item() if hasattr(value, 'item') else value


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _cells(table):
    """The rows as text."""
    for row in table.rows:
        if len(row) != len(table.columns):
            raise ValueError(f'table {table.title!r}: a row of {len(row)} cells, expected {len(table.columns)}')
    rows = [[_bare(cell) for cell in row] for row in table.rows]
    columns = [_column(column) for column in zip(*rows, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]


def _column(cells):
    sizes = [abs(cell) for cell in cells if isinstance(cell, float) and math.isfinite(cell)]
    decimals = 1 if max(sizes, default=0) >= 10 else 3
    return [_cell(cell, decimals) for cell in cells]


def _cell(cell, decimals):
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return '-'
    if isinstance(cell, float):
        return f'{cell:.{decimals}f}' if math.isfinite(cell) else ('∞' if cell > 0 else '-∞')
    if isinstance(cell, bool):
        return 'yes' if cell else 'no'
    return str(cell)


# Figures with their units and intervals: 12.5, 81.0 %, 62.1 (58.0 to 66.3), 3 of 4.
_FIGURE = re.compile(r'-|[+±-]?[\d∞](?:[\d.,:/ ()\[\]%±∞-]|\b(?:to|of|mm|cm|m|px|s)\b)*')


def _right_aligned(table):
    """Which columns hold nothing but figures."""
    columns = zip(*table.rows, strict=True) if table.rows else [()] * len(table.columns)
    return [
        bool(column) and all(cell is None or _is_number(_bare(cell)) or _FIGURE.fullmatch(str(cell)) for cell in column)
        for column in columns
    ]


_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --dim: #5b6570; --paper: #fff; --line: #d8dde3; --band: #f5f7f9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ec; --dim: #9aa5b1; --paper: #14181c; --line: #343c45; --band: #1b2127; }
}
body { margin: 2rem auto; padding: 0 1.2rem; max-width: 68rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 1rem; }
h2 { font-size: 1.3rem; margin: 2.4rem 0 .6rem; }
p { max-width: 46rem; white-space: pre-line; }
figure { margin: 1.6rem 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; }
caption, figcaption { text-align: left; font-weight: 600; padding-bottom: .4rem; }
th, td { padding: .28rem .8rem .28rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { color: var(--dim); font-weight: 600; vertical-align: bottom; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tbody tr:nth-child(even) { background: var(--band); }
.note { color: var(--dim); font-size: .9rem; font-weight: 400; margin: .4rem 0 0; max-width: 46rem; }
img { max-width: 100%; height: auto; background: #fff; border-radius: 4px; }
""".strip()


def _page(report):
    body = '\n'.join(_part(part) for part in report.parts)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{html.escape(report.title)}</title>\n<style>\n{_STYLE}\n</style></head>\n'
        f'<body>\n<h1>{html.escape(report.title)}</h1>\n{body}\n</body></html>\n'
    )


def _part(part):
    if isinstance(part, Table):
        return _table(part)
    if isinstance(part, Picture):
        return _figure(part)
    if part.startswith('# '):
        return f'<h2>{html.escape(part[2:])}</h2>'
    return '\n'.join(f'<p>{html.escape(text)}</p>' for text in part.split('\n\n'))


def _note(text):
    return f'<p class="note">{html.escape(text)}</p>' if text else ''


def _table(table):
    classes = [' class="number"' if right else '' for right in _right_aligned(table)]

    def line(tag, cells):
        return (
            '<tr>'
            + ''.join(f'<{tag}{c}>{html.escape(x)}</{tag}>' for c, x in zip(classes, cells, strict=True))
            + '</tr>'
        )

    rows = '\n'.join(line('td', row) for row in _cells(table))
    return (
        f'<figure><div class="wide"><table><caption>{html.escape(table.title)}</caption>\n'
        f'<thead>{line("th", table.columns)}</thead>\n<tbody>\n{rows}\n</tbody></table></div>'
        f'{_note(table.note)}</figure>'
    )


def _figure(picture):
    kind, data = _encode(picture.image)
    source = f'data:image/{kind};base64,{base64.b64encode(data).decode()}'
    title = html.escape(picture.title, quote=True)
    return f'<figure><figcaption>{title}</figcaption><img alt="{title}" src="{source}">{_note(picture.note)}</figure>'


def _encode(image):
    """Figures as PNG, photographs as JPEG. -> kind, bytes"""
    if hasattr(image, 'savefig'):
        buffer = io.BytesIO()
        image.savefig(buffer, format='png', dpi=110, facecolor='white')
        return 'png', buffer.getvalue()
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f'picture of shape {image.shape} and type {image.dtype}: expected uint8 (H, W, 3)')
    good, data = cv2.imencode('.jpg', np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 88])
    if not good:
        raise ValueError(f'picture of shape {image.shape}: cannot be encoded')
    return 'jpeg', data.tobytes()
