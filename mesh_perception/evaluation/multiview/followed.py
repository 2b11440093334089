"""What the pipeline says about every frame of one camera's video, as the node runs it: people are followed."""

import sys
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from tqdm import tqdm

from mesh_perception.evaluation.predictions import fingerprint
from mesh_perception.pipeline import MeshPipeline
from mesh_perception.tensor_files import TensorFileError, open_safetensors, write_safetensors
from mesh_perception.types import People, Skeletons, _Batch


@dataclass
class Followed(_Batch):
    """Everybody in every frame of a video, N in all, in the frames' order."""

    frames: Tensor  # (N,) int64, from 0
    people: People
    skeletons: Skeletons  # what the people were made of, without features
    unsmoothed: Tensor  # (N, 24, 3) m, the people's joints before smoothing over time


class WatchedPipeline(MeshPipeline):
    """The pipeline, with the skeletons that the last frame's people were made of kept in `skeletons`, and their joints
    before smoothing in `unsmoothed`, on the CPU."""

    def look(self, *arguments, **options):
        seen = super().look(*arguments, **options)
        self.skeletons = self._made_of.to('cpu')[seen.valid]  # where a frame is looked at twice, the last look counts
        return seen

    def _smoothed(self, people, seen, camera):
        self.unsmoothed = people.joints
        return super()._smoothed(people, seen, camera)

    def _people(self, skeletons, camera):
        self._made_of = replace(skeletons, features=skeletons.features[:, :0])
        return super()._people(skeletons, camera)


def follow(pipeline, images, camera, rate, label='') -> Followed:
    """Runs a WatchedPipeline over RGB images of one camera, `rate` a second, from nobody known. Shows progress."""
    pipeline.reset()
    found = []
    for index, image in enumerate(tqdm(images, desc=label, unit='frame', disable=not sys.stderr.isatty())):
        people = pipeline(image, camera, index / rate)
        frames = torch.full((len(people),), index)
        found.append(Followed(frames, people, pipeline.skeletons.clone(), pipeline.unsmoothed.clone()))
    return Followed.cat(found)


def follow_once(pipeline, images, camera, rate, path, label='') -> Followed:
    """`follow`, with the answer kept in the file `path` and read from there while the models and their code stay the
    same. images: a function that gives the images, called only where they are needed. Raises OSError where nothing can
    be written."""
    key = f'{fingerprint(pipeline, "detector")} {label} {camera.width}x{camera.height} {camera.k.tolist()} {rate}'
    try:
        with open_safetensors(path) as file:
            if (file.metadata() or {}).get('key') == key:
                return Followed.of_tensors({name: file.get_tensor(name) for name in file.keys()})
    except TensorFileError:
        pass  # not there yet, or cut short: made anew
    followed = follow(pipeline, images(), camera, rate, label)
    write_safetensors(path, followed.tensors(), {'key': key})
    return followed
