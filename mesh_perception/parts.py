"""The parts of a model set, made from its configuration: networks with their weights, or new ones to look at.

`check_files` comes first: it names what is missing and how to get it. `random` makes networks without their files, for
`describe` and tests of the paper's set; nothing useful comes out.
"""

from pathlib import Path

import torch

from mesh_perception.body import load_body
from mesh_perception.body.light import light_body
from mesh_perception.checkpoints import Description, load_checkpoint
from mesh_perception.configuration import NONE, model_files, require
from mesh_perception.detection import Detector
from mesh_perception.detection.yolov4 import YoloV4
from mesh_perception.detection.yolov4_detector import YoloDetector
from mesh_perception.inverse_kinematics.twist_shape import TwistShapeNetwork
from mesh_perception.refinement.transformer import Refiner
from mesh_perception.skeleton.landmark_head import LandmarkHead
from mesh_perception.skeleton.metric import SkeletonNetwork
from mesh_perception.skeleton.stages import BlazePoseStage, MetricStage
from mesh_perception.turns import Turns

EMBEDDED_FEATURES = 1386  # of a person, see skeleton.landmark_joints


class Parts:
    """All parts of a model set on one device: what one pipeline uses, or several, one at a time (`turns`)."""

    def __init__(self, config, device, random=False):
        """Raises ValueError, one line, that names a missing or unfit file."""
        if not random:
            check_files(config)
        self.device = device
        self.body = make_body(config, device, random)
        self.light_body = light_body(self.body)
        self.detector = make_detector(config, device, random)
        self.skeleton, features = make_skeleton(config, device, random)
        self.twist_shape = make_twist_shape(config, features, self.body, device, random)
        self.refiner = make_refiner(config, features, self.body, device, random)
        self.turns = Turns()


def check_files(config):
    """Raises MissingFileError for the first file that a configuration names and that is not there: one line."""
    for file in model_files(config):
        require(file.path, file.what, file.how)


def make_body(config, device, random=False):
    """The body; with `random`, the open one where the named file is not there."""
    name = 'open' if random and not Path(config.body).is_file() else config.body
    return load_body(name).to(device)


def make_detector(config, device, random=False):
    """Who is in the image: a callable from an image to Detections."""
    part = config.detection
    if part.kind == 'movenet_nanodet':
        return Detector(part, device=device)
    weights = YoloV4() if random else part.weights
    return YoloDetector(weights, part.size, part.threshold, part.overlap, device)


def make_skeleton(config, device, random=False):
    """The skeleton stage, and the number of features that it gives of a person."""
    part = config.skeleton
    if part.kind == 'blazepose':
        return BlazePoseStage(part.network, device, part.flip, _head(config, device, random)), EMBEDDED_FEATURES
    network = SkeletonNetwork(part.depth)
    expected = Description('skeleton', {'depth': part.depth})
    network = _trained(config, 'skeleton', network, expected, device, random)
    return MetricStage(network), network.backbone.channels


def make_twist_shape(config, features, body, device, random=False):
    """f^TS, or None where twists come from hints and the shape from bone lengths."""
    part = config.twist_shape
    if part.kind == 'none':
        return None
    betas = body.num_betas if part.shape == 'network' else 0
    numbers = {'in_features': features, 'hidden': part.hidden, 'num_betas': betas}
    expected = Description('twist_shape', numbers, body=body.id, inputs=_landmarks(config))
    return _trained(config, 'twist_shape', TwistShapeNetwork(**numbers), expected, device, random)


def make_refiner(config, features, body, device, random=False):
    """f^Ref, or None."""
    part = config.refinement
    if part.kind == 'none':
        return None
    numbers = {'feature_size': features, 'num_betas': body.num_betas}
    numbers['feature_size'] += 3 * part.relative_roots
    names = ('people', 'width', 'depth', 'heads', 'head_size', 'mlp', 'relative_roots', 'normalise')
    numbers |= {name: getattr(part, name) for name in names}
    expected = Description('refiner', numbers, body=body.id, inputs=_landmarks(config))
    return _trained(config, 'refinement', Refiner(**numbers), expected, device, random)


def _head(config, device, random):
    if config.skeleton.head == NONE:
        return None
    expected = Description('landmark_head', inputs=_landmarks(config))
    return _trained(config, 'skeleton', LandmarkHead(), expected, device, random, 'head')


def _landmarks(config):
    """Whose landmarks and features a network was trained on: each has errors of its own."""
    return {'network': config.skeleton.network} if config.skeleton.kind == 'blazepose' else {}


def _trained(config, section, network, expected, device, random, key='weights'):
    """A network with the weights of its checkpoint, ready to run. Raises CheckpointError."""
    if not random:
        network, _ = load_checkpoint(getattr(getattr(config, section), key), network, expected)
    return network.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
