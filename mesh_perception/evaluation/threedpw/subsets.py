"""The parts of 3DPW about people in each other's way, as their authors' code cuts them; spread over all splits."""

import torch
from torch import Tensor

from mesh_perception.evaluation.threedpw.sequences import Sequence

# 3DPW-PC, person-person occlusion (Sun et al. 2021): frames from the first number up to, without, the second.
PERSON_OCCLUDED = {
    'courtyard_basketball_00': (200, 280),
    'courtyard_captureSelfies_00': (500, 600),
    'courtyard_dancing_00': (60, 370),
    'courtyard_dancing_01': (60, 270),
    'courtyard_hug_00': (100, 500),
    'downtown_bus_00': (1620, 1900),
}
# 3DPW-OC, object occlusion (Zhang et al. 2020): all takes (_00, _01) of these.
OBJECT_OCCLUDED = (
    'courtyard_backpack',
    'courtyard_basketball',
    'courtyard_bodyScannerMotions',
    'courtyard_box',
    'courtyard_golf',
    'courtyard_jacket',
    'courtyard_laceShoe',
    'downtown_stairs',
    'flat_guitar',
    'flat_packBags',
    'outdoors_climbing',
    'outdoors_crosscountry',
    'outdoors_fencing',
    'outdoors_freestyle',
    'outdoors_golf',
    'outdoors_parcours',
    'outdoors_slalom',
)
# 3DPW-Crowd (Choi et al. 2022): close to each other for most of the time.
CROWD = ('courtyard_hug_00', 'courtyard_dancing_00')

SUBSETS = {'pc': '3DPW-PC', 'oc': '3DPW-OC', 'crowd': '3DPW-Crowd'}


def in_subset(subset: str | None, name: str) -> bool:
    """Whether a sequence has frames in a subset (a key of SUBSETS; None: the whole dataset)."""
    if subset == 'pc':
        return name in PERSON_OCCLUDED
    if subset == 'oc':
        return name.rpartition('_')[0] in OBJECT_OCCLUDED
    return subset is None or name in CROWD


def frames_in_subset(subset: str | None, sequence: Sequence) -> Tensor:
    """Which frames (N,) bool of a sequence belong to a subset."""
    frames = torch.arange(len(sequence.world_to_camera))
    if not in_subset(subset, sequence.name):
        return frames < 0
    if subset == 'pc':
        first, end = PERSON_OCCLUDED[sequence.name]
        return (frames >= first) & (frames < end)
    return frames >= 0
