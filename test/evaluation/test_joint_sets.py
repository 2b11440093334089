"""Joint sets against the numbers that the field's code has, and regressors that are none refused by name."""

import numpy as np
import pytest
import torch

from mesh_perception.body import load_body
from mesh_perception.evaluation.joint_sets import (
    COMMON_JOINTS,
    H36M_TO_LSP,
    LSP_14,
    LSP_HIPS,
    JointSetError,
    common_joints,
    load_regressor,
    middle,
    require_smpl,
)
from mesh_perception.joints import SMPL_JOINTS


def test_the_14_joints_are_the_rows_that_spin_takes():
    assert H36M_TO_LSP == (6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10)
    assert LSP_HIPS == (2, 3) and len(LSP_14) == 14


def test_common_joints_are_taken_by_name():
    joints = torch.randn(2, 24, 3)
    taken = common_joints(joints)
    for place, name in enumerate(COMMON_JOINTS):
        assert torch.equal(taken[:, place], joints[:, SMPL_JOINTS.index(name)])
    assert torch.equal(middle(taken, (0, 1)), (taken[:, 0] + taken[:, 1]) / 2)
    assert common_joints(joints[:0]).shape == (0, 12, 3)


def test_a_body_without_smpls_vertices_is_refused_by_name():
    with pytest.raises(JointSetError, match=r"^PVE: needs SMPL's 6890 vertices, and the body anny-open-1 has 13718; "):
        require_smpl(load_body('open'), 'PVE')


def test_a_regressor_is_read_and_regresses(tmp_path):
    rows = np.zeros((17, 6890))
    rows[np.arange(17), np.arange(17) * 3] = 1
    np.save(tmp_path / 'J.npy', rows)
    vertices = torch.randn(2, 6890, 3)
    assert torch.equal(load_regressor(tmp_path / 'J.npy', 17) @ vertices, vertices[:, :51:3])


def _array(path, array, **options):
    np.save(path, array, **options)


@pytest.mark.parametrize(
    'write, says',
    [
        (lambda path: None, 'No such file or directory'),
        (lambda path: path.write_bytes(b'\x80\x02}q\x00.'), 'not a readable .npy file'),
        (lambda path: _array(path, np.array([{}], object), allow_pickle=True), 'not a readable .npy file'),
        (lambda path: _array(path, np.zeros((9, 6890))), r'an array \(9, 6890\)'),
        (lambda path: _array(path, np.zeros((17, 6890))), 'rows that sum to 0 to 0'),
        (lambda path: _array(path, np.full((17, 6890), np.nan)), 'rows that sum to nan'),
        (lambda path: _array(path, np.full((17, 6890), 'x')), 'no array of numbers'),
    ],
)
def test_what_is_no_regressor_is_named_with_what_was_expected(tmp_path, write, says):
    path = tmp_path / 'J_regressor_h36m.npy'
    write(path)
    with pytest.raises(JointSetError, match=rf'^{path}: .*{says}.*expected an array \(17, 6890\)') as error:
        load_regressor(path, 17)
    assert '\n' not in str(error.value)
