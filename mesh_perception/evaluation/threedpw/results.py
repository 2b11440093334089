"""The report of 3DPW: a table like the paper's Table 1, errors by joint, distance and occlusion, the worst cases."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from mesh_perception.evaluation.bootstrap import RESAMPLED, track_interval
from mesh_perception.evaluation.plots import around, binned_error, joint_bars, side_by_side
from mesh_perception.evaluation.published import THREEDPW
from mesh_perception.evaluation.report import Picture, Report, Table
from mesh_perception.evaluation.threedpw.errors import NAMES, SHARES, summarize
from mesh_perception.evaluation.threedpw.protocols import Protocol
from mesh_perception.evaluation.threedpw.scoring import Case, Scores
from mesh_perception.evaluation.threedpw.subsets import SUBSETS
from mesh_perception.visualization.marks import draw_skeletons
from mesh_perception.visualization.overlay import Overlay

_DISTANCES = (0, 3, 5, 8, np.inf)  # m
_KEYPOINTS = (0, 10, 14, 17, 19)  # of OpenPose's 18


@dataclass
class Setting:
    """What was measured on what."""

    protocol: Protocol
    splits: tuple
    subset: str | None
    boxes: str
    models: str
    body: str
    sequences: int
    smpl: bool  # whether the predicted body is SMPL

    @property
    def comparable(self) -> bool:
        """Whether the paper's Table 1 is about the same people and points."""
        return self.protocol.name in ('spin', 'romp') and self.subset is None and self.splits == ('test',)

    @property
    def where(self) -> str:
        return SUBSETS[self.subset] if self.subset else ', '.join(self.splits)


def make_report(setting: Setting, scores: Scores, pipeline) -> Report:
    """The report of what was scored."""
    matched, fair, share = summarize(scores.detail)
    parts = [_introduction(setting, scores)]
    if not setting.smpl:
        parts.append(
            'Not computed: PVE and the protocols of 14 and 24 joints. They need an SMPL body of 6890 vertices, and '
            f'{setting.body} is another.'
        )
    parts.append(_table(setting, matched, fair, share))
    if not setting.comparable:
        parts.append(
            Table(
                f'{THREEDPW.title} of the paper, for orientation: another protocol, nothing here compares with it',
                list(THREEDPW.columns),
                [list(row) for row in THREEDPW.rows],
            )
        )
    if scores.joint_errors:
        parts += _plots(setting, scores)
        parts += _worst(scores, pipeline)
    summary = {
        'protocol': setting.protocol.name,
        'of_the_field': setting.protocol.published,
        'comparable_with_table_1': setting.comparable,
        'splits': list(setting.splits),
        'subset': setting.subset,
        'boxes': setting.boxes,
        'models': setting.models,
        'body': setting.body,
        'people': len(scores.detail),
        'found': share,
        **matched,
        'with_missed': fair,
    }
    return Report(f'3DPW, {setting.where}: {setting.protocol.title}', summary, parts, scores.detail)


def _introduction(setting, scores):
    missed = sum(not row['found'] for row in scores.detail)
    boxes = 'true skeletons' if setting.boxes == 'truth' else 'people that the detector found'
    return (
        f'Protocol {setting.protocol.name} ({setting.protocol.title}), {setting.where}: {setting.sequences} sequences, '
        f'{len(scores.detail)} people in frames, {missed} of them missed. Single images, crops around {boxes}. '
        f'Models {setting.models}, body {setting.body}. mm, degrees and percent.'
    )


def _table(setting, matched, fair, share):
    """Measured figures and, where they are of the same thing, the published ones above them."""
    figures = list(matched) or ['mpjpe_mm', 'pa_mpjpe_mm']
    rows = []
    if setting.comparable:
        names = {'MPJPE': 'mpjpe_mm', 'PA-MPJPE': 'pa_mpjpe_mm', 'PVE': 'pve_mm'}
        published = [dict(zip(THREEDPW.columns, row, strict=True)) for row in THREEDPW.rows]
        columns = {figure: column for column, figure in names.items()}
        rows = [[row['Method'], *(row[columns[figure]] for figure in figures), None] for row in published]
    label, note = f'{setting.models}, measured', ''
    rows.append([label, *(matched.get(figure) for figure in figures), 100 * share])
    if setting.boxes == 'detector':
        rows.append([f'{label}, with the missed', *(fair.get(figure) for figure in figures), 100 * share])
        shares = ' and '.join(NAMES[name] for name in SHARES if name in figures)
        note = (
            'The first measured row leaves missed people out. With the missed: errors over F1 = 2 found / (1 + found), '
            'as AGORA has it; 3DPW does not tell predictions too many'
            + (f'; {shares} with 0 for a missed person.' if shares else '.')
        )
    columns = ['Method', *(NAMES[figure] for figure in figures), 'found %']
    return Table(f'3DPW, {setting.where}, {setting.protocol.title}', columns, rows, note)


def _plots(setting, scores):
    joints = torch.stack(scores.joint_errors).nanmean(0).tolist()
    yield joint_bars('Error by joint', setting.protocol.joints, joints, note='found people, about the root')
    found = [row for row in scores.detail if row['found']]
    errors = np.array([row['mpjpe_mm'] for row in found])
    tracks = np.unique([f'{row["sequence"]} {row["person"]}' for row in found], return_inverse=True)[1]
    note = f'MPJPE of found people; intervals of 95 % from {RESAMPLED} draws of whole tracks'
    for title, quantity, key, edges, whole in (
        ('Error by distance', 'distance of the pelvis, m', 'distance_m', _DISTANCES, 0),
        ('Error by occlusion', "OpenPose's keypoints that were seen, of 18", 'keypoints_seen', _KEYPOINTS, 1),
    ):
        values = np.array([row[key] for row in found])
        bins = [(low, high, (values >= low) & (values < high)) for low, high in pairwise(edges)]
        bins = [each for each in bins if each[2].any()]
        labels = [f'{low} and more' if np.isinf(high) else f'{low} to {high - whole}' for low, high, _ in bins]
        means = [errors[inside].mean() for *_, inside in bins]
        intervals = [track_interval(errors[inside], tracks[inside]) for *_, inside in bins]
        yield binned_error(title, quantity, labels, means, intervals, [int(i.sum()) for *_, i in bins], note=note)


def _worst(scores, pipeline):
    with Overlay(pipeline.body) as overlay:
        for case in sorted(scores.worst, reverse=True):
            yield _picture(case, pipeline, overlay)


def _picture(case: Case, pipeline, overlay) -> Picture:
    look = case.look
    image, camera = look.frame.load(), look.frame.camera
    drawn = overlay.draw(image, camera, case.people, pipeline.meshes(case.people))
    truth = image.copy()
    draw_skeletons(truth, look.joints_2d[case.person, None].numpy(), np.ones((1, 24)), [int(look.persons[case.person])])
    area = around(look.frame.boxes[case.person], camera)
    return side_by_side(
        f'{look.frame.name}, person {int(look.persons[case.person])}: {case.error:.0f} mm',
        [np.ascontiguousarray(picture[area]) for picture in (truth, drawn)],
        'one of the worst: the true joints, and the meshes that were found',
    )
