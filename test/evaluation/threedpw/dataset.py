"""Writes 3DPW in its true formats, and SMPL-like bodies whose every figure can be worked out by hand."""

import sys
from pathlib import Path

import cv2
import numpy as np

from mesh_perception.body import load_body
from mesh_perception.joints import SMPL_JOINTS, SMPL_PARENTS

sys.path.insert(0, str(Path(__file__).parents[2] / 'body'))
from smpl_files import python2_pickle, write_pickle

VERTICES = 6890
# The SMPL joint around which the vertices lie that each row of the regressor takes the middle of.
H36M_ROWS = (0, 1, 4, 7, 2, 5, 8, 6, 12, 15, 22, 16, 18, 20, 17, 19, 21)
K = np.array([[500.0, 0, 320], [0, 500.0, 240], [0, 0, 1]])


def hand_body(seed=0):
    """Arrays of a body of 6890 vertices: each joint in the middle of its own, which are fixed to it. No pose blend
    shapes; the first beta makes everything larger by a tenth."""
    open_joints = load_body('open').joint_template.double().numpy()
    owner = np.arange(VERTICES) // 2 % 24
    offsets = np.random.default_rng(seed).normal(0, 0.05, (VERTICES // 2, 3))
    template = open_joints[owner] + np.stack([offsets, -offsets], 1).reshape(-1, 3)
    weights = np.eye(24)[owner]
    parents = np.array(SMPL_PARENTS) % 2**32
    return {
        'v_template': template,
        'shapedirs': np.concatenate([template[:, :, None] * 0.1, np.zeros((VERTICES, 3, 9))], 2),
        'J_regressor': weights.T / weights.sum(0)[:, None],
        'weights': weights,
        'f': np.arange(VERTICES - 1)[: 3 * 100].reshape(-1, 3).astype(np.uint32),
        'kintree_table': np.stack([parents, np.arange(24)]).astype(np.uint32),
    }


def write_smpl(folder, genders=('MALE', 'FEMALE', 'NEUTRAL')):
    """SMPL_MALE.pkl and so on, and J_regressor_h36m.npy, as their sites distribute them."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, gender in enumerate(genders):
        arrays = hand_body(seed)
        write_pickle(folder / f'SMPL_{gender}.pkl', arrays)
    np.save(folder / 'J_regressor_h36m.npy', arrays['J_regressor'][list(H36M_ROWS)])
    return folder


def sequence_content(people=1, frames=2, genders='mf', betas=10, seed=0):
    """A sequence's dictionary, its people standing 4 m away from a camera at the world's origin that looks along z."""
    rng = np.random.default_rng(seed)
    rest = load_body('open').joint_template.double().numpy()
    upright = np.zeros(72)
    upright[0] = np.pi  # y up to y down
    places = [np.array([person - (people - 1) / 2, 0, 4.0]) for person in range(people)]
    joints = [np.tile(rest * (1, -1, -1) + place, (frames, 1, 1)).reshape(frames, 72) for place in places]
    keypoints = np.concatenate([rng.uniform(100, 300, (frames, 2, 18)), np.full((frames, 1, 18), 0.9)], 1)
    return {
        'sequence': 'downtown_test_00',
        'poses': [np.tile(upright, (frames, 1)) for _ in places],
        'trans': [np.tile(place, (frames, 1)) for place in places],
        'betas': [np.zeros(betas) for _ in places],
        'genders': list(genders[:people]),
        'jointPositions': joints,
        'poses2d': [keypoints.copy() for _ in places],
        'campose_valid': [np.ones(frames, np.uint8) for _ in places],
        'cam_poses': np.tile(np.eye(4), (frames, 1, 1)),
        'cam_intrinsics': K.copy(),
        'img_frame_ids': np.arange(frames) * 2,
        'texture_maps': [],
        'v_template_clothed': [np.zeros((5, 3)) for _ in places],
    }


def write_sequence(data, content, split='test', name='downtown_test_00', picture=None):
    """The sequence's file as Python 2 pickled it, and its pictures. -> the file's path."""
    path = data / 'sequenceFiles' / split / f'{name}.pkl'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(python2_pickle(content))
    images = data / 'imageFiles' / name
    images.mkdir(parents=True, exist_ok=True)
    picture = np.full((480, 640, 3), 90, np.uint8) if picture is None else picture
    for index in range(len(content['cam_poses'])):
        cv2.imwrite(str(images / f'image_{index:05d}.jpg'), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])
    return path


JOINT = {name: number for number, name in enumerate(SMPL_JOINTS)}
