"""The error budget as a table and in words."""

import math

import torch

from mesh_perception.evaluation.multiview.budget import FINAL, GIVEN, budget
from mesh_perception.evaluation.multiview.joints import keypoints, plain_joints
from mesh_perception.evaluation.report import Table


def budget_parts(result) -> list:
    """A SceneResult's budget: [Table, text]."""
    lines = {row['line'].name: row for row in budget(result.pairs)}
    return [_table(result.scene, lines), _words(result.scene, lines, _apart(result.pairs))]


def _table(scene, lines):
    rows = []
    for row in lines.values():
        line = row['line']
        change = row['mpjpe_mm'] - lines[line.against]['mpjpe_mm'] if line.against else math.nan
        errors = [row[name] for name in ('pa_mpjpe_mm', 'absolute_mpjpe_mm', 'depth_error_m', 'jitter_mm')]
        rows.append([line.name, row['mpjpe_mm'], change, *errors, line.says])
    columns = ['', 'MPJPE, mm', 'change, mm', 'PA-MPJPE, mm', 'absolute, mm', 'depth error, m', 'jitter, mm']
    columns.append('what it says')
    note = (
        f"Change: '{FINAL}' with something, and '{GIVEN}', against '{FINAL}'; '{GIVEN}' with something against "
        f"'{GIVEN}'. What lowers the error much is worth improving."
    )
    return Table(f'{scene}: where the error comes from', columns, rows, note)


def _apart(pairs):
    """Mean distance between keypoints and plain joints of the bodies, mm."""
    joints = torch.cat([pair.joints[pair.found] for pair in pairs])
    return 1e3 * float((keypoints(joints) - plain_joints(joints)).norm(dim=-1).mean())


def _words(scene, lines, apart):
    error = {name: row['mpjpe_mm'] for name, row in lines.items()}
    depth = {name: row['depth_error_m'] for name, row in lines.items()}
    absolute = lines[FINAL]['absolute_mpjpe_mm']
    of_place = absolute - lines[f"{FINAL} with the reference's root"]['absolute_mpjpe_mm']
    exact_2d, exact_3d = f"{GIVEN} with the reference's 2D", f"{GIVEN} with the reference's relative 3D"
    bones = f"{FINAL} with the reference's bone lengths"
    return (
        f'In {scene} the body is off by {error[FINAL]:.0f} mm about its root. The skeleton that it is posed to is off '
        f'by {error[GIVEN]:.0f} mm: inverse kinematics, the body and smoothing change that by '
        f'{error[FINAL] - error[GIVEN]:+.0f} mm. That skeleton is off by {error[exact_2d]:.0f} mm if its 2D points are '
        f'exact, by {error[exact_3d]:.0f} mm if its relative 3D is: '
        f'{"2D" if error[exact_2d] < error[exact_3d] else "3D"} is the larger part of the two. The landmark network '
        f'alone, not drawn onto the rays of the 2D points, is off by {error[f"{GIVEN} before 2D is enforced"]:.0f} mm. '
        f'Right bone lengths would leave {error[bones]:.0f} mm, and a depth error of {depth[bones]:.2f} m instead of '
        f'{depth[FINAL]:.2f} m; exact relative 3D one of {depth[exact_3d]:.2f} m, exact 2D one of '
        f'{depth[exact_2d]:.2f} m. Nothing aligned, points are off by {absolute:.0f} mm, {of_place:.0f} mm of which '
        f'come from the place of the root. Its keypoints lie {apart:.0f} mm from its plain joints in the mean; by '
        f'these it would be off by {error[f"{FINAL}: its plain joints"]:.0f} mm.'
    )
