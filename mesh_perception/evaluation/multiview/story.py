"""The report of the multi-view benchmark."""

from mesh_perception.evaluation.multiview.budget_table import budget_parts
from mesh_perception.evaluation.multiview.pictures import error_by_joint, errors_over_time, sigma_of, worst_frames
from mesh_perception.evaluation.multiview.tables import (
    detail,
    floor_table,
    mean_table,
    person_table,
    summary,
)
from mesh_perception.evaluation.plots import calibration_plot
from mesh_perception.evaluation.report import Report

_WHAT = """\
Two scenes of Pose2Sim's demonstration footage: four calibrated cameras, 60 frames/s, 100 frames, so a scene is 1.7 s \
long. Both show one man; in two_person a woman was composited into the videos. These are two people, one moment, \
one room: figures to compare models by, no figures of how well people in general are found.

Each camera is run alone, as the node runs it: every frame in turn, people followed. Its results are compared with a \
reference made from the three other cameras: 2D points of MoveNet and BlazePose, triangulated and adjusted with \
constant bone lengths and a smooth path. It is a reference, not the truth: see its own error, which is the floor.

Compared are the 12 limb joints as the reference's 2D networks define them, which the body reaches by one fixed \
combination of its joints (evaluation/multiview/joints.py). The root is the mid-hip. MPJPE is measured with the roots \
at one place, PA-MPJPE after the best similarity transform. The root's error is split into what is along the ray from \
the camera to the reference's root, and what is across. One camera cannot tell a small person nearby from a large one \
far away: where people's size is guessed wrong ('size'), so is their distance. Jitter is the mean length of second \
differences of the points, relative to the root, from frame to frame.

In each frame people are paired with the reference's by the 12 points in the image. Somebody who was not found counts \
in 'found' and in no mean. People who are not in the reference, as the third one at the back, count nowhere.

Intervals are 95 %, from a bootstrap of blocks of 0.25 s. There are seven such blocks in a scene: the intervals say \
how much an error changes within these 1.7 s, and are rather too narrow."""


def tell(results, pipeline, name, has_baseline) -> Report:
    """SceneResults of the model set `name`, run by `pipeline`, as a Report."""
    parts = [_WHAT]
    if not has_baseline:
        parts.append('This model set has no trained heads: it is its own baseline, and was run once.')
    for result in results:
        parts += [
            f'# {result.scene}',
            mean_table(result, has_baseline),
            person_table(result),
            floor_table(result),
            *budget_parts(result),
            error_by_joint(result, has_baseline),
            *_calibration(result),
            *errors_over_time(result),
            *worst_frames(result, pipeline),
        ]
    return Report(
        f'Multi-view benchmark: {name}',
        {result.scene: summary(result) for result in results},
        parts,
        [row for result in results for row in detail(result)],
    )


def _calibration(result):
    found = sigma_of(result)
    title = f'{result.scene}: how far off points are taken to be, and are (sigma)'
    return [] if found is None else [calibration_plot(title, found)]
