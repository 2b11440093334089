"""How far a skeleton's limbs lie from the keypoints that a detector saw."""

from torch import Tensor

from mesh_perception.joints import COCO_LIMBS, SMPL_LIMBS

SEEN = 0.25  # score from which a keypoint counts


def limb_distance(joints: Tensor, keypoints: Tensor) -> tuple[Tensor, Tensor]:
    """Mean distance in px of joints (..., 24, 2) from COCO keypoints (..., 17, 3), and how many were seen: both (...,).

    The leading dimensions broadcast. The distance is 0 where no keypoint was seen.
    """
    seen = (keypoints[..., COCO_LIMBS, 2] > SEEN).to(joints.dtype)
    distance = (joints[..., SMPL_LIMBS, :] - keypoints[..., COCO_LIMBS, :2]).norm(dim=-1)
    count = seen.sum(-1)
    return (distance * seen).sum(-1) / count.clamp_min(1), count
