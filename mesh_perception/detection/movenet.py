"""MoveNet-MultiPose: up to six people with their keypoints."""

import torch
from torch import Tensor

from mesh_perception.detection.letterbox import letterbox
from mesh_perception.types import Detections
from mesh_perception.weights.networks import load_network


class MoveNet:
    """Finds up to six people in an image; `size` is the input's longer side in pixels, a multiple of 32."""

    def __init__(self, size: int, threshold: float, device='cpu', dtype=torch.float32):
        """Raises ValueError for another size, and what `load_network` raises."""
        if size < 32 or size % 32:
            raise ValueError(f'movenet_size: {size}, expected a positive multiple of 32')
        self.size, self.threshold = size, threshold
        self.network = load_network('movenet_multipose', device, dtype)

    def __call__(self, image: Tensor) -> Detections:
        """People with a score of at least the threshold in a uint8 RGB image (H, W, 3), best first."""
        box = letterbox(image, self.size, square=False, fill=0)
        people = self.network(box.pixels)[0]
        people = people[people[:, 55] >= self.threshold]
        # Fractions of the padded input, y before x, from the first pixel's centre: so the keypoints of a mirrored
        # image are the mirrored ones within a twentieth of an input pixel (at size 256; otherwise half a pixel aside).
        span = people.new_tensor((box.pixels.shape[3], box.pixels.shape[2]))
        keypoints = people[:, :51].reshape(-1, 17, 3)
        points = box.to_image(keypoints[..., [1, 0]] * span + 0.5)
        corners = box.to_image(people[:, [52, 51, 54, 53]].reshape(-1, 2, 2) * span + 0.5).flatten(1)
        order = people[:, 55].argsort(descending=True, stable=True)
        return Detections(corners, people[:, 55], torch.cat((points, keypoints[..., 2:]), -1))[order]
