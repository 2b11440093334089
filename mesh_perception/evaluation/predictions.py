"""What the pipeline says about single images, kept on the disk, so that an interrupted benchmark goes on."""

import dataclasses
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor
from tqdm import tqdm

import mesh_perception
from mesh_perception.configuration import model_files
from mesh_perception.geometry.camera import Camera
from mesh_perception.tensor_files import TensorFileError, open_safetensors, write_safetensors
from mesh_perception.types import People

BOXES = ('detector', 'truth')
_CHUNK = 64  # frames a file
_SECONDS = 30  # what an interruption may cost


@dataclass
class Frame:
    """One image of a benchmark."""

    name: str  # unique in the benchmark
    load: Callable[[], np.ndarray]  # -> uint8 RGB (H, W, 3)
    camera: Camera
    boxes: Tensor | None = None  # (K, 4) px of the true people


class PredictionsError(ValueError):
    """Predictions that cannot be made or gone on with; one line."""


def predict(pipeline, frames: Sequence[Frame], folder, boxes='detector') -> Iterator[tuple[Frame, People]]:
    """Yields each frame with its People, as a single image: nothing is known of the frames before it.

    boxes: 'detector', or 'truth': one person in each of the frame's own boxes, in their order. Answers are kept in
    FOLDER/predictions/DIGEST, a folder for each combination of models, code, device and boxes, and are not computed
    again, unless the frame's camera or boxes changed. Shows progress.

    Raises PredictionsError if two frames have one name and, naming the file, for an image that cannot be read and for
    kept answers that are of something else than their folder says.
    """
    if boxes not in BOXES:
        raise PredictionsError(f'boxes {boxes!r}: expected one of {", ".join(BOXES)}')
    names = [frame.name for frame in frames]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise PredictionsError(f'{twice}: two frames of this name, expected one')
    digest = fingerprint(pipeline, boxes)
    store = _Store(Path(folder) / 'predictions' / digest[:16], digest)
    try:
        with tqdm(total=len(frames), unit='image', disable=not sys.stderr.isatty()) as bar:
            for frame in frames:
                key = _key(frame, boxes)
                people = store.get(key)
                if people is None:
                    people = _predict(pipeline, frame, boxes)
                    store.put(key, people)
                bar.update()
                yield frame, people
    finally:
        store.flush()


def fingerprint(pipeline, boxes) -> str:
    """A digest of all that decides what a pipeline says: configuration, weights, body, code, device and boxes mode."""
    config = dataclasses.replace(pipeline.config, name='', folder='', device=pipeline.device.type)
    digest = hashlib.sha256(f'{config} {boxes} {pipeline.body.id}'.encode())
    package = Path(mesh_perception.__file__).parent
    # The registry of weights, with their sha256, is among the code.
    for path in sorted([*package.rglob('*.py'), *(package / 'data').iterdir()]):
        if path.relative_to(package).parts[0] not in _ELSEWHERE:
            digest.update(str(path.relative_to(package)).encode() + path.read_bytes())
    for file in model_files(pipeline.config):
        with open(file.path, 'rb') as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


# What the pipeline's answers do not depend on.
_ELSEWHERE = (
    *('evaluation', 'synthetic', 'training', 'ros', 'unbuilt', 'visualization'),
    *('cli.py', 'run.py', 'describe.py', 'benchmark.py', 'speed.py', 'crowd.py', 'media.py', 'records.py'),
)


def _key(frame, boxes):
    camera = frame.camera
    parts = [camera.width, camera.height, camera.k.tolist(), camera.model, camera.distortion.tolist()]
    if boxes == 'truth':
        if frame.boxes is None:
            raise PredictionsError(f'{frame.name}: no true boxes of this image, expected them with boxes truth')
        parts.append(frame.boxes.tolist())
    return f'{frame.name} {hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]}'


def _predict(pipeline, frame, boxes):
    try:
        image = frame.load()
    except OSError as error:
        named = error.filename or frame.name
        raise PredictionsError(f'{named}: {error.strerror or "cannot be read as a picture"}') from None
    try:
        if boxes == 'truth':
            return pipeline.in_boxes(image, frame.camera, frame.boxes)
        pipeline.reset()
        return pipeline(image, frame.camera)
    except ValueError as error:
        raise PredictionsError(f'{frame.name}: {error}') from None


class _Store:
    """People by key, in files of some dozens: safetensors of all their people, with keys and counts in the header."""

    def __init__(self, folder, digest):
        self.folder, self.digest = folder, digest
        self.places = {}  # key -> file, first row, row after the last
        self.waiting, self.since = {}, time.monotonic()
        self.opened, self.people = None, None
        for path in sorted(folder.glob('*.safetensors')):
            self._index(path)

    def _index(self, path):
        with open_safetensors(path) as file:
            header = file.metadata() or {}
        if header.get('fingerprint') != self.digest:
            raise PredictionsError(
                f'{path}: predictions of other models, code, device or boxes than those of its folder; delete it'
            )
        start = 0
        for key, count in json.loads(header['frames']):
            self.places[key] = (path, start, start + count)
            start += count

    def get(self, key):
        if key in self.waiting:
            return self.waiting[key].clone()
        if key not in self.places:
            return None
        path, start, stop = self.places[key]
        if path != self.opened:
            with open_safetensors(path) as file:
                names = {field.name for field in dataclasses.fields(People)}
                if set(file.keys()) != names:
                    raise TensorFileError(f'{path}: not predictions of this version, expected {", ".join(names)}')
                self.people = People.of_tensors({name: file.get_tensor(name) for name in names})
            self.opened = path
        return self.people[start:stop].clone()

    def put(self, key, people):
        self.waiting[key] = people
        if len(self.waiting) >= _CHUNK or time.monotonic() - self.since > _SECONDS:
            self.flush()

    def flush(self):
        """Writes what waits."""
        if self.waiting:
            people = People.cat(list(self.waiting.values()))
            keys = [(key, len(one)) for key, one in self.waiting.items()]
            number = len(list(self.folder.glob('*.safetensors')))
            path = self.folder / f'{number:06d}.safetensors'
            header = {'fingerprint': self.digest, 'frames': json.dumps(keys)}
            write_safetensors(path, people.tensors(), header)
            self._index(path)
            self.waiting = {}
        self.since = time.monotonic()
