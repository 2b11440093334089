"""The report of AGORA: its Table 2, who was found, errors by occlusion, distance and joint, and the worst cases."""

from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
import torch

from mesh_perception.evaluation.agora.scoring import figures
from mesh_perception.evaluation.agora.validation import Case, Measure, Validation
from mesh_perception.evaluation.bootstrap import track_interval
from mesh_perception.evaluation.plots import around, binned_error, joint_bars, side_by_side
from mesh_perception.evaluation.published import AGORA
from mesh_perception.evaluation.report import Picture, Report, Table
from mesh_perception.visualization.overlay import Overlay

_OCCLUSIONS = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90)  # percent; the benchmark's own bins
_DISTANCES = (0, 3, 5, 8, 12, np.inf)  # m


@dataclass
class Setting:
    """What was measured with what."""

    models: str
    body: str
    boxes: str
    measure: Measure
    own_vertices: bool  # whether AGORA's choice of vertices was given


def make_report(setting: Setting, validation: Validation, pipeline) -> Report:
    """The report of what was scored."""
    everybody, kids = figures(validation.scores), figures(validation.scores, kids_only=True)
    parts = [_introduction(setting, validation, everybody)]
    published = [list(row) for row in AGORA.rows]
    measured = [_label(setting), everybody.nmve, everybody.nmje, everybody.mve, everybody.mpjpe]
    if setting.measure.is_agoras:
        note = 'Published rows: the hidden test set. Measured row: the validation set.'
        if not setting.own_vertices:
            note += ' MVE and NMVE are over all 6890 vertices; give --body-vertices for those without head and hands.'
        parts.append(
            Table('AGORA: Table 2 of the paper, and this run, mm', list(AGORA.columns), [*published, measured], note)
        )
    else:
        parts += [
            f"Not computed: MVE and NMVE need SMPL's 6890 vertices; the body {setting.body} is another.",
            Table(
                "AGORA's validation set, not the paper's protocol, mm",
                ['Method', 'NMJE', 'MPJPE'],
                [[measured[0], everybody.nmje, everybody.mpjpe]],
                f'Over the {len(setting.measure.names)} limb joints that bodies have in common: '
                'where in a limb a joint lies differs by centimetres.',
            ),
            Table(f'{AGORA.title} of the paper, for orientation: not comparable', list(AGORA.columns), published),
        ]
    parts.append(_detection(everybody, kids))
    if everybody.matched:
        occlusion = 'occlusion, %', 'occlusion_percent', _OCCLUSIONS, validation.detail
        distance = 'distance of the middle of the hips, m', 'distance_m', _DISTANCES, validation.detail
        parts += [
            _found('By occlusion', *occlusion),
            _found('By distance', *distance),
            _curve('Error by occlusion', *occlusion),
            _curve('Error by distance', *distance),
            _joints(setting, validation),
            *_worst(validation, pipeline),
        ]
    summary = {
        'split': 'validation',
        'agoras_protocol': setting.measure.is_agoras,
        'agoras_vertices': setting.own_vertices,
        'models': setting.models,
        'body': setting.body,
        'boxes': setting.boxes,
        'images': len(validation.scores),
        'all': asdict(everybody),
        'kids': asdict(kids),
    }
    return Report('AGORA, validation set', summary, parts, validation.detail)


def submission_report(path, split, images, people, models, body) -> Report:
    """What was written."""
    summary = {
        'submission': str(path),
        'split': split,
        'images': images,
        'people': people,
        'models': models,
        'body': body,
    }
    text = (
        f'{path}: {people} people in {images} {split} images, models {models}, body {body}. One pickle a person in '
        'predictions/: 2D joints in pixels of 3840x2160, SMPL parameters as rotation matrices, to be posed with the '
        'neutral SMPL.'
    )
    columns = ['split', 'images', 'people', 'file']
    return Report(
        'AGORA, submission', summary, [text, Table('Submission', columns, [[split, images, people, str(path)]])]
    )


def _label(setting):
    return f'{setting.models}, measured' + (', true boxes' if setting.boxes == 'truth' else '')


def _introduction(setting, validation, everybody):
    boxes = 'true skeletons' if setting.boxes == 'truth' else 'people that the detector found'
    return (
        f"AGORA's validation set: {len(validation.scores)} images, {everybody.people} valid people (at most 90 % "
        f'hidden). Single images, crops around {boxes}. Models {setting.models}, body {setting.body}. Errors of '
        'matched people about the middle of the hips; NMJE and NMVE are MPJPE and MVE over F1, rounded as AGORA rounds.'
    )


def _detection(everybody, kids):
    names = (
        'people',
        'matched',
        'missed',
        'false_positives',
        'precision',
        'recall',
        'f1',
        'nmve',
        'nmje',
        'mve',
        'mpjpe',
    )
    rows = [[label, *(getattr(of, name) for name in names)] for label, of in (('everybody', everybody), ('kids', kids))]
    columns = ['', 'people', 'matched', 'missed', 'false positives', 'precision', 'recall', 'F1', *AGORA.columns[1:]]
    note = "A kid's false positives are everybody's, as AGORA counts them. No kids' shapes are predicted."
    return Table('Who was found', columns, rows, note)


def _binned(edges, key, detail):
    """People who count, in bins of a quantity: (label, rows of detail), leaving out empty bins."""
    people = [row for row in detail if row['outcome'] in ('matched', 'missed')]
    for low, high in pairwise(edges):
        last = high == edges[-1]
        inside = [row for row in people if low <= row[key] and (row[key] < high or (last and row[key] == high))]
        if inside:
            yield f'{low} and more' if np.isinf(high) else f'{low} to {high}', inside


def _found(title, quantity, key, edges, detail):
    rows = []
    for label, inside in _binned(edges, key, detail):
        matched = _matched(inside)
        means = [float(np.mean([row[name] for row in matched])) if matched else None for name in ('mve_mm', 'mpjpe_mm')]
        rows.append([label, len(inside), 100 * len(matched) / len(inside), *means])
    return Table(f'{title}, mm', [quantity, 'people', 'found %', 'MVE', 'MPJPE'], rows)


def _curve(title, quantity, key, edges, detail):
    bins = [(label, _matched(inside)) for label, inside in _binned(edges, key, detail)]
    bins = [(label, matched) for label, matched in bins if matched]
    errors = [np.array([row['mpjpe_mm'] for row in matched]) for _, matched in bins]
    images = [np.unique([row['image'] for row in matched], return_inverse=True)[1] for _, matched in bins]
    intervals = [track_interval(*pair) for pair in zip(errors, images, strict=True)]
    note = 'MPJPE of matched people; intervals of 95 % from draws of whole images'
    means, counts = [e.mean() for e in errors], [len(e) for e in errors]
    return binned_error(title, quantity, [label for label, _ in bins], means, intervals, counts, note=note)


def _matched(rows):
    return [row for row in rows if row['outcome'] == 'matched']


def _joints(setting, validation):
    errors = torch.cat([score.joint_errors for score in validation.scores]).nanmean(0)
    return joint_bars('Error by joint', setting.measure.names, errors.tolist(), note='matched people, about the hips')


def _worst(validation, pipeline):
    with Overlay(pipeline.body) as overlay:
        for case in validation.worst:
            yield _picture(case, pipeline, overlay)


def _picture(case: Case, pipeline, overlay) -> Picture:
    image, camera = case.frame.load(), case.frame.camera
    drawn = overlay.draw(image, camera, case.people, pipeline.meshes(case.people))
    area = around(case.people.boxes[case.found], camera)
    return side_by_side(
        f'{case.frame.name}: {case.error:.0f} mm',
        [np.ascontiguousarray(picture[area]) for picture in (image, drawn)],
        'one of the worst; the picture and the meshes found in it',
    )
