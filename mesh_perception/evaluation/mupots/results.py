"""The report of MuPoTS-3D: its Table 3, the cameras, errors by joint, distance and what is hidden, the worst cases."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from mesh_perception.evaluation.bootstrap import Bootstrap
from mesh_perception.evaluation.metrics import pck
from mesh_perception.evaluation.mupots.joints import COUNTED_NAMES, JOINTS, PARENTS
from mesh_perception.evaluation.mupots.scoring import CORRECT, FIGURES, Case, Scores, average, figures
from mesh_perception.evaluation.mupots.sequences import SEQUENCES
from mesh_perception.evaluation.plots import around, binned_error, joint_bars, side_by_side
from mesh_perception.evaluation.published import MUPOTS_ALL, MUPOTS_MATCHED
from mesh_perception.evaluation.report import Picture, Report, Table
from mesh_perception.visualization.marks import draw_skeletons
from mesh_perception.visualization.overlay import Overlay

_DISTANCES = (0, 3, 4, 5, 6, np.inf)  # m
_HIDDEN = (0, 1, 3, 6, 15)  # of the 14 joints


@dataclass
class Setting:
    """What was measured with what."""

    models: str
    body: str
    smpl: bool  # whether the predicted body is SMPL
    boxes: str
    mapping: str
    cameras: dict  # sequence -> (Camera, median px between the annotation's 2D and its projected 3D)
    cameras_given: bool

    @property
    def complete(self) -> bool:
        return set(self.cameras) == set(SEQUENCES)


def make_report(setting: Setting, scores: Scores, pipeline) -> Report:
    """The report of what was measured."""
    everybody, matched = figures(scores, matched_only=False), figures(scores, matched_only=True)
    parts = [
        _introduction(setting, scores),
        *_table_3(setting, MUPOTS_ALL, everybody['pck']),
        *_table_3(setting, MUPOTS_MATCHED, matched['pck']),
        _averages(setting, everybody, matched, scores),
        _cameras(setting),
        _joints(scores),
        *_curves(scores),
        *_worst(scores, pipeline),
    ]
    summary = {
        'papers_protocol': setting.smpl,
        'models': setting.models,
        'body': setting.body,
        'joints': setting.mapping,
        'boxes': setting.boxes,
        'sequences': len(setting.cameras),
        'images': len({(row['sequence'], row['frame']) for row in scores.detail}),
        'people': len(scores.detail),
        'matched': sum(scores.matched) / len(scores.matched),
        **{
            f'{kind}_{name}': average(values[name])
            for kind, values in (('all', everybody), ('matched', matched))
            for name in FIGURES
        },
        'by_sequence': {
            f'TS{number}': {'all': value, 'matched': matched['pck'][number]}
            for number, value in everybody['pck'].items()
        },
    }
    return Report('MuPoTS-3D', summary, parts, scores.detail)


def _introduction(setting, scores):
    boxes = 'true joints' if setting.boxes == 'truth' else 'people that the detector found'
    missed = len(scores.matched) - sum(scores.matched)
    return (
        f'{len(setting.cameras)} of 20 sequences, {len(scores.detail)} valid people in images, {missed} of them missed '
        f'(no joint within 40 px). Single images, crops around {boxes}. Models {setting.models}, body {setting.body}. '
        f'17 joints: {setting.mapping}; the paper does not say how it comes to them. Universal skeletons, bones '
        'rescaled to theirs; 3DPCK at 150 mm over 14 joints about the pelvis, in percent; the average is the mean over '
        'sequences.'
    )


def _table_3(setting, published, by_sequence):
    label = f'{setting.models}, measured' + (', people detected' if setting.boxes == 'detector' else '')
    mean = average(by_sequence) if setting.complete else None
    measured = [label, *(by_sequence.get(number) for number in SEQUENCES), mean]
    columns, rows = list(published.columns), [list(row) for row in published.rows]
    note = '' if setting.complete else 'Not all sequences were measured: no average.'
    if setting.smpl:
        return [Table(f'{published.title}, and this run', columns, [*rows, measured], note)]
    title = published.title.removeprefix('Table 3: ')
    note = f'{setting.body} is not SMPL: where in a limb a joint lies differs by centimetres. {note}'.rstrip()
    return [
        Table(f"{title}, not the paper's protocol", columns, [measured], note),
        Table(f'{published.title}, of the paper, for orientation: not comparable', columns, rows),
    ]


def _averages(setting, everybody, matched, scores):
    rows = [
        [kind, *(average(values[name]) for name in FIGURES)]
        for kind, values in (('all', everybody), ('matched', matched))
    ]
    note = (
        'AUC from 0 to 150 mm. PCK_abs with the pelvis where it was found, at 150 mm too. Visible and hidden joints '
        f"are occlusion.mat's. {100 * sum(scores.matched) / len(scores.matched):.1f} % of the true people were matched."
    )
    columns = ['true people', '3DPCK', 'AUC', 'PCK_abs', '3DPCK, visible joints', '3DPCK, hidden joints']
    return Table(f'Means over {len(setting.cameras)} sequences, %', columns, rows, note)


def _cameras(setting):
    rows = []
    for number, (camera, error) in setting.cameras.items():
        (fx, _, cx), (_, fy, cy), _ = camera.k.tolist()
        rows.append([f'TS{number}', f'{camera.width}x{camera.height}', fx, fy, cx, cy, error])
    how = 'from the file given' if setting.cameras_given else 'fitted to annot2 and annot3 by least squares'
    columns = ['sequence', 'pictures', 'fx', 'fy', 'cx', 'cy', 'annotation, median px']
    return Table(f'Cameras, {how}', columns, rows, 'Last: from annot2 to annot3 projected.')


def _joints(scores):
    errors, found = torch.stack(scores.errors), torch.tensor(scores.matched)
    series = {'all': 100 * pck(errors.mT, CORRECT), 'matched': 100 * pck(errors[found].mT, CORRECT)}
    return joint_bars('3DPCK by joint', COUNTED_NAMES, series, '%', note='over all people of all sequences')


def _curves(scores):
    order = {number: place for place, number in enumerate(sorted(set(scores.sequences)))}
    owners = np.array([order[number] for number in scores.sequences])
    shares = np.array([row['pck'] for row in scores.detail])
    bootstrap = Bootstrap(len(order))
    note = '3DPCK of all people; intervals of 95 % from draws of whole sequences'
    for title, quantity, key, edges, whole in (
        ('3DPCK by distance', 'distance of the pelvis, m', 'distance_m', _DISTANCES, 0),
        ('3DPCK by hidden joints', 'hidden joints, of 14', 'hidden_joints', _HIDDEN, 1),
    ):
        values = np.array([row[key] for row in scores.detail])
        bins = [(low, high, (values >= low) & (values < high)) for low, high in pairwise(edges)]
        bins = [each for each in bins if each[2].any()]
        labels = [_label(low, high, whole) for low, high, _ in bins]
        means = [bootstrap.mean(shares[inside], owners[inside]) for *_, inside in bins]
        yield binned_error(
            title,
            quantity,
            labels,
            [each.value for each in means],
            [(each.low, each.high) for each in means],
            [int(inside.sum()) for *_, inside in bins],
            unit='%',
            note=note,
        )


def _label(low, high, whole):
    if np.isinf(high):
        return f'{low} and more'
    return str(low) if high - whole == low else f'{low} to {high - whole}'


def _worst(scores, pipeline):
    with Overlay(pipeline.body) as overlay:
        for case in scores.worst:
            yield _picture(case, pipeline, overlay)


def _picture(case: Case, pipeline, overlay) -> Picture:
    look = case.look
    image, camera = look.frame.load(), look.frame.camera
    drawn = overlay.draw(image, camera, case.people, pipeline.meshes(case.people))
    joints = look.truth.joints_2d[case.person, None].numpy()
    person = look.truth.persons[case.person]
    truth = draw_skeletons(image.copy(), joints, np.ones((1, len(JOINTS))), [person], JOINTS, PARENTS)
    area = around(look.frame.boxes[case.person], camera)
    return side_by_side(
        f'{look.frame.name}, person {person}: {case.error:.0f} mm',
        [np.ascontiguousarray(picture[area]) for picture in (truth, drawn)],
        'one of the worst: the true joints, and the meshes that were found',
    )
