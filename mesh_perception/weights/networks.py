"""The open networks by name, ready to run: imported from the fetched originals once, then read from the cache.

An imported network is <cache>/networks/NAME-VERSION.safetensors; a file that is damaged, or was made from another
original or by another version of the importers, is made anew.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from mesh_perception.weights.graph import Graph, NetworkFileError, load_graph, save_graph
from mesh_perception.weights.modules import BlazePose, MoveNet, NanoDet
from mesh_perception.weights.registry import BY_NAME
from mesh_perception.weights.store import cache_directory, path_of
from mesh_perception.weights.tfjs_import import import_tfjs
from mesh_perception.weights.tflite_import import import_tflite

VERSION = 2  # of the importers: raise it when what they write changes


def _import_blazepose(files: list[Path]) -> Graph:
    # the other outputs are the segmentation mask and heat maps, which nothing here needs
    return import_tflite(files[0].read_bytes(), ('Identity', 'Identity_1', 'Identity_4'), str(files[0]))


def _import_movenet(files: list[Path]) -> Graph:
    heads = ('center_0/conv2d_4', 'box_scale_0/conv2d_5', 'box_offset_0/conv2d_6')
    heads += ('kpt_heatmap_0/conv2d_7', 'kpt_regress_0/conv2d_8', 'kpt_offset_0/conv2d_9')
    outputs = [f'StatefulPartitionedCall/{head}/BiasAdd' for head in heads]
    return import_tfjs(files[0].read_bytes(), files[1].read_bytes(), outputs, 'NHWC', (256, 256), str(files[0]))


def _import_nanodet(files: list[Path]) -> Graph:
    outputs = ('Identity', 'Identity_1', 'Identity_2', 'Identity_3', 'Identity_4', 'Identity_5')
    return import_tfjs(files[0].read_bytes(), files[1].read_bytes(), outputs, 'NCHW', (416, 416), str(files[0]))


@dataclass(frozen=True)
class _Network:
    files: tuple[str, ...]
    read: Callable[[list[Path]], Graph]
    module: Callable[[Graph, torch.dtype], nn.Module]


NETWORKS = {
    'blazepose_full': _Network(('pose_landmark_full.tflite',), _import_blazepose, BlazePose),
    'blazepose_heavy': _Network(('pose_landmark_heavy.tflite',), _import_blazepose, BlazePose),
    'movenet_multipose': _Network(('movenet-multipose.json', 'movenet-multipose.bin'), _import_movenet, MoveNet),
    'nanodet': _Network(('nanodet.json', 'nanodet.bin'), _import_nanodet, NanoDet),
}


def load_network(name: str, device: torch.device | str = 'cpu', dtype: torch.dtype = torch.float32) -> nn.Module:
    """The network `name` (a key of NETWORKS) on `device`, its body in `dtype` (float32, float16 or bfloat16), in
    evaluation mode.

    Raises ValueError for an unknown name or dtype, and `store.WeightsError` (a ValueError too) if the original was
    not fetched.
    """
    if name not in NETWORKS:
        raise ValueError(f'unknown network {name!r}: expected one of {", ".join(NETWORKS)}')
    if dtype not in (torch.float32, torch.float16, torch.bfloat16):
        raise ValueError(f'network {name}: cannot run in {dtype}, only in float32, float16 or bfloat16')
    if dtype == torch.bfloat16 and name.startswith('blazepose'):
        # rounding its weights alone, all arithmetic in float32, already moves the world landmarks by 0.1 to 0.2 m
        warnings.warn(f'{name} in bfloat16 is wrong by 0.1 m and more: use float16 or float32', stacklevel=2)
    network = NETWORKS[name]
    files = [path_of(file) for file in network.files]
    source = ' '.join(BY_NAME[file].sha256 for file in network.files)
    graph = _cached_graph(name, source, lambda: network.read(files))
    return network.module(graph, dtype).to(device).eval()


def _cached_graph(name: str, source: str, make: Callable[[], Graph]) -> Graph:
    path = cache_directory() / 'networks' / f'{name}-{VERSION}.safetensors'
    if path.exists():
        try:
            return load_graph(path, VERSION, source)
        except NetworkFileError as error:
            warnings.warn(f'{error}; it is made anew', stacklevel=3)
    graph = make()
    try:
        save_graph(graph, path, VERSION, source)
    except OSError as error:
        warnings.warn(
            f'{path}: the imported network could not be kept ({error}); it is imported again next time', stacklevel=3
        )
    return graph
