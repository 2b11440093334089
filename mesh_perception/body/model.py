"""A body model as checked tensors: SMPL's arrays, from the committed open body or from a user's SMPL file."""

import hashlib
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mesh_perception.body.reader import BodyFileError, read_body_file
from mesh_perception.joints import SMPL_PARENTS
from mesh_perception.resources import data_file

OPEN_BODY = 'open_body.npz'


@dataclass(frozen=True, eq=False)
class BodyModel:
    """SMPL's arrays for one body: V vertices, F faces, B shape coefficients. Parameters of different bodies (`id`) are
    not interchangeable. The rest pose is a T-pose with x = the person's left, y up, z forward; metres.
    """

    id: str
    licence: str
    v_template: Tensor  # (V, 3)
    shapedirs: Tensor  # (V, 3, B)
    posedirs: Tensor  # (V, 3, 207), or (V, 3, 0) for a body without pose blend shapes
    joint_template: Tensor  # (24, 3) the regressor applied to v_template
    joint_shapedirs: Tensor  # (24, 3, B) the regressor applied to shapedirs
    regressor: Tensor  # (24, V)
    weights: Tensor  # (V, 24) rows sum to one
    faces: Tensor  # (F, 3) int64
    light_vertices: Tensor  # (L,) int64: the vertices that the light mesh keeps
    light_faces: Tensor  # (F', 3) int64 into light_vertices; the full mesh where a file has no light one

    @property
    def parents(self) -> tuple:
        """Each joint's parent, -1 for the pelvis."""
        return SMPL_PARENTS

    @property
    def num_betas(self) -> int:
        return self.shapedirs.shape[2]

    def to(self, device=None, dtype=None) -> 'BodyModel':
        """The same body elsewhere; dtype applies to the floating-point tensors alone."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if f.type is Tensor}
        return replace(
            self,
            **{
                name: t.to(device=device, dtype=dtype if t.is_floating_point() else None) for name, t in tensors.items()
            },
        )


def load_body(name_or_path, num_betas: int = 10, dtype=torch.float32) -> BodyModel:
    """Loads 'open', the committed open body, or an SMPL .pkl or .npz file, keeping its first `num_betas` coefficients.

    Raises BodyFileError (a ValueError), one line that names the file, for anything that is not a 24-joint SMPL body.
    """
    path = data_file(OPEN_BODY) if str(name_or_path) == 'open' else Path(name_or_path)
    arrays = read_body_file(path)
    try:
        return _body(arrays, path, num_betas, dtype)
    except BodyFileError as error:
        raise BodyFileError(f'{path}: {error}') from None


def _body(arrays, path, num_betas, dtype):
    _check_tree(arrays)
    template, faces = _array(arrays, 'v_template', (None, 3)), _array(arrays, 'f', (None, 3))
    count = len(template)
    shapedirs = _array(arrays, 'shapedirs', (count, 3, None))[:, :, :num_betas]
    regressor = _array(arrays, 'J_regressor', (24, count))
    weights = _array(arrays, 'weights', (count, 24))
    posedirs = _array(arrays, 'posedirs', (count, 3, 207)) if 'posedirs' in arrays else np.zeros((count, 3, 0))
    _check_rows('weights', weights, 1e-3)
    _check_rows('J_regressor', regressor, 1e-2)
    if (weights < -1e-6).any():
        raise BodyFileError('weights has negative entries')
    light = _array(arrays, 'faces_light', (None, 3)) if 'faces_light' in arrays else faces
    for name, triangles in (('f', faces), ('faces_light', light)):
        if (triangles != np.round(triangles)).any() or triangles.min() < 0 or triangles.max() >= count:
            raise BodyFileError(f'{name} must hold vertex numbers from 0 to {count - 1}')
    light_vertices, light_faces = np.unique(light, return_inverse=True)

    def tensor(array, dtype=dtype):
        return torch.from_numpy(np.ascontiguousarray(array)).to(dtype)

    if 'name' in arrays:  # only the open body says what it is
        name, licence = str(arrays['name']), str(arrays['licence'])
    else:
        name = f'{path.stem}-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}'
        licence = 'SMPL-family body file, under its own licence'
    return BodyModel(
        name,
        licence,
        tensor(template),
        tensor(shapedirs),
        tensor(posedirs),
        tensor(regressor @ template),
        tensor(np.einsum('jv,vcb->jcb', regressor, shapedirs)),
        tensor(regressor),
        tensor(weights),
        tensor(faces, torch.int64),
        tensor(light_vertices, torch.int64),
        tensor(light_faces.reshape(-1, 3), torch.int64),
    )


def _array(arrays, name, shape):
    """A finite float64 array of a given shape (None: any length but zero)."""
    if name not in arrays:
        raise BodyFileError(
            f'no {name} in it; an SMPL body has v_template, shapedirs, posedirs, J_regressor, weights, '
            'f and kintree_table'
        )
    array = arrays[name]
    expected = tuple('*' if n is None else n for n in shape)
    if (
        array.dtype.kind not in 'iuf'
        or array.ndim != len(shape)
        or 0 in array.shape
        or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True))
    ):
        raise BodyFileError(f'{name} is {array.dtype} {array.shape}, expected numbers {expected}'.replace("'", ''))
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise BodyFileError(f'{name} holds values that are not finite')
    return array


def _check_tree(arrays):
    tree = arrays.get('kintree_table')
    if tree is None or tree.ndim != 2 or tree.dtype.kind not in 'iuf' or len(tree) != 2:
        raise BodyFileError('no kintree_table (2, 24) in it; not an SMPL body')
    joints = tree.shape[1]
    if joints != 24:
        family = {16: 'MANO', 5: 'FLAME', 52: 'SMPL-H', 55: 'SMPL-X', 35: 'SMAL'}.get(joints, 'some other body')
        raise BodyFileError(f"it has {joints} joints ({family}), SMPL's 24 expected; the smplx package loads others")
    if not np.array_equal(tree[0, 1:].astype(np.int64), SMPL_PARENTS[1:]):
        raise BodyFileError("kintree_table is not SMPL's kinematic tree")


def _check_rows(name, array, tolerance):
    worst = np.abs(array.sum(1) - 1).max()
    if worst > tolerance:
        raise BodyFileError(f'{name}: rows must sum to 1, the worst is off by {worst:.3g}')
