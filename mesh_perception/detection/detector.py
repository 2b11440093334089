"""Who is in the image: MoveNet-MultiPose, and NanoDet for people it misses."""

import torch
from torch import Tensor

from mesh_perception.detection.letterbox import check_image
from mesh_perception.detection.merge import add_missed, drop_copies
from mesh_perception.detection.movenet import MoveNet
from mesh_perception.detection.nanodet import NanoDet
from mesh_perception.types import Detections


class Detector:
    """Finds 0 to 20 people in an image of any size and shape: six with keypoints at most, more as boxes alone."""

    def __init__(self, config, device='cpu', dtype=torch.float32):
        """config: DetectionConfig; dtype: what the networks compute in.

        Raises ValueError for a size that is no multiple of 32 and for weight files that are missing or damaged.
        """
        self.device = torch.device(device)
        self.movenet = MoveNet(config.movenet_size, config.movenet_threshold, device, dtype)
        self.nanodet = NanoDet(config.nanodet_threshold, device, dtype) if config.nanodet else None

    @torch.inference_mode()
    def __call__(self, image: Tensor) -> Detections:
        """People in an RGB image (H, W, 3), uint8, tensor or numpy array; best score first, on the detector's device.

        Boxes may reach beyond the image. Raises ValueError for another type or shape of image.
        """
        image = check_image(image).to(self.device)
        people = drop_copies(self.movenet(image))
        return people if self.nanodet is None else add_missed(people, self.nanodet(image))
