"""The synthetic benchmark: scenes of fixed seeds, and a fingerprint by which two machines know that they have the same.

Whoever changes poses, shapes, scenes or pictures changes the benchmark: then VERSION must change, and FINGERPRINT with
it; figures of different versions cannot be compared.
"""

import hashlib
from collections.abc import Iterator

from mesh_perception.body import BodyModel
from mesh_perception.synthetic.poses import PoseSource
from mesh_perception.synthetic.scene import MOST_PEOPLE, Scene, sample_scene

VERSION = 'synthetic-1'
SCENES, SEED = 200, 0
# Of the benchmark as it comes: 200 scenes of seed 0 with the open body and the committed poses.
FINGERPRINT = 'f169d52c562e932e'
_GRID = 0.25  # m, 10 000 times and more what the last digits of two machines differ by


def benchmark_scenes(poses: PoseSource, body: BodyModel, count: int = SCENES, seed: int = SEED) -> Iterator[Scene]:
    """The benchmark's scenes: 1, 2, ... 6 people in turn, where the camera sees them all."""
    for index in range(count):
        yield sample_scene(poses, body, seed=1_000_000 * seed + index, people=1 + index % MOST_PEOPLE)


def fingerprint(scenes) -> str:
    """16 hexadecimal digits that stand for the scenes' parameters, up to rounding errors.

    Of every scene the image's size and the number of people; of each person the mean place of the joints and their
    spread, in steps of a quarter of a metre: pose, shape, place and camera all have a part in them.
    """
    digest = hashlib.sha256()
    for scene in scenes:
        digest.update(f'{scene.camera.width}x{scene.camera.height} {len(scene.joints)}:'.encode())
        center = scene.joints.double().mean(1)
        spread = (scene.joints.double() - center[:, None]).abs().sum((1, 2))
        for person in zip(center.tolist(), spread.tolist(), strict=True):
            digest.update(str([round(value / _GRID) for value in (*person[0], person[1])]).encode())
    return digest.hexdigest()[:16]
