"""The report of `evaluate synthetic`."""

import torch

from mesh_perception.evaluation.plots import calibration_plot
from mesh_perception.evaluation.report import Report
from mesh_perception.evaluation.sigma import calibrate
from mesh_perception.evaluation.synthetic.measure import LEAST_VISIBLE, LIMIT
from mesh_perception.evaluation.synthetic.pictures import (
    MISSED,
    SHOWN,
    WORST,
    case,
    contact_sheet,
    plots,
    skeletons,
)
from mesh_perception.evaluation.synthetic.summary import BREAKDOWNS, Summary
from mesh_perception.synthetic.benchmark import FINGERPRINT, VERSION
from mesh_perception.visualization.overlay import Overlay

_MATCHING = (
    f'A prediction is a person if the mean 2D distance of the joints inside the image is below {LIMIT:g} of the '
    'diagonal of the true joints; the pairing with the least total counts. Unmatched true people are misses, unmatched '
    f'predictions are false positives. People of whom less than {100 * LEAST_VISIBLE:g} % is seen need not be found: '
    'they are neither missed nor in any figure, and who finds them is not wrong.'
)
_IN_BOXES = (
    'Everybody was looked at in their true box, so nobody is missed or invented; people of whom less than '
    f'{100 * LEAST_VISIBLE:g} % is seen are left out.'
)
_NOTE = (
    'Errors are of those who were found: 24 kinematic joints (the pelvis counts, with no error) and all vertices, '
    'with the pelvis at the origin; a mean over people. 95 % intervals: bootstrap over scenes.'
)


def make_report(settings, shots, answers, measured, pipeline) -> Report:
    """All scenes' figures as a Report. settings: what was asked for, and the fingerprint; shots: Shot; answers:
    (People, match) a scene; measured: Measured a scene."""
    detail = [row for one in measured for row in one.rows]
    summary = Summary(detail, [shot.name for shot in shots], [one.false_positives for one in measured])
    counted = torch.tensor([bool(row['counted'] and row['found']) for row in detail])
    errors = torch.cat([one.joint_errors for one in measured])[counted]
    aligned = torch.cat([one.aligned_errors for one in measured])[counted]
    parts = [_introduction(settings, summary, pipeline.config), summary.headline(_NOTE)]
    parts += [summary.table(name, _note(name)) for name in BREAKDOWNS]
    if len(errors):
        parts += ['# Where the errors are', *plots(summary, errors, aligned)]
    calibration = calibrate(_sigmas(answers)[counted], errors / 1e3)
    if calibration is not None:
        parts.append(calibration_plot('How far off joints are taken to be, and are (sigma)', calibration))
    with Overlay(pipeline.body) as overlay:
        parts += ['# The worst cases', *_cases(overlay, shots, answers, measured, pipeline)]
    parts += [
        '# The scenes',
        contact_sheet(
            f'The first {min(SHOWN, len(shots))} scenes with their true joints',
            [skeletons(shot) for shot in shots[:SHOWN]],
            'Left limbs orange, right limbs light blue; bones between joints that are not seen are thin.',
        ),
    ]
    standard = settings['fingerprint'] == FINGERPRINT
    benchmark = {'version': VERSION if standard else None} | settings
    figures = {'benchmark': benchmark} | _counts(summary) | summary.as_dict()
    figures['sigma_ratio'] = None if calibration is None else calibration.ratio
    return Report('Synthetic benchmark', figures, parts, detail)


def _sigmas(answers):
    """Of all true people (N, 24) m, NaN without a match."""
    rows = []
    for people, match in answers:
        one = torch.full((len(match), 24), torch.nan)
        one[match >= 0] = people.joint_sigma[match[match >= 0]]
        rows.append(one)
    return torch.cat(rows)


def _counts(summary):
    return {
        'people': summary.all.count,
        'found': summary.all.found,
        'missed': summary.all.count - summary.all.found,
        'false_positives': int(summary.false_positives.sum()),
    }


def _introduction(settings, summary, config):
    counts = _counts(summary)
    standard = settings['fingerprint'] == FINGERPRINT
    return '\n\n'.join(
        [
            f'Models: {config.name}. {settings["scenes"]} rendered scenes, each a single image with its camera, '
            f'seed {settings["seed"]}, poses: {settings["poses"]}, body: {settings["body"]}, '
            f'boxes: {settings["boxes"]}.',
            f'Benchmark: {VERSION if standard else f"not {VERSION} as it comes"}, '
            f'fingerprint {settings["fingerprint"]}. Only figures of one fingerprint can be compared.',
            f'{counts["people"]} people to be found: {counts["found"]} found, {counts["missed"]} missed; '
            f'{counts["false_positives"]} false positives.',
            _MATCHING if settings['boxes'] == 'detector' else _IN_BOXES,
            'Synthetic people look alike, wear no loose clothes and stand in drawn places: the figures compare '
            'models with each other, not with figures on photographs.',
        ]
    )


def _note(name):
    if name == 'people':
        return 'depth: mean size of the error of the pelvis along the viewing ray, of the distance.'
    return ''


def _cases(overlay, shots, answers, measured, pipeline):
    """The people found with the largest errors, and those missed of whom most is seen."""
    rows = [(i, row) for i, one in enumerate(measured) for row in one.rows if row['counted']]
    worst = sorted((item for item in rows if item[1]['found']), key=lambda item: -item[1]['mpjpe_mm'])[:WORST]
    missed = sorted((item for item in rows if not item[1]['found']), key=lambda item: -item[1]['visibility'])[:MISSED]
    for i, row in worst + missed:
        people, match = answers[i]
        figures = (
            f'MPJPE {row["mpjpe_mm"]:.0f} mm, PA {row["pa_mpjpe_mm"]:.0f} mm, '
            f'along the ray {row["depth_error_m"]:+.2f} m'
            if row['found']
            else 'missed; right: everybody who was found'
        )
        title = f'Scene {row["scene"]}, person {row["person"]}: {figures}'
        vertices = torch.from_numpy(pipeline.meshes(people))
        picture = case(overlay, shots[i], row['person'], people, vertices, match, title)
        picture.note = (
            f'Picture, truth{", prediction" if row["found"] else ""}. {100 * row["visibility"]:.0f} % seen, '
            f'{100 * row["overlap"]:.0f} % behind others, {100 * row["truncation"]:.0f} % outside, '
            f'{row["distance_m"]:.1f} m away.'
        )
        yield picture
