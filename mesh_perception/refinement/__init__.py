"""f^Ref: people who stand together are refined together by a Transformer over their joints (Sec. 3.3)."""

from mesh_perception.refinement.groups import Groups, inference_groups, training_groups
from mesh_perception.refinement.refine import Final, finish, refine, refine_with_attention
from mesh_perception.refinement.transformer import Refined, Refiner

__all__ = [
    'Final',
    'Groups',
    'Refined',
    'Refiner',
    'finish',
    'inference_groups',
    'refine',
    'refine_with_attention',
    'training_groups',
]
