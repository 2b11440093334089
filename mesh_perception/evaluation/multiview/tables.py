"""The benchmark's tables of figures, its JSON and its rows of detail."""

import math

from mesh_perception.evaluation.multiview import footage
from mesh_perception.evaluation.multiview.bootstrap import SECONDS
from mesh_perception.evaluation.multiview.budget import budget
from mesh_perception.evaluation.multiview.figures import PER_FRAME, intervals, means
from mesh_perception.evaluation.multiview.pictures import sigma_of
from mesh_perception.evaluation.report import Table

BLOCK = round(SECONDS * footage.RATE)  # frames
SUMMARY = ('mpjpe_mm', 'pa_mpjpe_mm', 'depth_error_m', 'jitter_mm', 'found')
_FIGURES = {  # name of figures.means -> what a table calls it
    'mpjpe_mm': 'MPJPE, mm',
    'pa_mpjpe_mm': 'PA-MPJPE, mm',
    'depth_error_m': 'root along the ray, m',
    'depth_error_percent': 'root along the ray, %',
    'depth_bias_m': 'the same with its sign, m',
    'size': "size: arms and legs over the reference's",
    'across_error_m': 'root across the ray, m',
    'across_error_percent': 'root across the ray, %',
    'jitter_mm': 'jitter, mm',
    'reference_jitter_mm': "the reference's jitter, mm",
    'root_jitter_mm': "the root's jitter, mm",
    'found': 'found, share of frames',
}


def summary(result) -> dict:
    """A SceneResult as JSON: means over all frames of all cameras and people, and the same of the baseline."""
    mean = means(result.figures)
    people = {person: means(_of(result, person=person)) for person in _people(result)}
    sequences = {f'{pair.camera_name} {pair.person}': means([of]) for pair, of in _each(result)}
    return {
        **{name: mean[name] for name in SUMMARY},
        'baseline': {name: means(result.baseline)[name] for name in SUMMARY},
        'intervals': intervals(result.figures, _block(result)),
        **{name: value for name, value in mean.items() if name not in SUMMARY},
        'people': people,
        'cameras': sequences,
        'sigma_ratio': None if (sigma := sigma_of(result)) is None else sigma.ratio,
        'floor': {'mean': _floor(result)} | _floors(result),
        'budget': [{'line': row['line'].name.strip()} | _without(row, 'line') for row in budget(result.pairs)],
    }


def person_table(result) -> Table:
    """A row a camera and person."""
    rows = []
    for pair, of in _each(result):
        mean, span = means([of]), intervals([of], _block(result))
        rows.append(
            [
                pair.camera_name,
                pair.person,
                f'{int(pair.found.sum())} of {int(pair.counts.sum())}',
                mean['id_switches'],
                with_interval(mean, span, 'mpjpe_mm', 0),
                with_interval(mean, span, 'pa_mpjpe_mm', 0),
                with_interval(mean, span, 'depth_error_m', 2),
                with_interval(mean, span, 'depth_bias_m', 2),
                _rounded(mean['depth_error_percent'], 1),
                _rounded(mean['size'], 2),
                _rounded(mean['across_error_m'], 3),
                _rounded(mean['across_error_percent'], 1),
                _rounded(mean['jitter_mm'], 1),
                _rounded(mean['reference_jitter_mm'], 1),
                _rounded(mean['root_jitter_mm'], 1),
            ]
        )
    columns = ['camera', 'person', 'frames found', 'id switches', 'MPJPE, mm', 'PA-MPJPE, mm', 'along the ray, m']
    columns += ['signed, m', 'along, %', 'size', 'across, m', 'across, %', 'jitter, mm', "reference's", "root's"]
    return Table(f'{result.scene}: every camera and person', columns, rows)


def mean_table(result, has_baseline) -> Table:
    """A row a figure: all people, each person, and the baseline, with intervals."""
    groups = {'all': result.figures}
    if len(_people(result)) > 1:
        groups |= {person: _of(result, person=person) for person in _people(result)}
    if has_baseline:
        groups['all, without trained heads'] = result.baseline
    columns = {name: (means(of), intervals(of, _block(result))) for name, of in groups.items()}
    rows = [
        [label, *(with_interval(*column, name, 0 if name.endswith('mpjpe_mm') else 2) for column in columns.values())]
        for name, label in _FIGURES.items()
    ]
    rows.append(['id switches', *(str(mean['id_switches']) for mean, _ in columns.values())])
    return Table(f'{result.scene}: means over cameras', ['', *columns], rows)


def floor_table(result) -> Table:
    """What the reference itself is worth, a row a camera and person."""
    rows = []
    for camera, reference in result.references.items():
        for index, person in enumerate(reference.people):
            own = result.floor[camera][person]
            rows.append(
                [
                    camera,
                    person,
                    ', '.join(reference.used_views),
                    float(reference.reprojection_px[index]),
                    float(reference.beside_px[index].norm()),
                    *(own[name] for name in ('mpjpe_mm', 'pa_mpjpe_mm', 'root_mm')),
                ]
            )
    return Table(
        f'{result.scene}: the reference itself, which is the floor',
        [
            'for camera',
            'person',
            'made from',
            'reprojection, px',
            'beside, px',
            'MPJPE, mm',
            'PA-MPJPE, mm',
            'root, mm',
        ],
        rows,
        'Reprojection: median distance between the reference and the 2D points that it was made from. Beside: how far '
        'the held-out camera shows the person beside the reference, which is the calibration for the most part; no '
        'method can know it, and it counts as an error across the ray. The errors in mm: how far the reference moves '
        'if yet another of its views is held out, mean over the three. Smaller differences between models mean '
        'nothing.',
    )


def detail(result) -> list[dict]:
    """A row a camera, person and frame."""
    rows = []
    for pair, of in _each(result):
        columns = {name: values(of).tolist() for name, values in PER_FRAME.items()}
        for frame, track in enumerate(pair.track_ids.tolist()):
            row = {'scene': result.scene, 'camera': pair.camera_name, 'person': pair.person, 'frame': frame}
            rows.append(row | {'track_id': track} | {name: values[frame] for name, values in columns.items()})
    return rows


def with_interval(mean, span, name, decimals) -> str | None:
    """'62.1 (58.0 to 66.3)'; an empty cell where there is nothing."""
    if math.isnan(mean[name]):
        return None
    low, high = span[name]
    return f'{mean[name]:.{decimals}f} ({low:.{decimals}f} to {high:.{decimals}f})'


def _rounded(value, decimals):
    """As text, so that a column's cells share their decimals; None for NaN."""
    return None if math.isnan(value) else f'{value:.{decimals}f}'


def _block(result):
    return min(BLOCK, *(len(pair.counts) for pair in result.pairs))


def _each(result):
    return zip(result.pairs, result.figures, strict=True)


def _people(result):
    return list(dict.fromkeys(pair.person for pair in result.pairs))


def _of(result, person):
    return [of for pair, of in _each(result) if pair.person == person]


def _without(row, key):
    return {name: value for name, value in row.items() if name != key}


def _floors(result):
    return {
        f'{camera} {person}': own | {'reprojection_px': float(result.references[camera].reprojection_px[index])}
        for camera, people in result.floor.items()
        for index, (person, own) in enumerate(people.items())
    }


def _floor(result):
    """Mean over cameras and people."""
    every = list(_floors(result).values())
    return {name: sum(one[name] for one in every) / len(every) for name in every[0]}
