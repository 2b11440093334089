"""Joint sets, their parents and left/right swaps: the one place where they are written down."""

# fmt: off
SMPL_JOINTS = (
    'pelvis', 'left_hip', 'right_hip', 'spine1', 'left_knee', 'right_knee', 'spine2', 'left_ankle', 'right_ankle',
    'spine3', 'left_foot', 'right_foot', 'neck', 'left_collar', 'right_collar', 'head', 'left_shoulder',
    'right_shoulder', 'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist', 'left_hand', 'right_hand')
SMPL_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
SMPL_LEAVES = (10, 11, 15, 22, 23)
# The child whose bone a joint's swing points along; -1 for leaves. The pelvis is solved from all three children.
SMPL_CHILD = (3, 4, 5, 6, 7, 8, 9, 10, 11, 12, -1, -1, 15, 16, 17, -1, 18, 19, 20, 21, 22, 23, -1, -1)
# Joints by depth in the kinematic tree: everything in one level can be solved at once.
SMPL_LEVELS = ((0,), (1, 2, 3), (4, 5, 6), (7, 8, 9), (10, 11, 12, 13, 14), (15, 16, 17), (18, 19), (20, 21), (22, 23))

COCO_KEYPOINTS = (
    'nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder', 'right_shoulder', 'left_elbow',
    'right_elbow', 'left_wrist', 'right_wrist', 'left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle',
    'right_ankle')

BLAZEPOSE_LANDMARKS = (
    'nose', 'left_eye_inner', 'left_eye', 'left_eye_outer', 'right_eye_inner', 'right_eye', 'right_eye_outer',
    'left_ear', 'right_ear', 'left_mouth', 'right_mouth', 'left_shoulder', 'right_shoulder', 'left_elbow',
    'right_elbow', 'left_wrist', 'right_wrist', 'left_pinky', 'right_pinky', 'left_index', 'right_index', 'left_thumb',
    'right_thumb', 'left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle', 'right_ankle', 'left_heel',
    'right_heel', 'left_foot_index', 'right_foot_index')
# fmt: on


# The limbs' joints, where COCO's keypoints and SMPL's joints name the same (the face hardly tells people apart).
COCO_LIMBS = (5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
SMPL_LIMBS = (16, 17, 18, 19, 20, 21, 1, 2, 4, 5, 7, 8)


def mirror_indices(names):
    """Index of each name's left/right counterpart (itself for the middle ones), for flipping a joint set."""
    swap = {'left': 'right', 'right': 'left'}
    return tuple(names.index('_'.join(swap.get(part, part) for part in name.split('_'))) for name in names)


SMPL_MIRROR = mirror_indices(SMPL_JOINTS)
COCO_MIRROR = mirror_indices(COCO_KEYPOINTS)
BLAZEPOSE_MIRROR = mirror_indices(BLAZEPOSE_LANDMARKS)
