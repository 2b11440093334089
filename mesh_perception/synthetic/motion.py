"""Motion capture clips of the CMU Graphics Lab Motion Capture Database, in one form whatever file they come from.

The data are the user's own: none of it is in this package. Model cards of what is trained on it should say (SOURCE):
"The data used in this project was obtained from mocap.cs.cmu.edu. The database was created with funding from NSF
EIA-0196217."
"""

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mesh_perception.geometry.rotations import axis_angle_to_matrix

SOURCE = (
    'The data used in this project was obtained from mocap.cs.cmu.edu. '
    'The database was created with funding from NSF EIA-0196217.'
)
LARGEST_FILE = 1 << 30  # bytes that a file unpacks to
MOST_JOINTS = 200
_LOOSE = 0.01  # m: positions farther than this from what the rotations say belong to another skeleton

# The 38-joint form's names of the joints where CMU's bones start.
_BODY = {
    'hips': 'root',
    'spine_base': 'lowerback',
    'spine_mid': 'upperback',
    'thorax': 'thorax',
    'neck_base': 'lowerneck',
    'neck_low': 'upperneck',
    'neck_high': 'head',
    'head_top': 'head_end',
}
_SIDE = {
    'hip_base': 'hipjoint',
    'hip': 'femur',
    'knee': 'tibia',
    'ankle': 'foot',
    'toe': 'toes',
    'toe_end': 'toes_end',
    'collar_base': 'clavicle',
    'shoulder': 'humerus',
    'elbow': 'radius',
    'wrist': 'wrist',
    'hand_base': 'hand',
    'fingers': 'fingers',
    'fingers_end': 'fingers_end',
    'thumb': 'thumb',
    'thumb_end': 'thumb_end',
}
_STRAIGHT = tuple(f'{side}_{joint}' for side in 'lr' for joint in ('knee', 'ankle', 'elbow', 'wrist'))
_CMU_NAMES = _BODY | {f'{side}_{ours}': side + cmu for side in 'lr' for ours, cmu in _SIDE.items()}


@dataclass(frozen=True)
class Clip:
    """One person moving. y is up, metres.

    A joint lies where CMU's bone of its name starts, and its rotation turns this bone ('lfemur': the left hip); the
    last bones' ends are joints called NAME_end. The first joint is the root; parents come before their children.
    """

    names: tuple  # (J,) of str
    parents: tuple  # (J,) of int, -1 for the root
    offsets: Tensor  # (J, 3) from the parent's joint, in the parent's frame; the root's is not used
    rotations: Tensor  # (T, J, 3, 3) relative to the parent
    root: Tensor  # (T, 3) the root joint's places
    rate: float  # frames a second

    def __len__(self):
        return len(self.rotations)

    def frames(self, which) -> 'Clip':
        """The frames of a slice or of indices (K,)."""
        return replace(self, rotations=self.rotations[which], root=self.root[which])

    def world(self) -> tuple[Tensor, Tensor]:
        """Forward kinematics: global rotations (T, J, 3, 3) and the joints' places (T, J, 3)."""
        turns, places = [self.rotations[:, 0]], [self.root]
        for joint, parent in enumerate(self.parents[1:], 1):
            turns.append(turns[parent] @ self.rotations[:, joint])
            places.append(places[parent] + turns[parent] @ self.offsets[joint])
        return torch.stack(turns, 1), torch.stack(places, 1)

    def rest(self) -> Tensor:
        """The joints' places (J, 3) in the rest pose, the root at the origin."""
        places = [torch.zeros_like(self.offsets[0])]
        for joint, parent in enumerate(self.parents[1:], 1):
            places.append(places[parent] + self.offsets[joint])
        return torch.stack(places)


def clip_of_bones(names, parents, bones, rotations, root, rate) -> Clip:
    """A clip from bones (J, 3), given from start to end in their own frames at rest, instead of joints.

    names, parents, rotations (T, J, 3, 3) and root as in Clip, of bones; bone 0, the root, has no length. Adds the
    ends of those that no other bone continues.
    """
    last = [j for j in range(len(names)) if j not in parents]
    ends = torch.eye(3, dtype=rotations.dtype).expand(len(rotations), len(last), 3, 3)
    starts = torch.stack([torch.zeros_like(bones[0]), *(bones[p] for p in parents[1:]), *(bones[j] for j in last)])
    return Clip(
        (*names, *(f'{names[j]}_end' for j in last)),
        (*parents, *last),
        starts,
        torch.cat((rotations, ends), 1),
        root,
        rate,
    )


def load_clips(path, prefix: str = '') -> dict:
    """Clips by name, those whose names start with `prefix`, from an .npz of one of two forms.

    Joints: `joint_names (J,)` in the 38-joint form's names, `parents (J,)`, `offsets_m (J, 3)`, `fps`, and for each
    clip `clip/NAME/root_m (T, 3)` and `clip/NAME/local_rotvec (T, J, 3)`. Bones: `subject/SS/joint_names (J,)` in CMU's
    names, `subject/SS/parents`, `fps`, and for each clip `clip/SS_NN/positions_m (T, J, 3)`, where the bones end, and
    `clip/SS_NN/local_rotvec (T, J, 3)`; the bones' lengths are measured. Rotation vectors in radians. A T-pose as the
    first frame of the first form, which converters put there, is left out.

    Raises ValueError, in one line that names the file, for a file that is missing, damaged, too large or neither.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f'{path}: no such file, expected an .npz of motion clips')
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(item.file_size for item in archive.infolist())
        if size > LARGEST_FILE:
            raise _Refused(f'unpacks to {size} bytes, expected at most {LARGEST_FILE}')
        with np.load(path, allow_pickle=False) as data:
            names = [key[5:-13] for key in data.files if key.startswith('clip/') and key.endswith('/local_rotvec')]
            if not names:
                raise _Refused('no clip/NAME/local_rotvec in it, expected an .npz of motion clips')
            read = _joints if 'joint_names' in data.files else _bones
            return {name: read(data, name) for name in names if name.startswith(prefix)}
    except _Refused as error:
        raise ValueError(f'{path}: {error}') from None
    except Exception as error:  # a damaged archive raises nearly anything
        raise ValueError(f'{path}: a damaged .npz ({" ".join(str(error).split())[:100]})') from None


class _Refused(Exception):
    pass


def _joints(data, name) -> Clip:
    names, parents = _skeleton(data, '')
    unknown = [joint for joint in names if joint not in _CMU_NAMES]
    if unknown:
        raise _Refused(f'joint_names: unknown joint {unknown[0]!r:.40}')
    vectors = _numbers(data, f'clip/{name}/local_rotvec', (None, len(names), 3))
    root = _numbers(data, f'clip/{name}/root_m', (len(vectors), 3))
    # Converters put a T-pose before the first frame: no living arm or leg is straight to the last digit.
    limbs = [names.index(joint) for joint in _STRAIGHT if joint in names]
    start = int(len(limbs) == len(_STRAIGHT) and len(vectors) > 1 and not vectors[0, limbs].any())
    return Clip(
        tuple(_CMU_NAMES[joint] for joint in names),
        parents,
        _numbers(data, 'offsets_m', (len(names), 3)),
        axis_angle_to_matrix(vectors[start:]),
        root[start:],
        _rate(data),
    )


def _bones(data, name) -> Clip:
    names, parents = _skeleton(data, f'subject/{name.split("_")[0]}/')
    rotations = axis_angle_to_matrix(_numbers(data, f'clip/{name}/local_rotvec', (None, len(names), 3)))
    ends = _numbers(data, f'clip/{name}/positions_m', (len(rotations), len(names), 3))
    turns, _ = Clip(names, parents, torch.zeros(len(names), 3), rotations, ends[:, 0], 0).world()
    seen = (turns.mT @ (ends - ends[:, [max(p, 0) for p in parents]])[..., None])[..., 0]
    bones = seen.median(0).values
    off = (seen - bones).norm(dim=-1).max()
    if off > _LOOSE:
        raise _Refused(f'clip/{name}: positions and rotations do not belong together, {1e3 * off:.0f} mm apart')
    return clip_of_bones(names, parents, bones, rotations, ends[:, 0], _rate(data))


def _skeleton(data, where) -> tuple[tuple, tuple]:
    names = _member(data, f'{where}joint_names')
    if names.dtype.kind != 'U' or names.ndim != 1 or not 1 <= len(names) <= MOST_JOINTS:
        raise _Refused(f'{where}joint_names: expected 1 to {MOST_JOINTS} names')
    parents = _member(data, f'{where}parents')
    if parents.shape != names.shape or parents.dtype.kind not in 'iu':
        raise _Refused(f'{where}parents: expected {len(names)} integers')
    parents = tuple(parents.tolist())
    if parents[0] != -1 or any(not 0 <= parent < joint for joint, parent in enumerate(parents) if joint):
        raise _Refused(f'{where}parents: expected the root (-1) first, and parents before their children')
    return tuple(names.tolist()), parents


def _rate(data) -> float:
    rate = float(_numbers(data, 'fps', ()))
    if not 0 < rate < 1e4:
        raise _Refused(f'fps: {rate}, expected frames a second')
    return rate


def _numbers(data, key, shape) -> Tensor:
    """float32 of a shape (None: any length but 0), finite."""
    array = _member(data, key)
    fits = array.ndim == len(shape) and all(
        n == m or (m is None and n) for n, m in zip(array.shape, shape, strict=True)
    )
    if not fits or array.dtype.kind not in 'fiu':
        wanted = ', '.join('T' if n is None else str(n) for n in shape)
        raise _Refused(f'{key}: {array.dtype} of shape {array.shape}, expected numbers of shape ({wanted})')
    if not np.isfinite(array).all():
        raise _Refused(f'{key}: numbers that are not finite')
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))


def _member(data, key) -> np.ndarray:
    if key not in data.files:
        raise _Refused(f'no {key} in it')
    return data[key]
