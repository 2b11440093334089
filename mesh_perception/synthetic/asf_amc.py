"""CMU's own motion capture files: a skeleton (.asf) and what it does (.amc), as text (Acclaim's format).

A bone j has a direction and a length at rest, both in the world's axes, and an `axis` frame C given by angles; its
motion M, about the axes of C named by `dof`, turns it by C M C^-1 relative to its parent. Angles apply in the order in
which they are written, about fixed axes. Places times 0.0254 / `length` are metres (CMU's unit).
"""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mesh_perception.synthetic.motion import MOST_JOINTS, Clip, clip_of_bones

LARGEST_SKELETON, LARGEST_MOTION = 1 << 20, 1 << 26  # bytes; CMU's have some 10 kB and up to 20 MB
MOST_FRAMES = 1_000_000
_INCH = 0.0254
_TURNS, _MOVES = ('rx', 'ry', 'rz'), ('tx', 'ty', 'tz')


class AcclaimError(ValueError):
    """An .asf or .amc file that cannot be used; one line that names the file and the line in it."""


@dataclass(frozen=True)
class Skeleton:
    """What an .asf file says. The first bone is the root, which has no length; parents come before their children."""

    names: tuple  # (J,) of str
    parents: tuple  # (J,) of int, -1 for the root
    bones: Tensor  # (J, 3) m, from start to end at rest
    axes: Tensor  # (J, 3, 3) the frame of each bone's motion
    channels: tuple  # (J,) of tuples of 'rx', 'ry', 'rz'; the root's also of 'tx', 'ty', 'tz'
    scale: float  # metres a unit


def load_asf_amc(asf, amc, rate: float = 120.0) -> Clip:
    """The clip (float32) of a motion file and its skeleton file; `rate`: its frames a second, 120 in most of CMU's.

    Raises AcclaimError, in one line that names file and line, for a file that is missing, too large or not in this
    format.
    """
    return read_amc(amc, read_asf(asf), rate)


def read_asf(path) -> Skeleton:
    """A skeleton file. Raises AcclaimError as `load_asf_amc` does."""
    lines = _Lines(path, LARGEST_SKELETON)
    section, bone, radians, scale = '', None, False, _INCH
    root, bones, parents = {}, {}, {}
    for words in lines:
        word = words[0].lower()
        if word.startswith(':'):
            if bone is not None:
                raise lines.error('a bone without end')
            section = word
            if word == ':skin':
                break
        elif section == ':units':
            if word == 'length':
                (length,) = lines.numbers(words[1:], 1)
                if not 1e-6 < length < 1e6:
                    raise lines.error(f'length {length:g}, expected a positive number')
                scale = _INCH / length
            elif word == 'angle':
                radians = lines.one_of(words[1:], 'deg', 'rad') == 'rad'
        elif section == ':root':
            _read_root(lines, word, words[1:], root)
        elif section == ':bonedata':
            if word == 'begin':
                bone = {'line': lines.number}
            elif bone is None:
                raise lines.error(f'{word:.40} outside a bone, expected begin')
            elif word == 'end':
                _add_bone(lines, bone, bones)
                bone = None
            else:
                _read_bone(lines, word, words[1:], bone)
        elif section == ':hierarchy' and word not in ('begin', 'end'):
            _add_children(lines, words, bones, parents)
    if bone is not None:
        raise lines.error('a bone without end')
    if 'order' not in root or not bones:
        raise lines.error(':root with its order and :bonedata expected')
    return _skeleton(lines, root, bones, parents, radians, scale)


def read_amc(path, skeleton: Skeleton, rate: float = 120.0) -> Clip:
    """A motion file of this skeleton. Raises AcclaimError as `load_asf_amc` does."""
    if not 0 < rate < 1e4:
        raise ValueError(f'motion clip: rate {rate}, expected frames a second')
    lines = _Lines(path, LARGEST_MOTION)
    places = {name: j for j, name in enumerate(skeleton.names)}
    wanted = {name for name, channels in zip(skeleton.names, skeleton.channels, strict=True) if channels}
    values = [[] for _ in skeleton.names]
    radians, frames, seen = False, 0, wanted
    for words in lines:
        name = words[0]
        if name.startswith(':'):
            radians = radians or name.lower() == ':radians'
        elif len(words) == 1 and name.isdecimal():
            _check_whole(lines, frames, seen, wanted)
            frames, seen = frames + 1, set()
            if frames > MOST_FRAMES:
                raise lines.error(f'more than {MOST_FRAMES} frames')
        elif name not in wanted:
            raise lines.error(f'bone {name[:40]!r}, expected one that moves in the skeleton')
        elif not frames or name in seen:
            raise lines.error(f'{name} {"twice in a frame" if frames else "before the first frame"}')
        else:
            seen.add(name)
            values[places[name]].append(lines.numbers(words[1:], len(skeleton.channels[places[name]])))
    _check_whole(lines, frames, seen, wanted)
    if not frames:
        raise lines.error('no frame in it')

    rotations = torch.eye(3, dtype=torch.float64).repeat(frames, len(values), 1, 1)
    root = torch.zeros(frames, 3, dtype=torch.float64)
    for j, (channels, axes) in enumerate(zip(skeleton.channels, skeleton.axes, strict=True)):
        for channel, column in zip(channels, torch.tensor(values[j], dtype=torch.float64).T, strict=True):
            if channel in _MOVES:
                root[:, _MOVES.index(channel)] = column * skeleton.scale
            else:
                turn = _about(_TURNS.index(channel), column if radians else column.deg2rad())
                rotations[:, j] = turn @ rotations[:, j]
        rotations[:, j] = axes @ rotations[:, j] @ axes.T
    return clip_of_bones(
        skeleton.names, skeleton.parents, skeleton.bones.float(), rotations.float(), root.float(), float(rate)
    )


def _read_root(lines, word, words, root):
    if word == 'order':
        root['order'] = _channels(lines, words, _TURNS + _MOVES)
    elif word == 'axis':
        _axis_order(lines, words)
    elif word in ('position', 'orientation') and any(lines.numbers(words, 3)):
        raise lines.error(f'a root {word} other than 0 0 0 is not supported')


def _read_bone(lines, word, words, bone):
    if word == 'name':
        if len(words) != 1:
            raise lines.error('name: expected one word')
        bone['name'] = words[0]
    elif word == 'direction':
        bone['direction'] = lines.numbers(words, 3)
    elif word == 'length':
        (bone['length'],) = lines.numbers(words, 1)
    elif word == 'axis':
        bone['axis'] = lines.numbers(words[:3], 3)
        bone['axis order'] = _axis_order(lines, words[3:])
    elif word == 'dof':
        bone['dof'] = _channels(lines, words, _TURNS)


def _add_bone(lines, bone, bones):
    for key in ('name', 'direction', 'length', 'axis'):
        if key not in bone:
            raise lines.error(f'a bone without {key}')
    if bone['name'] in bones or bone['name'] == 'root':
        raise lines.error(f'bone {bone["name"][:40]!r} twice')
    if len(bones) + 1 >= MOST_JOINTS:
        raise lines.error(f'more than {MOST_JOINTS} bones')
    norm = math.hypot(*bone['direction'])
    if bone['length'] < 0 or (bone['length'] > 0 and norm < 1e-6):
        raise lines.error(f'bone {bone["name"][:40]!r} has no direction or a negative length')
    bones[bone['name']] = bone


def _add_children(lines, words, bones, parents):
    if words[0] != 'root' and words[0] not in parents:
        raise lines.error(f'bone {words[0][:40]!r} before its parent')
    for name in words[1:]:
        if name not in bones:
            raise lines.error(f'bone {name[:40]!r} is not in :bonedata')
        if name in parents:
            raise lines.error(f'bone {name[:40]!r} has two parents')
        parents[name] = words[0]


def _skeleton(lines, root, bones, parents, radians, scale) -> Skeleton:
    lost = [name for name in bones if name not in parents]
    if lost:
        raise lines.error(f'bone {lost[0][:40]!r} is not in :hierarchy')
    names = ('root', *parents)  # in the order of the hierarchy: parents first
    vectors, axes = [torch.zeros(3, dtype=torch.float64)], [torch.eye(3, dtype=torch.float64)]
    for name in names[1:]:
        bone = bones[name]
        direction = torch.tensor(bone['direction'], dtype=torch.float64)
        vectors.append(direction / direction.norm().clamp_min(1e-6) * bone['length'] * scale)
        axis = torch.eye(3, dtype=torch.float64)
        for letter in bone['axis order']:
            angle = torch.tensor(bone['axis']['xyz'.index(letter)], dtype=torch.float64)
            axis = _about('xyz'.index(letter), angle if radians else angle.deg2rad()) @ axis
        axes.append(axis)
    return Skeleton(
        names,
        (-1, *(names.index(parents[name]) for name in names[1:])),
        torch.stack(vectors),
        torch.stack(axes),
        (root['order'], *(bones[name].get('dof', ()) for name in names[1:])),
        scale,
    )


def _channels(lines, words, known) -> tuple:
    channels = tuple(word.lower() for word in words)
    if len(set(channels)) != len(channels) or not set(channels) <= set(known):
        raise lines.error(f'channels {" ".join(words)[:40]!r}, expected each at most once of {", ".join(known)}')
    return channels


def _axis_order(lines, words) -> str:
    order = words[0].lower() if len(words) == 1 else ''
    if sorted(order) != ['x', 'y', 'z']:
        raise lines.error(f'axis order {" ".join(words)[:40]!r}, expected the letters XYZ in any order')
    return order


def _check_whole(lines, frames, seen, wanted):
    if seen != wanted:
        raise lines.error(f'frame {frames} ends without {min(wanted - seen)}')


def _about(axis: int, angles: Tensor) -> Tensor:
    """Turns (..., 3, 3) about x, y or z by angles (...), radians."""
    zero, one, cosine, sine = torch.zeros_like(angles), torch.ones_like(angles), angles.cos(), angles.sin()
    rows = [[one, zero, zero], [zero, cosine, -sine], [zero, sine, cosine]]
    rows = [[rows[(i - axis) % 3][(k - axis) % 3] for k in range(3)] for i in range(3)]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


class _Lines:
    """A text file's lines as lists of words, without comments; knows where it is for messages."""

    def __init__(self, path, largest):
        self.path, self.number = Path(path), 0
        if not self.path.is_file():
            raise AcclaimError(f'{path}: no such file')
        size = self.path.stat().st_size
        if size > largest:
            raise AcclaimError(f'{path}: {size} bytes, expected at most {largest}')

    def __iter__(self):
        with self.path.open(encoding='latin-1') as file:
            for self.number, line in enumerate(file, 1):
                words = line.split('#')[0].split()
                if words:
                    yield words

    def error(self, text) -> AcclaimError:
        return AcclaimError(f'{self.path}:{self.number}: {text}')

    def numbers(self, words, count) -> list:
        """Exactly `count` finite numbers."""
        try:
            numbers = [float(word) for word in words]
        except ValueError:
            numbers = []
        if len(numbers) != count or not all(abs(number) < 1e9 for number in numbers):
            raise self.error(f'{" ".join(words)[:60]!r}, expected {count} number{"s" if count > 1 else ""}')
        return numbers

    def one_of(self, words, *known) -> str:
        word = words[0].lower() if len(words) == 1 else ''
        if word not in known:
            raise self.error(f'{" ".join(words)[:40]!r}, expected {" or ".join(known)}')
        return word
