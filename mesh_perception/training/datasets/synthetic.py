"""Crops of rendered people, made while training runs: scenes drawn, rendered, cropped and varied by worker processes.

A batch is a function of (seed, epoch, index): a run can be repeated, and gone on with from any step.
"""

import numpy as np
import torch
from torch.utils.data import Dataset

from mesh_perception.geometry.crops import regions_from_boxes
from mesh_perception.synthetic.labels import label
from mesh_perception.synthetic.rendering import SceneRenderer
from mesh_perception.synthetic.scene import sample_scene
from mesh_perception.training.augmentation import (
    AugmentationSettings,
    View,
    change_appearance,
    crop_people,
    draw_regions,
    draw_view,
)
from mesh_perception.training.datasets.samples import Samples, boxes_in_picture

LEAST_VISIBLE = 0.1  # share of a silhouette: who is hidden more is nobody to learn from
_TRIES = 5  # scenes in a row in which nobody is seen


class SyntheticCrops(Dataset):
    """Batches of exactly `batch` people: dataset[epoch, index] -> Samples, whole pictures but for the last one.

    body, poses (PoseSource): who is drawn; size: of the crops, px; scenes: SceneSettings; pictures: a folder of images
    to put behind the people. The renderer is made at first use, in the process that uses it. Raises what SceneRenderer
    raises, and ValueError where the scenes' settings show nobody.
    """

    def __init__(
        self,
        body,
        poses,
        batch: int,
        seed: int = 0,
        size: int = 256,
        augmentation: AugmentationSettings | None = None,
        scenes=None,
        pictures=None,
    ):
        self.body, self.poses, self.batch, self.seed, self.size = body, poses, batch, seed, size
        self.augmentation = augmentation or AugmentationSettings()
        self.scenes, self.pictures = scenes, pictures
        self._renderer = None

    def __getstate__(self):
        return self.__dict__ | {'_renderer': None}

    def __getitem__(self, key) -> Samples:
        epoch, index = key
        seeds = np.random.default_rng((self.seed, epoch, index))
        parts, count, misses = [], 0, 0
        while count < self.batch:
            seed = int(seeds.integers(1 << 62))
            try:
                scene = sample_scene(self.poses, self.body, seed, settings=self.scenes)
            except ValueError:  # no camera sees anybody, which happens once in a while
                misses += 1
                if misses == _TRIES:
                    raise
                continue
            samples = self._people(scene, seed, len(parts))
            misses = 0 if len(samples) else misses + 1
            if misses == _TRIES:
                raise ValueError(
                    f'synthetic crops: nobody is seen in {_TRIES} scenes in a row, expected other settings'
                )
            parts.append(samples[: self.batch - count])
            count += len(parts[-1])
        return Samples.cat(parts)

    def _people(self, scene, seed, number) -> Samples:
        """A scene's people who can be seen."""
        if self._renderer is None:
            self._renderer = SceneRenderer(self.body, pictures=self.pictures)
        generator = torch.Generator().manual_seed(seed)
        picture = self._renderer.render(scene)
        view = draw_view(self.augmentation, generator)

        def vary(regions):
            return draw_regions(regions, self.augmentation, generator)

        samples = scene_samples(scene, picture, self.body, view, vary, self.size)
        samples.pictures[:] = number
        return change_appearance(samples, self.augmentation, generator)


def scene_samples(scene, picture, body, view: View | None = None, vary=None, size: int = 256) -> Samples:
    """Samples of everybody in a Scene and its Picture who can be seen, N people; none is fine.

    view: as another camera shows them; vary: changes the Regions to look at, which are upright squares around the part
    of each person's box that is inside the picture, as a detector gives it.
    """
    labels = label(scene, picture, body)
    boxes, large = boxes_in_picture(labels.boxes, scene.camera)
    seen = ((labels.visibility >= LEAST_VISIBLE) & large).nonzero()[:, 0]
    regions = regions_from_boxes(boxes[seen], 1.0)
    nothing = labels.boxes.new_zeros(len(seen), 0)
    truth = Samples(
        images=nothing,
        intrinsics=nothing,
        turns=nothing,
        to_picture=nothing,
        sizes=nothing,
        joints=scene.joints[seen],
        reference_joints=labels.reference_joints[seen],
        rotations=scene.rotations[seen],
        betas=scene.betas[seen],
        twists=labels.twists[seen],
        visible=labels.joint_visible[seen],
        posed=torch.ones(len(seen), dtype=torch.bool),
        shaped=torch.ones(len(seen), dtype=torch.bool),
        pictures=torch.zeros(len(seen), dtype=torch.int64),
    )
    image = torch.from_numpy(np.ascontiguousarray(picture.rgb))
    return crop_people(image, scene.camera, vary(regions) if vary else regions, truth, view or View(), size)
