"""The whole method on one screen: an image and its camera in, people out."""

from dataclasses import dataclass

import torch

from mesh_perception.body import load_body, skin, skin_joints
from mesh_perception.body.light import light_body
from mesh_perception.detection import Detector
from mesh_perception.geometry.camera import Camera
from mesh_perception.geometry.crops import crop
from mesh_perception.inverse_kinematics import initial_parameters
from mesh_perception.skeleton.absolute import place
from mesh_perception.skeleton.blazepose import BlazePose, Landmarks, keep_better, regions_of_detections
from mesh_perception.skeleton.landmark_joints import load_joint_mapping, skeletons_from_landmarks
from mesh_perception.stopwatch import Stopwatch
from mesh_perception.tracking import Tracker
from mesh_perception.tracking.tracker import Candidates
from mesh_perception.transfer import move
from mesh_perception.types import People, Regions


def choose_device(name):
    """'auto' is the GPU where there is one. Raises ValueError for a device that is not there."""
    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f'unknown device {name!r}: expected auto, cpu, cuda or cuda:N') from None
    if device.type == 'cuda' and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f'device {name!r} is not there: torch sees {torch.cuda.device_count()} CUDA devices')
    return device


@dataclass
class _Seen:
    """One look at the image: everything about every candidate, back on the CPU."""

    candidates: Candidates
    landmarks: Landmarks
    people: People
    valid: torch.Tensor


class MeshPipeline:
    """People in one camera's images, frame after frame. Not thread-safe; one per camera."""

    def __init__(self, config):
        """config: Config. Raises ValueError that names a missing weight file, body or device."""
        self.config = config
        self.device = choose_device(config.device)
        self.body = load_body(config.body).to(self.device)
        self.light_body = light_body(self.body)
        self.detector = Detector(config.detection, device=self.device)
        self.network = BlazePose(config.skeleton.network, device=self.device)
        self.mapping = load_joint_mapping(config.skeleton.network).to(self.device)
        self.tracker = Tracker(config.tracking, config.skeleton.threshold)
        self.stopwatch = Stopwatch()
        self._warm_up()

    def reset(self):
        """Forgets everybody: the next image has nothing to do with the last."""
        self.tracker.reset()

    @torch.inference_mode()
    def __call__(self, image, camera, stamp=0.0):
        """image: uint8 (H, W, 3) RGB numpy; camera: Camera of that size; stamp: s. -> People on the CPU.

        Raises ValueError where image and camera do not fit together.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.shape[:2] != (camera.height, camera.width):
            raise ValueError(
                f'image of shape {tuple(image.shape)} does not fit a camera of '
                f'{camera.width}x{camera.height}: expected ({camera.height}, {camera.width}, 3)'
            )
        self.stopwatch.milliseconds = {}
        picture = torch.from_numpy(image).to(self.device)
        self.tracker.start(stamp)
        detections = self._detect(picture) if self.tracker.wants_detection() else None
        seen = self._look(picture, camera, detections)
        if detections is None and self.tracker.lost_somebody(seen.candidates, seen.valid):
            seen = self._look(picture, camera, self._detect(picture))
        people = seen.people[seen.valid]
        people.track_ids, people.states = self.tracker.update(
            seen.candidates, seen.valid, seen.landmarks, seen.people.boxes, seen.people.joints[:, 0]
        )
        return people

    def meshes(self, people, light=False):
        """Vertices (N, V, 3) m in the camera's frame as numpy; `light`: those of the body's light mesh alone."""
        body = self.light_body if light else self.body
        with self.stopwatch('mesh'), torch.inference_mode():
            return (
                skin(
                    body,
                    people.rotations.to(self.device),
                    people.betas.to(self.device),
                    people.translation.to(self.device),
                )
                .vertices.cpu()
                .numpy()
            )

    def _detect(self, picture):
        with self.stopwatch('detect'):
            return move([self.detector(picture)], 'cpu')[0]

    def _look(self, picture, camera, detections):
        candidates = self.tracker.propose(detections, regions_of_detections)
        regions, found = move([candidates.regions, candidates.detections], self.device)
        landmarks = self._landmarks(picture, camera, regions)
        new = slice(int((candidates.tracks >= 0).sum()), None)
        if len(candidates.tracks[new]):
            # A crop from a detection is rough: new people are looked at twice.
            first = landmarks[new]
            second = self._landmarks(picture, camera, first.next)
            better = keep_better(first, second, found[new], self.config.skeleton.threshold)
            landmarks = Landmarks.cat([landmarks[: new.start], better])
        people = self._people(landmarks, camera)
        landmarks, people = move([landmarks, people], 'cpu')
        return _Seen(candidates, landmarks, people, self.tracker.valid(candidates, landmarks, people.boxes))

    def _landmarks(self, picture, camera, regions):
        with self.stopwatch('crop'):
            crops = crop(picture, camera, regions)
        with self.stopwatch('skeleton'):
            return self.network(crops, camera)

    def _people(self, landmarks, camera):
        """Landmarks -> People, at the metric place that the image joints say (Sec. 3.1 and 3.2)."""
        with self.stopwatch('skeleton'):
            skeletons = skeletons_from_landmarks(landmarks, camera, self.mapping)
        with self.stopwatch('inverse kinematics'):
            parameters = initial_parameters(self.body, skeletons)
            joints = skin_joints(self.body, parameters.rotations, parameters.betas, parameters.translation)
            root, _, _ = place(joints - joints[:, :1], skeletons.image_joints, skeletons.confidence, camera)
            shift = root - joints[:, 0]
            joints = joints + shift[:, None]
            joints_2d = camera.project(joints)
        points = torch.cat((joints_2d, landmarks.image), 1)
        unknown = joints.new_full((len(joints), 24), float('nan'))
        return People(
            track_ids=joints.new_zeros(len(joints)),
            states=joints.new_zeros(len(joints)),
            scores=skeletons.scores,
            boxes=torch.cat((points.amin(1), points.amax(1)), 1),
            rotations=parameters.rotations,
            betas=parameters.betas,
            translation=parameters.translation + shift,
            joints=joints,
            joints_2d=joints_2d,
            joint_confidence=skeletons.confidence,
            joint_sigma=unknown,
            velocity=unknown[:, :3],
        )

    @torch.inference_mode()
    def _warm_up(self):
        """What torch sets up on first use would otherwise make the first frame wait for seconds."""
        camera = Camera.from_fov(640, 480, 60)
        picture = torch.zeros(480, 640, 3, dtype=torch.uint8, device=self.device)
        self.detector(picture)
        region = Regions(*(torch.tensor(value, device=self.device) for value in ([[320.0, 240.0]], [300.0], [0.0])))
        self.meshes(self._people(self._landmarks(picture, camera, region), camera), light=True)
