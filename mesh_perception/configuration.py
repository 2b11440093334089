"""Model sets: YAML files that name their parts, read into dataclasses that refuse what they do not know."""

import dataclasses
import os
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import get_type_hints

from mesh_perception.resources import data_folder
from mesh_perception.weights.store import cache_directory
from mesh_perception.yaml_files import ConfigurationError, build, check, field, file_of, read_keys, shipped_names

PACKAGE = 'package:'  # how the path of a file that comes with the package starts
TRAINED_WITH = 'blazepose_heavy'  # the landmark network of the trained weights that come with the package
NONE = 'none'


class MissingFileError(ConfigurationError):
    """A file that a model set names is not there; the message says which, and how to get it."""


@dataclass(frozen=True)
class DetectionConfig:
    """Who is in the image."""

    kind: str = field('movenet_nanodet', choices=('movenet_nanodet', 'yolov4'))  # or yolov4
    # Px of the longer side, a multiple of 32.
    movenet_size: int = field(384, kind='movenet_nanodet', within=(128, 1024))
    # Score from which a MoveNet person counts.
    movenet_threshold: float = field(0.2, kind='movenet_nanodet', within=(0, 1))
    nanodet: bool = field(True, kind='movenet_nanodet')  # look for those MoveNet missed
    # Score from which a NanoDet box counts.
    nanodet_threshold: float = field(0.45, kind='movenet_nanodet', within=(0, 1))
    weights: str = field('yolov4.weights', kind='yolov4', file=True)  # Darknet's file
    size: int = field(608, kind='yolov4', within=(32, 2048))  # px of both sides, a multiple of 32
    threshold: float = field(0.4, kind='yolov4', within=(0, 1))  # score from which a box counts
    overlap: float = field(0.6, kind='yolov4', within=(0, 1))  # intersection over union from which two boxes are one


@dataclass(frozen=True)
class SkeletonConfig:
    """The network that finds each person's joints (f^P, Sec. 3.1)."""

    kind: str = field('blazepose', choices=('blazepose', 'metric'))  # or metric: a ResNet with metric-scale heatmaps
    threshold: float = field(0.5, within=(0, 1))  # score under which a crop holds no person
    # Or blazepose_full: 2 to 3 times as fast, less exact.
    network: str = field('blazepose_heavy', kind='blazepose', choices=('blazepose_full', 'blazepose_heavy'))
    flip: bool = field(False, kind='blazepose')  # look at each crop's mirror image too
    # Learned correction of its joints: none, or a checkpoint.
    head: str = field(PACKAGE + 'embedded_landmark_head.safetensors', kind='blazepose', file=True)
    weights: str = field('skeleton.safetensors', kind='metric', file=True)
    depth: int = field(50, kind='metric', choices=(18, 34, 50, 101))  # of the ResNet: 18, 34, 50 or 101


@dataclass(frozen=True)
class TwistShapeConfig:
    """The network that finds twists, leaf rotations and betas (f^TS, Sec. 3.2)."""

    # Twists from the skeleton's hints, betas from bone lengths; or network.
    kind: str = field('network', choices=('none', 'network'))
    weights: str = field(PACKAGE + 'embedded_twist_shape.safetensors', kind='network', file=True)
    hidden: int = field(256, kind='network', within=(1, 8192))  # width of its two layers
    # Where the betas come from: this network, or bone lengths as with kind none.
    shape: str = field('bones', kind='network', choices=('network', 'bones'))


@dataclass(frozen=True)
class RefinementConfig:
    """The relation-aware refiner (f^Ref, Sec. 3.3)."""

    kind: str = field('none', choices=('none', 'transformer'))  # or transformer
    weights: str = field('refiner.safetensors', kind='transformer', file=True)
    people: int = field(3, kind='transformer', within=(1, 20))  # N: refined together
    width: int = field(1024, kind='transformer', within=(2, 8192))
    depth: int = field(2, kind='transformer', within=(1, 64))
    heads: int = field(4, kind='transformer', within=(1, 64))
    head_size: int = field(64, kind='transformer', within=(1, 512))
    mlp: int = field(2048, kind='transformer', within=(1, 8192))  # width of the perceptrons
    relative_roots: bool = field(False, kind='transformer')  # where the others stand is part of the features
    normalise: bool = field(False, kind='transformer')  # features come at scales of their own


@dataclass(frozen=True)
class TrackingConfig:
    """When to detect, how long to remember, and whether what is seen is smoothed over time."""

    detect_every: int = field(12, within=(1, 1000))  # frames between detections while everybody is followed
    max_people: int = field(20, within=(1, 20))
    remember: float = field(2.0, within=(0, 60))  # s for which a person that was lost can come back under the same id
    # Frames, and detections twice, until a new person counts as confirmed.
    confirm_frames: int = field(2, within=(1, 100))
    smoothing: bool = field(True)  # of rotations, shape and place


@dataclass(frozen=True)
class Config:
    """One model set and where it runs."""

    name: str = 'embedded'
    folder: str = ''  # where relative paths start; empty: see load_config
    body: str = 'open'  # the open body, or the path of an SMPL .pkl or .npz
    device: str = 'auto'  # auto, cpu, cuda or cuda:N
    detection: DetectionConfig = dataclasses.field(default_factory=DetectionConfig)
    skeleton: SkeletonConfig = dataclasses.field(default_factory=SkeletonConfig)
    twist_shape: TwistShapeConfig = dataclasses.field(default_factory=TwistShapeConfig)
    refinement: RefinementConfig = dataclasses.field(default_factory=RefinementConfig)
    tracking: TrackingConfig = dataclasses.field(default_factory=TrackingConfig)


_TRAIN = 'train it, or name a file of yours as {key}'
_HOW = {  # key of a file: (what it is, how to get it)
    'detection.weights': (
        "YOLOv4's weights",
        'get yolov4.weights (COCO, 258 MB) from the releases of AlexeyAB/darknet on GitHub, or choose '
        'detection.kind movenet_nanodet',
    ),
    'skeleton.weights': ('the skeleton network (f^P)', _TRAIN + ', or choose skeleton.kind blazepose'),
    'skeleton.head': ('the learned correction of the landmarks', _TRAIN + ', or choose none'),
    'twist_shape.weights': ('the twist-and-shape network (f^TS)', _TRAIN + ', or choose twist_shape.kind none'),
    'refinement.weights': ('the refiner (f^Ref)', _TRAIN + ', or choose refinement.kind none'),
    'body': ('the body', "register at SMPL's site and get the file there, or choose body open"),
}


@dataclass(frozen=True)
class ModelFile:
    """A file that a configuration names: its key, its path, what it is, and how to get it."""

    key: str
    path: str
    what: str
    how: str


def model_files(config):
    """The files that the chosen parts of a Config need, present or not. -> list of ModelFile"""
    found = []
    for section in ('detection', 'skeleton', 'twist_shape', 'refinement'):
        part = getattr(config, section)
        found += [(f'{section}.{name}', getattr(part, name)) for name in _files(part)]
    if config.body != 'open':
        found.append(('body', config.body))
    return [ModelFile(key, path, _HOW[key][0], _HOW[key][1].format(key=key)) for key, path in found]


def require(path, what, how):
    """The path of a file that is there. Raises MissingFileError: one line with what it is, where, and how to get it."""
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f'{path}: no such file ({what}); {how}')
    return path


def load_config(models='embedded', overrides=None):
    """The configuration of a model set.

    models: the name of a set (a file in config/models) or the path of a YAML file.
    overrides: {dotted key: value}, for example {'skeleton.network': 'blazepose_full'}. One that changes a part's kind
    drops what the file says of the other kind.

    Paths are absolute in what is returned: `~` is the home folder; a relative path starts at `folder`, and without one
    at the folder of the YAML file, or for a set that comes with the package at <cache>/<name of the set>; a relative
    path in `overrides` starts at the current folder, as its `folder` does; `package:NAME` is a file in the package,
    and trained weights among these are left out with a landmark network or a body that they were not trained with.
    Raises ConfigurationError that names the file and the key.
    """
    path = file_of(models, 'models', 'model set')
    shipped = path != Path(models)
    data = read_keys(path)
    data.setdefault('name', path.stem)
    overrides = overrides or {}
    for key, value in sorted(overrides.items(), key=lambda item: not item[0].endswith('.kind')):
        if key.endswith('.kind'):
            _change_kind(data, key.removesuffix('.kind'), value, str(path))
        _set(data, key, value, str(path))
    home = cache_directory() / path.stem if shipped else path.parent.absolute()
    return _resolve(_fitting(build(Config, data, str(path))), home, overrides)


def model_sets():
    """The names of the sets that ship with the package."""
    return shipped_names('models')


def _set(data, dotted, value, source):
    *parents, last = dotted.split('.')
    for key in parents:
        data = data.setdefault(key, {})
        if not isinstance(data, dict):
            raise ConfigurationError(f'{source}: {key!r} must hold keys for {dotted!r}, got {data!r}')
    data[last] = value


def _change_kind(data, section, kind, source):
    """Drops the file's keys of another kind of a part, for an override that chooses this one."""
    cls = get_type_hints(Config).get(section)
    if is_dataclass(cls) and isinstance(data.get(section), dict):
        known = {f.name: f.metadata for f in fields(cls)}
        check(source, f'{section}.kind', str, kind, known.get('kind', {}))
        owners = {name: limits.get('kind', kind) for name, limits in known.items()}
        data[section] = {key: value for key, value in data[section].items() if owners.get(key, kind) == kind}


def _files(part):
    """The names of a part's keys that hold the paths of files it needs."""
    return [
        f.name
        for f in fields(part)
        if f.metadata.get('file') and f.metadata['kind'] == part.kind and getattr(part, f.name) != NONE
    ]


def _fitting(config):
    """The Config without what comes trained with the package and does not fit its landmark network or its body."""
    changes = {}
    other = config.skeleton.kind != 'blazepose' or config.skeleton.network != TRAINED_WITH
    if config.skeleton.kind == 'blazepose' and other and config.skeleton.head.startswith(PACKAGE):
        changes['skeleton'] = replace(config.skeleton, head=NONE)
    for section in ('twist_shape', 'refinement'):
        part = getattr(config, section)
        if (other or config.body != 'open') and part.kind != NONE and part.weights.startswith(PACKAGE):
            changes[section] = replace(part, kind=NONE)
    return replace(config, **changes)


def _resolve(config, home, overrides):
    """The Config with absolute paths."""

    def absolute(key, value, start):
        if value.startswith(PACKAGE):
            return str(data_folder() / value.removeprefix(PACKAGE))
        return str((Path.cwd() if key in overrides else start) / os.path.expanduser(value))

    start = Path(absolute('folder', config.folder, home)) if config.folder else home
    changes = {}
    for section in ('detection', 'skeleton', 'twist_shape', 'refinement'):
        part = getattr(config, section)
        paths = {name: absolute(f'{section}.{name}', getattr(part, name), start) for name in _files(part)}
        changes[section] = replace(part, **paths)
    body = config.body if config.body == 'open' else absolute('body', config.body, start)
    return replace(config, folder=str(start) if config.folder else '', body=body, **changes)
