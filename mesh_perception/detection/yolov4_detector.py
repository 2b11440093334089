"""YOLOv4 as a detector of people: the paper's first stage.

The trained weights are not fetched: `yolov4.weights` (257 717 640 bytes, trained on COCO) is in the releases of its
authors' repository, AlexeyAB/darknet on GitHub. Without that file it is not shown that people in pictures are found;
what the tests show, on random weights, is that the network and the decoding compute what OpenCV's own reader of Darknet
networks computes.
"""

from pathlib import Path

import torch

from mesh_perception.detection.darknet_weights import read_weights
from mesh_perception.detection.letterbox import check_image, letterbox_into
from mesh_perception.detection.yolov4 import YoloV4, fuse
from mesh_perception.detection.yolov4_decoding import Objects, decode, select
from mesh_perception.types import Detections

_SOURCE = "YOLOv4's yolov4.weights is in the releases of its authors' repository, AlexeyAB/darknet on GitHub"
_GREY = 127.5  # Darknet's own padding


class YoloDetector:
    """Finds people in an image of any size and shape: boxes without keypoints."""

    def __init__(self, weights, size=608, threshold=0.4, overlap=0.6, device='cpu', dtype=torch.float32):
        """weights: path of a Darknet file, or a `YoloV4`, which is fused and moved in place (for one not trained yet).

        size: of the network's input in pixels, (width, height) or one number for both, multiples of 32; 608 is
        YOLOv4's own, (768, 576) the paper's authors'. threshold: least score; overlap: from which of two boxes of one
        class the worse is dropped; both as the paper's authors set them. dtype: what the network computes in.

        Raises ValueError for another size, and what `read_weights` raises.
        """
        self.width, self.height = (size, size) if isinstance(size, int) else size
        if any(side < 32 or side % 32 for side in (self.width, self.height)):
            raise ValueError(f'YOLOv4 input: {self.width} x {self.height}, expected positive multiples of 32')
        self.threshold, self.overlap = threshold, overlap
        self.device, self.dtype = torch.device(device), dtype
        network = weights
        if not isinstance(network, YoloV4):
            if not Path(weights).is_file():
                raise ValueError(f'{weights}: no such file; {_SOURCE}')
            network = YoloV4()
            read_weights(weights, network)
        self.network = fuse(network).to(self.device, dtype, memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, image) -> Detections:
        """People in an RGB image (H, W, 3), uint8, tensor or numpy array; best score first, on the detector's device.

        Keypoints are zeros; boxes may reach beyond the image. Raises ValueError for another type or shape of image.
        """
        (people,) = self._find([image], 1)
        return Detections(people.boxes, people.scores, people.boxes.new_zeros(len(people.boxes), 17, 3))

    @torch.inference_mode()
    def detect(self, images) -> list[Objects]:
        """Objects of all 80 classes in each of the images (of any sizes), in one pass of the network."""
        return self._find(images, None)

    def _find(self, images, classes: int | None) -> list[Objects]:
        """Objects of the first `classes` classes in each image."""
        images = [check_image(image).to(self.device) for image in images]
        if not images:
            return []
        views = [letterbox_into(image, self.width, self.height, _GREY) for image in images]
        pixels = torch.cat([view.pixels for view in views]) / 255
        boxes, scores = decode(self.network(pixels.to(self.dtype, memory_format=torch.channels_last)))
        found = []
        for view, image_boxes, image_scores in zip(views, boxes, scores[..., :classes], strict=True):
            objects = select(image_boxes, image_scores, self.threshold, self.overlap)
            corners = view.to_image(objects.boxes.view(-1, 2, 2)).flatten(1)
            found.append(objects._replace(boxes=corners))
        return found
