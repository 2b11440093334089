"""YAML files read into dataclasses that refuse what they do not know, naming the file and the key.

A field may say what its value can be: `field(default, within=(low, high))`, `choices`, or `kind`, the one kind of part
that has this key.
"""

import dataclasses
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

import yaml

from mesh_perception.resources import config_directory


class ConfigurationError(ValueError):
    """A key or a value of a configuration that is not understood; the message names it."""


def field(default, **limits):
    """A dataclass field with limits: within=(low, high), choices=(...), kind='...' of the part; others are kept as
    metadata."""
    return dataclasses.field(default=default, metadata=limits)


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


def build(cls, data, source, prefix=''):
    """A dataclass from a mapping: unknown keys, keys of another kind, wrong types and values out of range are refused
    by name."""
    hints, known = get_type_hints(cls), {f.name: f for f in fields(cls)}
    values = {}
    for key, value in data.items():
        dotted = f'{prefix}{key}'
        if key not in known:
            raise ConfigurationError(
                f'{source}: unknown key {dotted!r}: expected one of {", ".join(prefix + name for name in known)}'
            )
        kind = hints[key]
        if is_dataclass(kind):
            if not isinstance(value, dict):
                raise ConfigurationError(f'{source}: {dotted!r} must hold keys, got {value!r}')
            values[key] = build(kind, value, source, f'{dotted}.')
        else:
            values[key] = check(source, dotted, kind, value, known[key].metadata)
    built = cls(**values)
    for name in values:
        owner = known[name].metadata.get('kind')
        if owner and owner != built.kind:
            raise ConfigurationError(
                f'{source}: {prefix + name!r} belongs to kind {owner!r}, but {prefix + "kind"!r} is {built.kind!r}'
            )
    return built


def check(source, key, kind, value, limits):
    """A value of a key, of its type and within its limits. Raises ConfigurationError."""
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if isinstance(kind, type) and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
        raise ConfigurationError(f'{source}: {key!r} must be of type {kind.__name__}, got {value!r}')
    choices, within = limits.get('choices'), limits.get('within')
    if choices and value not in choices:
        raise ConfigurationError(f'{source}: {key!r} must be one of {", ".join(map(str, choices))}, got {value!r}')
    if within and not within[0] <= value <= within[1]:
        raise ConfigurationError(f'{source}: {key!r} must lie in [{within[0]}, {within[1]}], got {value!r}')
    return value
