"""Writes AGORA in its true formats: pickled DataFrames with a list of people in each cell, and PNG images by name."""

import cv2
import numpy as np
import pandas

from mesh_perception.joints import SMPL_JOINTS

VERTICES = 6890
FOCAL = {'hdri': 16000 / 3, 'cam00': 1920.0, 'ag2': 8960 / 3, '': 8960 / 3}  # px of 3840: mm / 36 * 3840


def projected(points, name):
    """As the benchmark's own code: pixels of 3840 x 2160."""
    focal = next(value for part, value in FOCAL.items() if part in name)
    return points[:, :2] / points[:, 2:] * focal + (1920, 1080)


def standing(x, z=6.0, seed=0, spread=0.4):
    """45 joints of one person, m, camera frame: SMPL's 24 and 21 more."""
    return np.random.default_rng(seed).uniform(-spread, spread, (45, 3)) * (0.6, 2, 0.3) + (x, 0, z)


def row(name, people, valid=None, occlusion=None, kid=None, vertices=VERTICES, width=3840):
    """One image's row: people is a list of (45, 3) joints, or of pairs of these and (6890, 3) vertices."""
    pairs = [person if isinstance(person, tuple) else (person, np.tile(person[:1], (vertices, 1))) for person in people]
    count = len(pairs)
    return {
        'imgPath': name,
        'X': [0.0] * count,
        'camX': 12.5,
        'camYaw': 0,
        'gender': ['female'] * count,
        'kid': kid or [False] * count,
        'occlusion': occlusion or [12.5] * count,
        'isValid': valid or [True] * count,
        'gt_path_smpl': ['adults/someone.obj'] * count,
        'gt_joints_2d': [projected(joints, name) * (width / 3840) for joints, _ in pairs],
        'gt_joints_3d': [joints for joints, _ in pairs],
        'gt_verts': [verts for _, verts in pairs],
    }


def write_truth(path, rows, protocol=5):
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pandas.DataFrame({name: [row[name] for row in rows] for name in rows[0]})
    frame.to_pickle(path, protocol=protocol)
    return path


def write_image(path, width=320, height=180, image=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((height, width, 3), 90, np.uint8) if image is None else image[..., ::-1])
    return path


LEFT_HIP, RIGHT_HIP = SMPL_JOINTS.index('left_hip'), SMPL_JOINTS.index('right_hip')
