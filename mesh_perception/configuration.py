"""Model sets: YAML files that name their parts, read into dataclasses that refuse what they do not know."""

import os
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import get_type_hints

import yaml

from mesh_perception.resources import config_directory, data_folder
from mesh_perception.weights.store import cache_directory

PACKAGE = 'package:'  # how the path of a file that comes with the package starts
NONE = 'none'


class ConfigurationError(ValueError):
    """A key or a value of a configuration that is not understood; the message names it."""


class MissingFileError(ConfigurationError):
    """A file that a model set names is not there; the message says which, and how to get it."""


def _of(kind, default, file=False):
    """A key that only one kind of part has; `file`: the value is a path."""
    return field(default=default, metadata={'kind': kind, 'file': file})


@dataclass(frozen=True)
class DetectionConfig:
    """Who is in the image."""

    kind: str = 'movenet_nanodet'  # or yolov4
    movenet_size: int = _of('movenet_nanodet', 384)  # px of the longer side, a multiple of 32
    movenet_threshold: float = _of('movenet_nanodet', 0.2)  # score from which a MoveNet person counts
    nanodet: bool = _of('movenet_nanodet', True)  # look for those MoveNet missed
    nanodet_threshold: float = _of('movenet_nanodet', 0.45)  # score from which a NanoDet box counts
    weights: str = _of('yolov4', 'yolov4.weights', file=True)  # Darknet's file
    size: int = _of('yolov4', 608)  # px of both sides, a multiple of 32
    threshold: float = _of('yolov4', 0.4)  # score from which a box counts
    overlap: float = _of('yolov4', 0.6)  # intersection over union from which two boxes are one


@dataclass(frozen=True)
class SkeletonConfig:
    """The network that finds each person's joints (f^P, Sec. 3.1)."""

    kind: str = 'blazepose'  # or metric: a ResNet with metric-scale heatmaps
    threshold: float = 0.5  # score under which a crop holds no person
    network: str = _of('blazepose', 'blazepose_heavy')  # or blazepose_full: 2 to 3 times as fast, less exact
    flip: bool = _of('blazepose', False)  # look at each crop's mirror image too
    head: str = _of('blazepose', 'none', file=True)  # learned correction of its joints: none, or a checkpoint
    weights: str = _of('metric', 'skeleton.safetensors', file=True)
    depth: int = _of('metric', 50)  # of the ResNet: 18, 34, 50 or 101


@dataclass(frozen=True)
class TwistShapeConfig:
    """The network that finds twists, leaf rotations and betas (f^TS, Sec. 3.2)."""

    kind: str = 'none'  # twists from the skeleton's hints, betas from bone lengths; or network
    weights: str = _of('network', 'twist_shape.safetensors', file=True)
    hidden: int = _of('network', 1024)  # width of its two layers


@dataclass(frozen=True)
class RefinementConfig:
    """The relation-aware refiner (f^Ref, Sec. 3.3)."""

    kind: str = 'none'  # or transformer
    weights: str = _of('transformer', 'refiner.safetensors', file=True)
    people: int = _of('transformer', 3)  # N: refined together
    width: int = _of('transformer', 1024)
    depth: int = _of('transformer', 2)
    heads: int = _of('transformer', 4)
    head_size: int = _of('transformer', 64)
    mlp: int = _of('transformer', 2048)  # width of the perceptrons
    relative_roots: bool = _of('transformer', False)  # where the others stand is part of the features


@dataclass(frozen=True)
class TrackingConfig:
    """When to detect, and how long to remember."""

    detect_every: int = 12  # frames between detections while everybody is followed
    max_people: int = 20
    remember: float = 1.0  # s for which a person that was lost can come back under the same id
    confirm_frames: int = 2  # frames until a new person counts as confirmed


@dataclass(frozen=True)
class Config:
    """One model set and where it runs."""

    name: str = 'embedded'
    folder: str = ''  # where relative paths start; empty: see load_config
    body: str = 'open'  # the open body, or the path of an SMPL .pkl or .npz
    device: str = 'auto'  # auto, cpu, cuda or cuda:N
    detection: DetectionConfig = field(default_factory=DetectionConfig)
    skeleton: SkeletonConfig = field(default_factory=SkeletonConfig)
    twist_shape: TwistShapeConfig = field(default_factory=TwistShapeConfig)
    refinement: RefinementConfig = field(default_factory=RefinementConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)


_CHOICES = {
    'detection.kind': ('movenet_nanodet', 'yolov4'),
    'skeleton.kind': ('blazepose', 'metric'),
    'skeleton.network': ('blazepose_full', 'blazepose_heavy'),
    'skeleton.depth': (18, 34, 50, 101),
    'twist_shape.kind': ('none', 'network'),
    'refinement.kind': ('none', 'transformer'),
}
_RANGES = {
    'detection.movenet_size': (128, 1024),
    'detection.movenet_threshold': (0, 1),
    'detection.nanodet_threshold': (0, 1),
    'detection.size': (32, 2048),
    'detection.threshold': (0, 1),
    'detection.overlap': (0, 1),
    'skeleton.threshold': (0, 1),
    'twist_shape.hidden': (1, 8192),
    'refinement.people': (1, 20),
    'refinement.width': (2, 8192),
    'refinement.depth': (1, 64),
    'refinement.heads': (1, 64),
    'refinement.head_size': (1, 512),
    'refinement.mlp': (1, 8192),
    'tracking.detect_every': (1, 1000),
    'tracking.max_people': (1, 20),
    'tracking.remember': (0, 60),
    'tracking.confirm_frames': (1, 100),
}
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
    path in `overrides` starts at the current folder, as its `folder` does; `package:NAME` is a file in the package.
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
    return _resolve(_build(Config, data, str(path), ''), home, overrides)


def model_sets():
    """The names of the sets that ship with the package."""
    return shipped_names('models')


def shipped_names(folder):
    """The names of the YAML files in a folder of config/."""
    return sorted(p.stem for p in (config_directory() / folder).glob('*.yaml'))


def file_of(name, folder, what):
    """The YAML file of a name in a folder of config/, or of a path as given. Raises ConfigurationError saying what."""
    path = Path(name)
    if path.suffix in ('.yaml', '.yml'):
        if not path.is_file():
            raise ConfigurationError(f'{name}: no such {what} file')
        return path
    names = shipped_names(folder)
    if name not in names:
        raise ConfigurationError(
            f'unknown {what} {str(name)!r}: expected one of {", ".join(names)}, or the path of a .yaml file'
        )
    return config_directory() / folder / f'{name}.yaml'


def read_keys(path):
    """What a YAML file says, as a dict. Raises ConfigurationError that names the file."""
    try:
        data = yaml.safe_load(path.read_text()) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f'{path}: not readable as YAML: {" ".join(str(error).split())}') from None
    if not isinstance(data, dict):
        raise ConfigurationError(f'{path}: expected keys and values, got {type(data).__name__}')
    return data


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
        _check(source, f'{section}.kind', str, kind)
        owners = {f.name: f.metadata.get('kind', kind) for f in fields(cls)}
        data[section] = {key: value for key, value in data[section].items() if owners.get(key, kind) == kind}


def _files(part):
    """The names of a part's keys that hold the paths of files it needs."""
    return [
        f.name
        for f in fields(part)
        if f.metadata.get('file') and f.metadata['kind'] == part.kind and getattr(part, f.name) != NONE
    ]


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


def _build(cls, data, source, prefix):
    """A dataclass from a mapping: unknown keys, keys of another kind, wrong types and values out of range are refused
    by name."""
    hints = get_type_hints(cls)
    names = [f.name for f in fields(cls)]
    values = {}
    for key, value in data.items():
        dotted = f'{prefix}{key}'
        if key not in names:
            raise ConfigurationError(
                f'{source}: unknown key {dotted!r}: expected one of {", ".join(prefix + n for n in names)}'
            )
        kind = hints[key]
        if is_dataclass(kind):
            if not isinstance(value, dict):
                raise ConfigurationError(f'{source}: {dotted!r} must hold keys, got {value!r}')
            values[key] = _build(kind, value, source, f'{dotted}.')
        else:
            values[key] = _check(source, dotted, kind, value)
    built = cls(**values)
    for f in fields(cls):
        owner = f.metadata.get('kind')
        if owner and f.name in values and owner != built.kind:
            raise ConfigurationError(
                f'{source}: {prefix + f.name!r} belongs to kind {owner!r}, but {prefix + "kind"!r} is {built.kind!r}'
            )
    return built


def _check(source, key, kind, value):
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ConfigurationError(f'{source}: {key!r} must be of type {kind.__name__}, got {value!r}')
    if key in _CHOICES and value not in _CHOICES[key]:
        raise ConfigurationError(
            f'{source}: {key!r} must be one of {", ".join(map(str, _CHOICES[key]))}, got {value!r}'
        )
    if key in _RANGES and not _RANGES[key][0] <= value <= _RANGES[key][1]:
        raise ConfigurationError(f'{source}: {key!r} must lie in {_RANGES[key]}, got {value!r}')
    return value
