"""The skeleton stage of either model set: crops to Sightings, and where to crop for what a detector found."""

import torch

from mesh_perception.geometry.crops import regions_from_boxes
from mesh_perception.geometry.limbs import limb_distance
from mesh_perception.skeleton.blazepose import BlazePose, regions_of_detections
from mesh_perception.skeleton.landmark_joints import load_joint_mapping, skeletons_from_landmarks
from mesh_perception.skeleton.metric import metric_skeletons
from mesh_perception.types import Sightings


class BlazePoseStage:
    """The embedded set's: BlazePose and the linear mapping of its landmarks to joints."""

    looks_twice = True  # a crop from a detection is rough for it: new people are looked at again
    follows_boxes = False  # its own landmarks say best where a person is next

    def __init__(self, network, device='cpu', flip=False, head=None):
        """network: blazepose_heavy or blazepose_full; flip: see BlazePose; head: a LandmarkHead on the device, in
        evaluation mode. Raises WeightsError."""
        self.blazepose = BlazePose(network, device=device, flip=flip)
        self.mapping = load_joint_mapping(network).to(device)
        self.head = head

    def regions(self, detections):
        """Where to look for Detections of N people: Regions."""
        return regions_of_detections(detections)

    def __call__(self, crops, camera):
        """Crops of N people in one image of `camera` -> Sightings."""
        landmarks = self.blazepose(crops, camera)
        return Sightings(skeletons_from_landmarks(landmarks, camera, self.mapping, self.head), landmarks.next)


class MetricStage:
    """The paper's: f^P with metric-scale heatmaps (Sec. 3.1)."""

    looks_twice = False
    follows_boxes = True  # trained on crops from boxes: where a detector sees a person, that box is the crop
    MARGIN = 1.1  # of a crop around the last joints, where no detector saw the person: joints end before limbs do

    def __init__(self, network):
        """network: a SkeletonNetwork, in evaluation mode on its device."""
        self.network = network

    def regions(self, detections):
        """Where to look for Detections of N people: Regions. The box's longer side spans the crop, as in MeTRAbs."""
        return regions_from_boxes(detections.boxes, 1.0)

    def __call__(self, crops, camera):
        """Crops of N people in one image of `camera` -> Sightings."""
        skeletons = metric_skeletons(self.network(crops.images), crops, camera)
        joints = skeletons.image_joints
        return Sightings(skeletons, regions_from_boxes(torch.cat((joints.amin(1), joints.amax(1)), 1), self.MARGIN))


def disagreement(skeletons, detections):
    """Mean distance (N,) in px between the limbs of N skeletons and the keypoints that a detector saw of them.

    0 where the detector gave no keypoints: nothing to disagree with.
    """
    return limb_distance(skeletons.image_joints, detections.keypoints)[0]


def keep_better(first, second, detections, threshold):
    """`second` where `second_is_better`, else `first`: Sightings of the same people."""
    take = second_is_better(first.skeletons, second.skeletons, detections, threshold)
    return Sightings.where(take, second, first)


def second_is_better(first, second, detections, threshold):
    """Whether (N,) bool the second look's Skeletons still show a person and agree with the detector's keypoints.

    A half-visible person's second crop can slide onto a neighbour. Decided on the device, without waiting for it.
    """
    drifted = disagreement(second, detections) > 1.3 * disagreement(first, detections) + 4
    return ~drifted & (second.scores >= threshold)
