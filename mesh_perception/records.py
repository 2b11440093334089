"""People as plain numbers, for JSON files."""

from mesh_perception.geometry.rotations import matrix_to_axis_angle


def people_records(people):
    """People -> a list of dicts: track_id, score, box 4, joints 24x3 m, joints_2d 24x2 px, joint_confidence 24,
    pose 72 (axis-angle, rad), betas, translation 3 m."""
    pose = matrix_to_axis_angle(people.rotations).flatten(1)
    arrays = {
        'track_id': people.track_ids,
        'score': people.scores,
        'box': people.boxes,
        'joints': people.joints,
        'joints_2d': people.joints_2d,
        'joint_confidence': people.joint_confidence,
        'pose': pose,
        'betas': people.betas,
        'translation': people.translation,
    }
    columns = {name: array.tolist() for name, array in arrays.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
