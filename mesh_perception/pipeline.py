"""The whole method on one screen: an image and its camera in, people out."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from mesh_perception.body import skin, skin_joints
from mesh_perception.geometry.boxes import around
from mesh_perception.geometry.camera import Camera
from mesh_perception.geometry.crops import crop
from mesh_perception.inverse_kinematics import initial_parameters
from mesh_perception.inverse_kinematics.twist_shape import parameters_from_twists
from mesh_perception.parts import Parts
from mesh_perception.refinement.refine import finish, refine, refine_with_attention
from mesh_perception.skeleton.absolute import inside_image, place_body
from mesh_perception.skeleton.stages import keep_better
from mesh_perception.stopwatch import Stopwatch
from mesh_perception.tracking import Tracker
from mesh_perception.tracking.smoothing import Smoother
from mesh_perception.tracking.tracks import Candidates, Observations
from mesh_perception.transfer import move
from mesh_perception.types import Detections, People, Regions, Sightings


def choose_device(name):
    """'auto' is the GPU where there is one. Raises ValueError for a device that is not there."""
    if name == 'auto':
        name = 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ('cpu', 'cuda'):
        raise ValueError(f'unknown device {name!r}: expected auto, cpu, cuda or cuda:N')
    if device.type != 'cuda':
        return device
    index = device.index or 0
    if index >= torch.cuda.device_count():
        raise ValueError(f'device {name!r} is not there: torch sees {torch.cuda.device_count()} CUDA devices')
    return torch.device('cuda', index)  # tensors name theirs with the index: without it the two would differ


def as_picture(image, camera):
    """A numpy image as a tensor (H, W, 3) on the CPU. Raises ValueError unless it is uint8 RGB of the camera's size."""
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.shape != (camera.height, camera.width, 3):
        raise ValueError(
            f'image of shape {image.shape} and type {image.dtype} does not fit a camera of '
            f'{camera.width}x{camera.height}: expected ({camera.height}, {camera.width}, 3) and uint8'
        )
    # Torch takes no mirrored views, and warns of memory that it must not write to.
    return torch.from_numpy(np.require(image, requirements=('C', 'W')))


@dataclass
class Seen:
    """One look at the image: everything about every candidate, back on the CPU."""

    candidates: Candidates
    observations: Observations
    people: People  # without ids and states
    valid: torch.Tensor  # (N,) bool, which of them are people, each once


class MeshPipeline:
    """People in one camera's images, frame after frame. Not thread-safe; one per camera.

    Pipelines with the same `parts` may each have a thread: whoever needs the networks waits for a turn.
    """

    def __init__(self, config, random=False, attention=False, shared=None):
        """config: Config. random: networks without their weights, to look at. attention: keep the refiner's attention
        of the last frame's people, (N, 24, N, 24), in `last_attention`. shared: `parts` of another pipeline with the
        same model set and device, in place of a second copy.

        Raises ValueError, one line, that names a missing or unfit file, or the device.
        """
        self.config = config
        self.parts = shared or Parts(config, choose_device(config.device), random)
        self.device, self.body, self.light_body = self.parts.device, self.parts.body, self.parts.light_body
        self.detector, self.skeleton = self.parts.detector, self.parts.skeleton
        self.twist_shape, self.refiner = self.parts.twist_shape, self.parts.refiner
        if attention and self.refiner is None:
            raise ValueError(f'model set {config.name}: it has no refiner, and so no attention to show')
        self.attention, self.last_attention = attention, None
        self.tracker = Tracker(config.tracking, config.skeleton.threshold)
        self.smoother = Smoother(self.body.to('cpu'), max(config.tracking.remember, Tracker.PAUSE))
        self.smoothing = config.tracking.smoothing  # may be switched between two images
        self.stopwatch = Stopwatch()
        if shared is None:
            self._warm_up()

    def reset(self):
        """Forgets everybody: the next image has nothing to do with the last."""
        self.tracker.reset()
        self.smoother.reset()

    def __call__(self, image, camera, stamp=0.0):
        """image: uint8 (H, W, 3) RGB numpy; camera: Camera of that size; stamp: s. -> People on the CPU.

        Raises ValueError where image and camera do not fit together.
        """
        picture = as_picture(image, camera)
        self.stopwatch.milliseconds = {}
        with self.parts.turns, torch.inference_mode():
            people = self._follow(picture, camera, stamp)
        # Tensors of the caller's own: the tracker goes on with its, and inference mode's could not be changed.
        return people.clone()

    def in_boxes(self, image, camera, boxes):
        """One person in each box (N, 4) px of a single image (both as in __call__): People on the CPU, row i for box i.

        Nobody is dropped, however low the score; ids count from 1; whoever is followed is left alone. Raises ValueError
        for boxes of another shape.
        """
        picture = as_picture(image, camera)
        if boxes.dim() != 2 or boxes.shape[1] != 4:
            raise ValueError(f'boxes {tuple(boxes.shape)}: expected (N, 4)')
        count = len(boxes)
        found = Detections(boxes.float(), torch.ones(count), torch.zeros(count, 17, 3))
        with self.parts.turns, torch.inference_mode():
            picture, found = move([picture, found], self.device)
            sightings = self._sightings(picture, camera, self.skeleton.regions(found))
            if self.skeleton.looks_twice and count:
                sightings = self._second_look(picture, camera, sightings, found)
            people = move([self._people(sightings.skeletons, camera)], 'cpu')[0]
        people.track_ids = torch.arange(1, count + 1)
        return people.clone()

    def _follow(self, picture, camera, stamp):
        self.tracker.start(stamp, (camera.width, camera.height))
        detections = None
        if self.tracker.wants_detection():
            picture = picture.to(self.device)
            detections = self.detect(picture)
        seen = self.look(picture, camera, detections)
        if detections is None and self.tracker.lost_somebody(seen.candidates, seen.valid):
            picture = picture.to(self.device)
            seen = self.look(picture, camera, self.detect(picture))
        people = seen.people[seen.valid]
        if self.attention:
            self.last_attention = self.last_attention[seen.valid][:, :, seen.valid]
        found = self.tracker.update(seen.candidates, seen.valid, seen.observations)
        people.track_ids, people.states, people.velocity = found
        return self._smoothed(people, seen.observations[seen.valid], camera)

    def _smoothed(self, people, seen, camera):
        if not self.smoothing:
            self.smoother.reset()
            return people
        with self.stopwatch('smooth'):
            return self.smoother(people, seen, camera, self.tracker.time.now)

    @torch.inference_mode()
    def detect(self, picture):
        """Who a detector sees in a picture (H, W, 3), uint8 RGB tensor: Detections on the CPU."""
        with self.stopwatch('detect'):
            return move([self.detector(picture)], 'cpu')[0]

    @torch.inference_mode()
    def look(self, picture, camera, detections=None):
        """Looks at everybody who is followed, and at detections (on the CPU) of others, in a picture (H, W, 3), a uint8
        RGB tensor: Seen. Off the CPU, all goes there in one copy and comes back in another."""
        candidates = self.tracker.propose(detections, self.skeleton.regions, self.skeleton.follows_boxes)
        picture, regions, found = move([picture, candidates.regions, candidates.detections], self.device)
        sightings = self._sightings(picture, camera, regions)
        new = slice(int((candidates.tracks >= 0).sum()), None)
        if self.skeleton.looks_twice and len(candidates.tracks[new]):
            better = self._second_look(picture, camera, sightings[new], found[new])
            sightings = Sightings.cat([sightings[: new.start], better])
        people = self._people(sightings.skeletons, camera)
        joints, regions, people = move([sightings.skeletons.image_joints, sightings.next, people], 'cpu')
        observations = Observations(
            joints=joints,
            scores=people.scores,
            boxes=people.boxes,
            roots=people.joints[:, 0],
            certainty=(people.joint_confidence * inside_image(joints, camera)).mean(1),
            next=regions,
        )
        return Seen(candidates, observations, people, self.tracker.valid(candidates, observations))

    def meshes(self, people, light=False):
        """Vertices (N, V, 3) m in the camera's frame as numpy; `light`: those of the body's light mesh alone."""
        body = self.light_body if light else self.body
        with self.parts.turns, self.stopwatch('mesh'), torch.inference_mode():
            parameters = move([people.rotations, people.betas, people.translation], self.device)
            return skin(body, *parameters).vertices.cpu().numpy()

    def _sightings(self, picture, camera, regions):
        with self.stopwatch('crop'):
            crops = crop(picture, camera, regions)
        with self.stopwatch('skeleton'):
            return self.skeleton(crops, camera)

    def _second_look(self, picture, camera, first, found):
        second = self._sightings(picture, camera, first.next)
        return keep_better(first, second, found, self.config.skeleton.threshold)

    def _people(self, skeletons, camera):
        """Skeletons -> People: inverse kinematics (Sec. 3.2), refinement (3.3), and the metric place (3.1)."""
        with self.stopwatch('inverse kinematics'):
            if self.twist_shape is None:
                parameters = initial_parameters(self.body, skeletons)
            else:
                parameters = parameters_from_twists(self.body, skeletons, *self.twist_shape(skeletons.features))
            joints = skin_joints(self.body, parameters.rotations, parameters.betas, parameters.translation)
            shift = place_body(joints, skeletons, camera) - joints[:, 0]
            joints, translation = joints + shift[:, None], parameters.translation + shift
        if self.refiner is not None:
            with self.stopwatch('refine'):
                parameters, joints, translation = self._refine(skeletons, parameters, translation, camera)
        joints_2d = camera.project(joints)
        boxes = around(torch.cat((joints_2d, skeletons.image_joints), 1))
        return People(
            track_ids=torch.zeros_like(joints[:, 0, 0], dtype=torch.int64),
            states=torch.zeros_like(joints[:, 0, 0], dtype=torch.uint8),
            scores=skeletons.scores,
            boxes=boxes,
            rotations=parameters.rotations,
            betas=parameters.betas,
            translation=translation,
            joints=joints,
            joints_2d=joints_2d,
            joint_confidence=skeletons.confidence,
            joint_sigma=skeletons.joint_sigma,
            velocity=torch.full_like(translation, torch.nan),
        )

    def _refine(self, skeletons, parameters, translation, camera):
        # Who is not there is nobody's context: people without a finite place are left out of the others' groups.
        there = skeletons.scores >= self.config.skeleton.threshold
        parameters = replace(parameters, translation=translation.where(there[:, None], torch.nan))
        if self.attention:
            refined, attention = refine_with_attention(self.refiner, self.body, skeletons.features, parameters)
            self.last_attention = attention.cpu()
        else:
            refined = refine(self.refiner, self.body, skeletons.features, parameters)
        final = finish(self.body, replace(refined, translation=translation), skeletons, camera)
        return final.parameters, final.meshes.joints, final.parameters.translation

    @torch.inference_mode()
    def _warm_up(self):
        """What torch sets up on first use would otherwise make the first frame wait for seconds."""
        camera = Camera.from_fov(640, 480, 60)
        picture = torch.zeros(480, 640, 3, dtype=torch.uint8, device=self.device)
        self.detector(picture)
        for count in (1, 2):  # one person and several take different ways through the networks
            centers = torch.full((count, 2), 240.0, device=self.device)
            regions = Regions(centers, centers[:, 0] + 60, centers[:, 0] * 0)
            skeletons = self._sightings(picture, camera, regions).skeletons
            self.meshes(self._people(skeletons, camera), light=True)
