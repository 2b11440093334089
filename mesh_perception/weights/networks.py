"""The open networks by name, ready to run: imported from the fetched originals once, then read from the cache.

An imported network is <cache>/networks/NAME-VERSION.safetensors; a file that is damaged, or was made from another original or by another
version of the importers, is made anew.
"""

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mesh_perception.weights import store
from mesh_perception.weights.engine import GraphModule
from mesh_perception.weights.graph import Graph, NetworkFileError, load_graph, save_graph
from mesh_perception.weights.tflite_import import import_tflite

VERSION = 1  # of the importers: raise it when what they write changes


class BlazePoseOutput(NamedTuple):
    """BlazePose's raw outputs in float32. `landmarks` (N, 195): 39 x (x, y, z in crop pixels, visibility and presence before the sigmoid);
    `presence` (N, 1): probability of a person in the crop; `world` (N, 117): 39 x (x, y, z) metres from the middle of the hips."""

    landmarks: Tensor
    presence: Tensor
    world: Tensor


class BlazePose(nn.Module):
    """BlazePose GHUM's landmark network: images (N, 3, 256, 256), RGB in [0, 1], to `BlazePoseOutput`. The segmentation is left out."""

    def __init__(self, graph: Graph, dtype: torch.dtype = torch.float32):
        super().__init__()
        self.network = GraphModule(graph, dtype)

    def forward(self, images: Tensor) -> BlazePoseOutput:
        if images.dim() != 4 or images.shape[1:] != (3, 256, 256):
            raise ValueError(f'BlazePose takes images (N, 3, 256, 256), not {tuple(images.shape)}')
        if len(images) == 0:
            return BlazePoseOutput(*(images.new_zeros((0, size), dtype=torch.float32) for size in (195, 1, 117)))
        return BlazePoseOutput(*self.network(images))


def _import_blazepose(files: list[Path]) -> Graph:
    # the other outputs are the segmentation mask and heat maps, which nothing here needs
    return import_tflite(files[0].read_bytes(), ('Identity', 'Identity_1', 'Identity_4'), str(files[0]))


@dataclass(frozen=True)
class _Network:
    files: tuple[str, ...]
    read: Callable[[list[Path]], Graph]
    module: Callable[[Graph, torch.dtype], nn.Module]


NETWORKS = {
    'blazepose_full': _Network(('pose_landmark_full.tflite',), _import_blazepose, BlazePose),
    'blazepose_heavy': _Network(('pose_landmark_heavy.tflite',), _import_blazepose, BlazePose),
}


def load_network(name: str, device: torch.device | str = 'cpu', dtype: torch.dtype = torch.float32) -> nn.Module:
    """The network `name` (a key of NETWORKS) on `device`, its body in `dtype` (float32, float16 or bfloat16), in evaluation mode.

    Raises ValueError for an unknown name or dtype, and what `store.path_of` raises if the original was not fetched.
    """
    if name not in NETWORKS:
        raise ValueError(f'unknown network {name!r}: expected one of {", ".join(NETWORKS)}')
    if dtype not in (torch.float32, torch.float16, torch.bfloat16):
        raise ValueError(f'network {name}: cannot run in {dtype}, only in float32, float16 or bfloat16')
    network = NETWORKS[name]
    files = [Path(store.path_of(file)) for file in network.files]
    source = hashlib.sha256(b''.join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()
    graph = _cached_graph(name, source, lambda: network.read(files))
    return network.module(graph, dtype).to(device).eval()


def _cached_graph(name: str, source: str, make: Callable[[], Graph]) -> Graph:
    path = Path(store.cache_directory()) / 'networks' / f'{name}-{VERSION}.safetensors'
    if path.exists():
        try:
            return load_graph(path, VERSION, source)
        except NetworkFileError as error:
            warnings.warn(f'{error}; it is made anew', stacklevel=3)
    graph = make()
    try:
        save_graph(graph, path, VERSION, source)
    except OSError as error:
        warnings.warn(f'{path}: the imported network could not be kept ({error}); it is imported again next time', stacklevel=3)
    return graph
