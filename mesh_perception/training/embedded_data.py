"""Pairs as whole pictures: one look at everybody found in one scene, so that who stands together stays together."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mesh_perception.tensor_files import TensorFileError, open_safetensors
from mesh_perception.training.pairs import Pairs, load_pairs

VALIDATION = 10  # a scene validates where its seed is a multiple of this


@dataclass
class Batch:
    """The people of some pictures."""

    pairs: Pairs
    pictures: Tensor  # (N,) int64, which picture each is in

    def __len__(self):
        return len(self.pairs)


class Pictures:
    """N pairs, on their device, by the pictures they are in: rows that follow each other and are of one look at one
    scene."""

    def __init__(self, pairs: Pairs):
        self.pairs = pairs
        looks = torch.stack((pairs.scenes, pairs.looks), 1)
        _, numbers, counts = looks.unique_consecutive(dim=0, return_inverse=True, return_counts=True)
        self.numbers, self.rows = numbers, torch.arange(len(pairs)).split(counts.tolist())

    def __len__(self):
        return len(self.rows)

    def take(self, chosen: list[int]) -> Batch:
        """The people of the chosen pictures, at least one."""
        rows = torch.cat([self.rows[number] for number in chosen]).to(self.numbers.device)
        return Batch(self.pairs[rows], self.numbers[rows])


def split_by_scene(pairs: Pairs) -> tuple[Pictures, Pictures]:
    """(those to learn from, those to validate with): no scene is in both."""
    validates = pairs.scenes % VALIDATION == 0
    return Pictures(pairs[~validates]), Pictures(pairs[validates])


def read_pairs(folder: Path, network: str, visible: float) -> tuple[Pairs, list[str]]:
    """Usable pairs of all files in a folder, and what data these are.

    Left out are people of whom not more than the share `visible` is seen, and landmarks that are not finite. Raises
    TensorFileError, naming the file, for what are no pairs, and for those of another landmark network than `network`;
    a file that does not say whose landmarks it holds is believed.
    """
    pairs = load_pairs(folder)
    names = set()
    for path in sorted(folder.glob('*.safetensors')):
        description = _description(path)
        if description.get('network', network) != network:
            raise TensorFileError(f'{path}: landmarks of {description["network"]!r}, expected {network!r}')
        names.add(f'pairs, poses: {description.get("poses", "unknown")}')
    landmarks = pairs.landmarks
    values = (landmarks.image, landmarks.world, landmarks.features)
    finite = torch.cat([value.flatten(1) for value in values], 1).isfinite().all(1)
    return pairs[finite & (pairs.truth.shares[:, 0] > visible)], sorted(names)


def _description(path):
    with open_safetensors(path) as file:
        text = (file.metadata() or {}).get('description', '')
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise TensorFileError(f'{path}: its description is not readable as JSON')
    return found
