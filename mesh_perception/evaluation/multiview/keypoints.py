"""What MoveNet and BlazePose see of people's limbs in one camera, fused to one set of 2D points."""

import torch
from torch import Tensor

from mesh_perception.detection.merge import drop_copies
from mesh_perception.detection.movenet import MoveNet
from mesh_perception.evaluation.multiview.footage import cameras, frames, length
from mesh_perception.geometry.crops import crop
from mesh_perception.joints import BLAZEPOSE_LANDMARKS, COCO_KEYPOINTS, COCO_LIMBS
from mesh_perception.skeleton.blazepose import BlazePose, Landmarks, regions_of_detections
from mesh_perception.tensor_files import TensorFileError, open_safetensors, write_safetensors

LIMB_JOINTS = tuple(COCO_KEYPOINTS[index] for index in COCO_LIMBS)
MOVENET_SIZE = 512  # px of the input's longer side
MOVENET_THRESHOLD = 0.15  # score from which a person counts; strangers are sorted out by the other cameras
_PEOPLE = 6
_LANDMARKS = tuple(BLAZEPOSE_LANDMARKS.index(name) for name in LIMB_JOINTS)
_AGREE = 0.06  # of the person's size: points of the two networks that are farther apart are not averaged
_VERSION = '2'  # of what is stored


class LimbFinder:
    """Limb joints of everybody in a video's frames by both networks, on the CPU or another device."""

    def __init__(self, device='cpu'):
        """Raises WeightsError."""
        self.device = device
        self.movenet = MoveNet(MOVENET_SIZE, MOVENET_THRESHOLD, device)
        self.blazepose = BlazePose('blazepose_heavy', device=device)
        self.reset()

    def reset(self):
        """The next frame is another video's."""
        self.points, self.next = None, None

    @torch.inference_mode()
    def __call__(self, image, camera) -> Tensor:
        """RGB image (H, W, 3) uint8 of `camera` -> (N, 12, 3): x, y in px, score of LIMB_JOINTS, on the CPU."""
        image = torch.as_tensor(image, device=self.device)
        people = drop_copies(self.movenet(image))
        movenet = people.keypoints[:, COCO_LIMBS]
        regions = regions_of_detections(people)
        new = torch.ones(len(people), dtype=torch.bool, device=self.device)
        if self.points is not None and len(self.points) and len(people):
            distance, nearest = _distances(movenet, self.points).min(1)
            new = distance > _AGREE
            for name, values in vars(regions).items():
                values[~new] = getattr(self.next, name)[nearest][~new]
        landmarks = self.blazepose(crop(image, camera, regions), camera)
        if new.any():  # a crop from keypoints is rough: the network's own answer says where to look again
            second = self.blazepose(crop(image, camera, landmarks.next[new]), camera)
            landmarks = Landmarks.cat((second, landmarks[~new]))
            movenet = torch.cat((movenet[new], movenet[~new]))
        limbs = _limbs(landmarks)
        # Whoever's landmarks slid onto a neighbour is looked for anew in the next frame.
        agree = _distances(movenet, limbs).diagonal() <= 2 * _AGREE
        self.points, self.next = movenet[agree], landmarks.next[agree]
        return fuse(movenet, limbs).cpu()


def _distances(a, b):
    """Mean distances (N, M) between points (N, 12, 3) and (M, 12, 3), of the first ones' size."""
    return (a[:, None] - b[None])[..., :2].norm(dim=-1).mean(-1) / _size(a)[:, None]


def _size(points):
    return (points[..., :2].amax(-2) - points[..., :2].amin(-2)).norm(dim=-1)


def _limbs(landmarks):
    """Landmarks of N people -> (N, 12, 3) with visibility, times the score that there is a person, as the score."""
    scores = landmarks.visibility * landmarks.scores[:, None]
    return torch.cat((landmarks.image, scores[..., None]), -1)[:, _LANDMARKS]


def fuse(a: Tensor, b: Tensor) -> Tensor:
    """Two networks' points (N, 12, 3) of the same people as one.

    Where they agree, the mean weighted by score, with the mean score; where not, the better one with half its score.
    """
    weights = torch.stack((a[..., 2], b[..., 2])).clamp_min(1e-6)
    mean = (torch.stack((a, b))[..., :2] * weights[..., None]).sum(0) / weights.sum(0)[..., None]
    near = (a - b)[..., :2].norm(dim=-1) <= _AGREE * _size(a)[..., None]
    better = torch.where((a[..., 2] >= b[..., 2])[..., None], a, b)
    points = torch.where(near[..., None], mean, better[..., :2])
    scores = torch.where(near, weights.mean(0), better[..., 2] / 2)
    return torch.cat((points, scores[..., None]), -1)


def find_keypoints(scene, camera, folder, finder=None) -> Tensor:
    """(T, 6, 12, 3): x, y in pixels and score of LIMB_JOINTS of up to six people in each frame of one camera.

    Rows of nobody are NaN; people are in no order. Kept under `folder` and read from there the next time. finder: a
    LimbFinder, made where it is needed if None. Raises MediaError, WeightsError, and OSError where nothing can be
    written.
    """
    path = folder / f'{scene}_{camera}.safetensors'
    key = f'{_VERSION} {MOVENET_SIZE} {length(scene)}'
    try:
        with open_safetensors(path) as file:
            if (file.metadata() or {}).get('key') == key:
                return file.get_tensor('keypoints')
    except TensorFileError:
        pass  # not there yet, or cut short: made anew
    finder = finder or LimbFinder()
    finder.reset()
    model = cameras(scene)[camera][0]
    keypoints = torch.stack([_padded(finder(image, model)) for image in frames(scene, camera)])
    write_safetensors(path, {'keypoints': keypoints}, {'key': key})
    return keypoints


def _padded(points):
    result = points.new_full((_PEOPLE, *points.shape[1:]), torch.nan)
    result[: len(points)] = points
    return result
