"""The poses worth having of motion capture clips, on a body: by split, thinned, without what the data got wrong."""

import hashlib
import math
from pathlib import Path

import torch
from torch import Tensor

from mesh_perception.body import BodyModel, skin_joints
from mesh_perception.geometry.rotations import matrix_to_axis_angle
from mesh_perception.joints import SMPL_JOINTS
from mesh_perception.synthetic.asf_amc import load_asf_amc
from mesh_perception.synthetic.motion import Clip, load_clips
from mesh_perception.synthetic.retarget import retarget
from mesh_perception.synthetic.support import LARGEST_IMBALANCE, imbalance

SPLITS = ('train', 'validation', 'test')
_RATE = 30  # frames a second that are looked at
_STEP = 0.06  # m: a frame is kept when some joint has moved this far about the pelvis since the last one kept
# A scene's people stand on its ground. Walking, running, kicking and jumping keep below these, and below
# LARGEST_IMBALANCE, nearly always.
_HIGHEST = 0.5  # m, the lowest joint over the clip's ground (y = 0): higher up people climb, hang or jump
_TILT = 70  # degrees of the pelvis from upright
# Wrists and ankles are found from few markers, and flip; a flipped ankle can last for seconds. Beyond these, and faster
# than this, nobody turns them: degrees, the rest pose's own bend (up to 35 in the wrist) included.
_REACH = {'wrist': 100, 'ankle': 65, 'hip': 135}
_FASTEST = 45  # degrees from one looked-at frame to the next, any joint
_LEAK = 0.015  # m, root mean square over the joints: nearer poses are the same
_REACHES = torch.tensor([_REACH.get(name.split('_')[-1], 180.0) for name in SMPL_JOINTS])


def split_of(name: str) -> str:
    """'train', 'validation' or 'test' of a clip, from nothing but its name.

    Names of the form train/... and test/... say it themselves, but that an eighth of the former validates. Otherwise
    the sha256 of the name's last part decides: 15 % test, 12 % validate.
    """
    parts = name.split('/')
    if parts[0] == 'test':
        return 'test'
    share = int(hashlib.sha256(parts[-1].encode()).hexdigest()[:8], 16) / 16**8
    if parts[0] == 'train':
        return 'validation' if share < 1 / 8 else 'train'
    return 'test' if share < 0.15 else 'validation' if share < 0.27 else 'train'


def read_clips(paths) -> dict:
    """Clips by name out of .npz files (`load_clips`) and folders of .asf and .amc files, searched to the bottom.

    An .amc file goes with the .asf beside it named as its name starts (02_01.amc: 02.asf), or the only one beside it.
    Raises ValueError, in one line, for a path that is neither, a folder without motion, and as the readers do.
    """
    clips = {}
    for path in [Path(path) for path in ([paths] if isinstance(paths, (str, Path)) else paths)]:
        if path.is_dir():
            motions = sorted(path.rglob('*.amc'))
            if not motions:
                raise ValueError(f'{path}: no .amc file in it, expected .asf and .amc files or an .npz of clips')
            clips |= {motion.stem: load_asf_amc(_skeleton_of(motion), motion) for motion in motions}
        else:
            clips |= load_clips(path)
    return clips


def suitable_frames(clip: Clip, rotations: Tensor, body: BodyModel) -> Tensor:
    """Which of a clip's frames (T,) bool show somebody whom the ground holds, with limbs that can be."""
    joints = shown_joints(body, rotations)
    held = clip.world()[1][..., 1].amin(1) < _HIGHEST
    held &= (imbalance(joints) < LARGEST_IMBALANCE) & (rotations[:, 0, 1, 1] > math.cos(math.radians(_TILT)))
    can_be = (_degrees(rotations)[:, 1:] < _REACHES[1:]).all(1)
    steps = (_degrees(rotations[1:] @ rotations[:-1].mT) < _FASTEST).all(1)
    can_be[1:] &= steps
    can_be[:-1] &= steps
    return held & can_be


def thin(places: Tensor, step: float = _STEP) -> Tensor:
    """Indices (K,) of the frames of places (T, J, 3) at which some joint is `step` away from the last one kept."""
    places, kept = places.numpy(), []
    for index, place in enumerate(places):
        if not kept or ((place - places[kept[-1]]) ** 2).sum(-1).max() > step**2:
            kept.append(index)
    return torch.tensor(kept, dtype=torch.int64)


def captured_rotations(paths, body: BodyModel, split: str | None = None) -> dict:
    """Rotations (K, 24, 3, 3) of the body, by clip, as `retarget` gives them: of the clips of a split (None: of all).

    Left out: frames that differ little from the one before (`thin`), that `suitable_frames` refuses, and, where a
    split is asked for, poses that are also in one that it must not know: the test clips know nothing of the others,
    validation not the test clips, training neither. (The database's files hold some motions twice.)

    Raises ValueError, in one line, for paths as `read_clips` does and where no pose is left.
    """
    if split not in (None, *SPLITS):
        raise ValueError(f'split {split!r}, expected one of {", ".join(SPLITS)} or None')
    wanted, forbidden = {}, []
    for name, clip in read_clips(paths).items():
        of = split_of(name)
        if split is None or of == split:
            wanted[name] = _poses(clip, body)
        elif SPLITS.index(of) > SPLITS.index(split):
            forbidden.append(_places(body, _poses(clip, body)))
    if forbidden:
        forbidden = torch.cat(forbidden).flatten(1)
        for name, rotations in wanted.items():
            same = torch.cdist(_places(body, rotations).flatten(1), forbidden) < _LEAK * 24**0.5
            wanted[name] = rotations[~same.any(1)]
    wanted = {name: rotations for name, rotations in wanted.items() if len(rotations)}
    if not wanted:
        raise ValueError(f'{_shown(paths)}: no usable pose in the clips{f" of split {split}" if split else ""}')
    return wanted


def _poses(clip, body):
    """A clip's poses worth having."""
    clip = clip.frames(slice(None, None, max(1, round(clip.rate / _RATE))))
    rotations = retarget(clip, body.joint_template)
    rotations = rotations[suitable_frames(clip, rotations, body)]
    return rotations[thin(_places(body, rotations))]


def _places(body, rotations):
    """Joints (T, 24, 3) m in the pelvis' frame: the pose without where and how the person stands."""
    joints = shown_joints(body, rotations)
    return (joints - joints[:, :1]) @ rotations[:, 0]


def shown_joints(body: BodyModel, rotations: Tensor) -> Tensor:
    """Joints (N, 24, 3) m of the body's mean shape."""
    count = len(rotations)
    return skin_joints(body, rotations, rotations.new_zeros(count, body.num_betas), rotations.new_zeros(count, 3))


def _degrees(rotations):
    return torch.rad2deg(matrix_to_axis_angle(rotations).norm(dim=-1))


def _skeleton_of(motion):
    named = motion.with_name(f'{motion.stem.split("_")[0]}.asf')
    beside = sorted(motion.parent.glob('*.asf'))
    if named in beside:
        return named
    if len(beside) != 1:
        raise ValueError(f'{motion}: no skeleton beside it, expected {named.name}')
    return beside[0]


def _shown(paths):
    return paths if isinstance(paths, (str, Path)) else ', '.join(map(str, paths))
