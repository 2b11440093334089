"""True people in the camera's frame, as meshes of the SMPL bodies that 3DPW was made with."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from mesh_perception.body import BodyModel, load_body, rest_joints, skin
from mesh_perception.evaluation.joint_sets import require_smpl
from mesh_perception.evaluation.threedpw.protocols import Posed
from mesh_perception.evaluation.threedpw.sequences import DatasetError, Sequence
from mesh_perception.geometry.rotations import axis_angle_to_matrix

# As SMPL's site distributes them (1.0 and 1.1), and as they are renamed for smplx and most code.
_NAMES = {
    'm': ('SMPL_MALE', 'basicmodel_m_lbs_10_207_0_v1.1.0', 'basicModel_m_lbs_10_207_0_v1.0.0'),
    'f': ('SMPL_FEMALE', 'basicmodel_f_lbs_10_207_0_v1.1.0', 'basicModel_f_lbs_10_207_0_v1.0.0'),
    'neutral': ('SMPL_NEUTRAL', 'basicmodel_neutral_lbs_10_207_0_v1.1.0', 'basicModel_neutral_lbs_10_207_0_v1.0.0'),
}


def load_true_body(folder, gender: str) -> BodyModel:
    """The SMPL body of a gender ('m', 'f' or 'neutral') in a folder. Raises DatasetError or BodyFileError, one line."""
    folder = Path(folder)
    for name in _NAMES[gender]:
        for path in (folder / f'{name}.npz', folder / f'{name}.pkl'):
            if path.is_file():
                body = load_body(path)
                require_smpl(body, str(path))
                return body
    raise DatasetError(
        f'{folder}: no SMPL body of gender {gender}; expected {_NAMES[gender][0]}.pkl or .npz (or, as distributed, '
        f'{_NAMES[gender][1]}.pkl) in --smpl'
    )


@dataclass
class Track:
    """One true person over a sequence's N frames, in the camera's frame."""

    body: BodyModel
    rotations: Tensor  # (N, 24, 3, 3)
    betas: Tensor  # (1, B)
    translation: Tensor  # (N, 3)

    def posed(self, frame: int) -> Posed:
        """The person in one frame: a batch of one."""
        rotations, translation = self.rotations[frame, None], self.translation[frame, None]
        meshes = skin(self.body, rotations, self.betas, translation)
        return Posed(meshes.joints, meshes.vertices, rotations, translation)


def tracks(sequence: Sequence, bodies) -> list[Track]:
    """A sequence's people; bodies: gender -> BodyModel, or 'neutral' alone for everybody.

    SMPL turns about the pelvis, which does not rest at the origin: the camera's turn moves it, and the translation has
    to be worked out anew.
    """
    turn, place = sequence.world_to_camera[:, :3, :3], sequence.world_to_camera[:, :3, 3]
    found = []
    for person, gender in enumerate(sequence.genders):
        body = bodies.get('neutral') or bodies[gender]
        rotations = axis_angle_to_matrix(sequence.poses[person])
        rotations[:, 0] = turn @ rotations[:, 0]
        betas = sequence.betas[person, None, : body.num_betas].to(body.v_template.dtype)
        pelvis = rest_joints(body, betas)[0, 0].double()
        translation = (turn @ (pelvis + sequence.trans[person])[..., None])[..., 0] + place - pelvis
        rotations, translation = (values.to(betas.dtype) for values in (rotations, translation))
        found.append(Track(body, rotations, betas, translation))
    return found
