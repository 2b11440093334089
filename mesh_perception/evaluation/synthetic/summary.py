"""Figures over all scenes, and by what makes people hard to see."""

from dataclasses import dataclass

import numpy as np

from mesh_perception.evaluation.bootstrap import Bootstrap, Estimate
from mesh_perception.evaluation.metrics import normalized_error_mm
from mesh_perception.evaluation.report import Table

# name in rows and in the summary: (title, unit, factor for the tables, decimals)
FIGURES = {
    'mpjpe_mm': ('MPJPE', 'mm', 1, 1),
    'pa_mpjpe_mm': ('PA-MPJPE', 'mm', 1, 1),
    'mve_mm': ('MVE', 'mm', 1, 1),
    'pck_3d': ('3DPCK at 150 mm', '%', 100, 1),
    'auc': ('AUC, 0 to 150 mm', '%', 100, 1),
    'root_error_m': ('absolute error of the pelvis', 'm', 1, 3),
    'depth_error_abs_m': ('along the ray', 'm', 1, 3),
    'depth_error_abs_percent': ('along the ray, of the distance', '%', 1, 1),
    'depth_error_m': ('along the ray with its sign (+: too far)', 'm', 1, 3),
    'across_error_m': ('across the ray', 'm', 1, 3),
    'pck_2d': ('2D PCK at 0.2 torsos', '%', 100, 1),
    'error_2d_px': ('2D error', 'px', 1, 1),
    'swapped': ('left and right exchanged', '%', 100, 1),
}
SHOWN = ('mpjpe_mm', 'pa_mpjpe_mm', 'mve_mm', 'pck_3d', 'depth_error_abs_percent')  # in breakdowns
_SHARES = ((0, 0.01, 'none'), (0.01, 0.1, 'up to 10 %'), (0.1, 0.3, '10 to 30 %'), (0.3, 1.01, 'over 30 %'))
_METRES = ((0, 2, 'under 2 m'), (2, 3, '2 to 3 m'), (3, 4.5, '3 to 4.5 m'), (4.5, 6.5, '4.5 to 6.5 m'))
# What people are told apart by: (title, quantity of a row, bins from, below, label)
BREAKDOWNS = {
    'people': ('People in the scene', lambda row: row['people'], [(n, n + 1, str(n)) for n in range(1, 7)]),
    'company': ('Company', lambda row: _company(row), None),
    'hidden': ('Share of the silhouette that is not seen', lambda row: 1 - row['visibility'], _SHARES),
    'overlap': ('Share of the silhouette behind other people', lambda row: row['overlap'], _SHARES),
    'truncation': ('Share of the silhouette outside the image', lambda row: row['truncation'], _SHARES),
    'distance': ('Distance', lambda row: row['distance_m'], (*_METRES, (6.5, np.inf, 'over 6.5 m'))),
}
_COMPANIES = ('alone in the scene', 'apart from the others', 'in a group, not touching', 'touching somebody')


@dataclass
class Bin:
    """People who have something in common."""

    label: str
    count: int  # who must be found
    found: int
    recall: Estimate
    figures: dict  # name -> Estimate, over those who were found


def _company(row):
    if row['people'] == 1:
        return _COMPANIES[0]
    return _COMPANIES[3 if row['touching'] else 2 if row['group'] > 1 else 1]


def completed(row):
    """A row with the sizes of its signed errors."""
    return row | {'depth_error_abs_' + unit: abs(row['depth_error_' + unit]) for unit in ('m', 'percent')}


class Summary:
    """Figures over the scenes measured. rows: of all scenes; false_positives: one number a scene, in their order."""

    def __init__(self, rows, names, false_positives):
        self.places = {name: place for place, name in enumerate(names)}
        self.rows = [completed(row) for row in rows if row['counted']]
        self.false_positives = np.asarray(false_positives, float)
        self.bootstrap = Bootstrap(len(names))
        self.all = self.bin('all', self.rows)

    def bin(self, label, rows) -> Bin:
        """Figures of some rows."""
        scenes = [self.places[row['scene']] for row in rows]
        found = sum(row['found'] for row in rows)
        recall = self.bootstrap.mean([row['found'] for row in rows], scenes)
        figures = {name: self.bootstrap.mean([row[name] for row in rows], scenes) for name in FIGURES}
        return Bin(label, len(rows), found, recall, figures)

    def detection(self):
        """Recall, precision and F1 -> dict of Estimates."""
        scenes = [self.places[row['scene']] for row in self.rows]
        found = [row['found'] for row in self.rows]
        hits = np.bincount(scenes, found, minlength=self.bootstrap.samples)
        people = np.bincount(scenes, minlength=self.bootstrap.samples)
        ratio = self.bootstrap.ratio
        return {
            'recall': ratio(hits, people),
            'precision': ratio(hits, hits + self.false_positives),
            'f1': ratio(2 * hits, people + hits + self.false_positives),
        }

    def breakdown(self, name) -> list[Bin]:
        """Bins of one of BREAKDOWNS, without those that nobody is in."""
        _, quantity, limits = BREAKDOWNS[name]
        if limits is None:
            groups = [(label, [row for row in self.rows if quantity(row) == label]) for label in _COMPANIES]
        else:
            groups = [(label, [r for r in self.rows if low <= quantity(r) < high]) for low, high, label in limits]
        return [self.bin(label, rows) for label, rows in groups if rows]

    def as_dict(self):
        """What --json prints of this."""
        detection, figures = self.detection(), self.all.figures
        estimates = detection | figures
        result = {name: estimate.value for name, estimate in estimates.items()}
        for normalized, name in (('nmje_mm', 'mpjpe_mm'), ('nmve_mm', 'mve_mm')):
            result[normalized] = float(normalized_error_mm(figures[name].value, detection['f1'].value))
        result['pck_3d_all'] = self.pck_of_all().value
        result['intervals'] = {name: [estimate.low, estimate.high] for name, estimate in estimates.items()}
        result['by'] = {
            name: {
                one.label: {'people': one.count, 'recall': one.recall.value}
                | {figure: one.figures[figure].value for figure in SHOWN}
                for one in self.breakdown(name)
            }
            for name in BREAKDOWNS
        }
        return result

    def pck_of_all(self) -> Estimate:
        """3DPCK in which every joint of somebody who was missed is wrong."""
        values = [row['pck_3d'] if row['found'] else 0.0 for row in self.rows]
        return self.bootstrap.mean(values, [self.places[row['scene']] for row in self.rows])

    def headline(self, note) -> Table:
        """All figures with their intervals."""
        result, detection = self.as_dict(), self.detection()
        rows = [[name, _percent(detection[key])] for name, key in _DETECTION]
        rows += [
            [f'{title}, {unit}', _scaled(self.all.figures[name], name)] for name, (title, unit, *_) in FIGURES.items()
        ]
        rows += [
            ['3DPCK at 150 mm, who was missed is wrong, %', _percent(self.pck_of_all())],
            ['NMJE: MPJPE over F1, mm', f'{result["nmje_mm"]:.1f}'],
            ['NMVE: MVE over F1, mm', f'{result["nmve_mm"]:.1f}'],
        ]
        return Table('All people', ['figure', 'value (95 % interval)'], rows, note)

    def table(self, name, note='') -> Table:
        """One breakdown."""
        columns = ['', 'people', 'found', 'recall, %', 'MPJPE, mm', 'PA-MPJPE, mm', 'MVE, mm', '3DPCK, %', 'depth, %']
        rows = [
            [one.label, one.count, one.found, 100 * one.recall.value]
            + [_scaled(one.figures[figure], figure) if figure in SHOWN[:2] else _value(one, figure) for figure in SHOWN]
            for one in self.breakdown(name)
        ]
        return Table(BREAKDOWNS[name][0], columns, rows, note)


_DETECTION = (('recall, %', 'recall'), ('precision, %', 'precision'), ('F1, %', 'f1'))


def _percent(estimate):
    return Estimate(*(100 * value for value in estimate)).text(1)


def _scaled(estimate, name):
    _, _, factor, decimals = FIGURES[name]
    return Estimate(*(factor * value for value in estimate)).text(decimals)


def _value(one, name):
    return one.figures[name].value * FIGURES[name][2]
