"""Model sets: YAML files read into dataclasses that refuse what they do not know."""

from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

import yaml

from mesh_perception.resources import config_directory


class ConfigurationError(ValueError):
    """A key or a value of a configuration that is not understood; the message names it."""


@dataclass(frozen=True)
class DetectionConfig:
    """Who is in the image."""

    movenet_size: int = 384  # px of the longer side, a multiple of 32
    movenet_threshold: float = 0.2  # score from which a MoveNet person counts
    nanodet: bool = True  # look for those MoveNet missed
    nanodet_threshold: float = 0.45  # score from which a NanoDet box counts


@dataclass(frozen=True)
class SkeletonConfig:
    """The landmark network."""

    network: str = 'blazepose_heavy'  # or blazepose_full: three times as fast, less exact
    threshold: float = 0.5  # score under which a crop holds no person


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
    body: str = 'open'  # the open body, or the path of an SMPL .pkl or .npz
    device: str = 'auto'  # auto, cpu, cuda or cuda:N
    detection: DetectionConfig = field(default_factory=DetectionConfig)
    skeleton: SkeletonConfig = field(default_factory=SkeletonConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)


_CHOICES = {'skeleton.network': ('blazepose_full', 'blazepose_heavy')}
_RANGES = {
    'detection.movenet_size': (128, 1024),
    'detection.movenet_threshold': (0, 1),
    'detection.nanodet_threshold': (0, 1),
    'skeleton.threshold': (0, 1),
    'tracking.detect_every': (1, 1000),
    'tracking.max_people': (1, 20),
    'tracking.remember': (0, 60),
    'tracking.confirm_frames': (1, 100),
}


def load_config(models='embedded', overrides=None):
    """The configuration of a model set.

    models: the name of a set (a file in config/models) or the path of a YAML file.
    overrides: {dotted key: value}, for example {'skeleton.network': 'blazepose_heavy'}.
    Raises ConfigurationError that names the file and the key.
    """
    path = _model_set_path(models)
    try:
        data = yaml.safe_load(path.read_text()) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f'{path}: not readable as YAML: {" ".join(str(error).split())}') from None
    if not isinstance(data, dict):
        raise ConfigurationError(f'{path}: expected keys and values, got {type(data).__name__}')
    data.setdefault('name', path.stem)
    for key, value in (overrides or {}).items():
        _set(data, key, value)
    return _build(Config, data, str(path), '')


def model_sets():
    """The names of the sets that ship with the package."""
    return sorted(p.stem for p in (config_directory() / 'models').glob('*.yaml'))


def _model_set_path(models):
    path = Path(models)
    if path.suffix in ('.yaml', '.yml'):
        if not path.is_file():
            raise ConfigurationError(f'{models}: no such model set file')
        return path
    if models not in model_sets():
        raise ConfigurationError(
            f'unknown model set {models!r}: expected one of {", ".join(model_sets())}, or the path of a .yaml file'
        )
    return config_directory() / 'models' / f'{models}.yaml'


def _set(data, dotted, value):
    *parents, last = dotted.split('.')
    for key in parents:
        data = data.setdefault(key, {})
    data[last] = value


def _build(cls, data, source, prefix):
    """A dataclass from a mapping: unknown keys, wrong types and values out of range are refused by name."""
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
    return cls(**values)


def _check(source, key, kind, value):
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ConfigurationError(f'{source}: {key!r} must be of type {kind.__name__}, got {value!r}')
    if key in _CHOICES and value not in _CHOICES[key]:
        raise ConfigurationError(f'{source}: {key!r} must be one of {", ".join(_CHOICES[key])}, got {value!r}')
    if key in _RANGES and not _RANGES[key][0] <= value <= _RANGES[key][1]:
        raise ConfigurationError(f'{source}: {key!r} must lie in {_RANGES[key]}, got {value!r}')
    return value
