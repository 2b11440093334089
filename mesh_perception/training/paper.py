"""The paper's recipe (Sec. 3.4): f^P, f^TS, f^Ref and the discriminators D_theta and D_beta, trained together.

Where gradients flow. Each loss of Eq. 6 trains the network that the paper names as its argument, and all of them the
features F_img that the networks share. So Theta_init is detached before f^Ref refines it: inverse kinematics is
differentiable, and through it L_Ref would pull at f^P's joints twice as hard as L_P does at first (measured). The fake
samples of the discriminators are detached on their side, the discriminators' weights on the other.

The first steps. A place comes from the ratio of 3D and 2D sizes, both next to nothing at first: the gradient of its
loss is ten to thirty times that of the rest of Eq. 7, and undoes what they do. So that loss waits, and the place, which
inverse kinematics needs, begins with weak perspective; both as in MeTRAbs' training, with its numbers of steps.

Crops are of many pictures, each with a camera of its own. f^P works in the crop's frame; inverse kinematics and f^Ref
in the camera's, as at run time. Images are in crop coordinates, [-1, 1], also those of Pi.
"""

from dataclasses import dataclass, field
from pathlib import Path

import torch

from mesh_perception.body import load_body
from mesh_perception.body.light import regressed_body
from mesh_perception.checkpoints import Description, load_torchvision
from mesh_perception.inverse_kinematics.twist_shape import TwistShapeNetwork, parameters_from_twists
from mesh_perception.refinement import Refiner, refine, training_groups
from mesh_perception.skeleton.metric import SkeletonNetwork
from mesh_perception.skeleton.resnet import STRIDE
from mesh_perception.synthetic.poses import captured_poses, prior_poses
from mesh_perception.synthetic.shapes import sample_betas
from mesh_perception.training.augmentation import AugmentationSettings
from mesh_perception.training.datasets.loading import Together, batches
from mesh_perception.training.datasets.samples import Samples
from mesh_perception.training.datasets.synthetic import SyntheticCrops
from mesh_perception.training.datasets.threedpw import ThreeDPWCrops
from mesh_perception.training.discriminators import PoseDiscriminator, ShapeDiscriminator, judged
from mesh_perception.training.losses import discriminator_loss, generator_loss, masked_mean
from mesh_perception.training.paper_terms import crop_skeletons, refined_terms, skeleton_terms, twist_terms
from mesh_perception.training.paper_validation import validation_samples, validation_scores
from mesh_perception.training.settings import check_weights, one_of, within
from mesh_perception.training.task import refiner_and_rest, refiner_sizes
from mesh_perception.types import BodyParameters, Skeletons

TERMS = (
    *('absolute', 'relative', 'image', 'projected'),  # Eq. 7
    *('twist', 'shape', 'leaf'),  # Eq. 9, 10; leaves turn freely here and have a loss of their own
    *('refined_pose', 'refined_shape', 'refined_joints', 'refined_projection'),  # Eq. 12, 13
    *('adversarial_pose', 'adversarial_shape'),  # Eq. 15
)


@dataclass(frozen=True)
class Settings:
    """What config/training/paper.yaml holds under `settings`."""

    body: str = 'open'  # or the path of an SMPL .pkl or .npz
    backbone: str = ''  # a torchvision ResNet's weights to start from; empty: none
    depth: int = one_of(50, 18, 34, 101)  # of the ResNet
    hidden: int = within(1024, 1, 8192)  # of f^TS
    people: int = within(3, 1, 20)  # N
    width: int = within(1024, 2, 8192)  # of f^Ref
    blocks: int = within(2, 1, 64)  # of f^Ref
    heads: int = within(4, 1, 64)  # of f^Ref
    head_size: int = within(64, 1, 512)  # of f^Ref
    mlp: int = within(2048, 1, 8192)  # of f^Ref, width of its perceptrons
    masking: float = within(0.3, 0, 1)  # largest share of f^Ref's tokens that is hidden
    discriminator: int = within(1024, 1, 8192)  # width of D_theta
    weak_steps: int = within(500, 0, 1_000_000)  # first steps, with weak perspective
    absolute_from: int = within(5000, 0, 1_000_000)  # step from which the absolute skeleton's loss counts
    weights: dict = field(default_factory=dict)  # factors of TERMS; 1 where not named

    size: int = within(256, 64, 1024)  # px of crops, a multiple of 32
    epoch_samples: int = within(64_000, 1, 1 << 40)  # people an epoch
    workers: int = within(4, 0, 1024)  # processes that make crops
    pictures: str = ''  # a folder of images to put behind people; empty: drawn places
    threedpw: str = ''  # 3DPW's folder, for an SMPL body; empty: none
    smpl: str = ''  # the folder of SMPL_MALE and SMPL_FEMALE, which 3DPW's truth needs
    real: float = within(0.5, 0, 1)  # share of a batch that is of 3DPW
    roll: float = within(30.0, 0, 180)  # the rest: see AugmentationSettings
    scale: float = within(0.25, 0, 0.9)
    shift: float = within(0.1, 0, 1)
    flip: float = within(0.5, 0, 1)
    occlusion: float = within(0.5, 0, 1)
    colour: float = within(1.0, 0, 1)
    validation_scenes: int = within(200, 0, 100_000)  # of the synthetic benchmark


def make_task(config, data, device) -> 'PaperTask':
    """See training.task. data: a folder of motion capture, .npz files or CMU's .asf and .amc, of whose training clips
    poses are taken; None: the prior that comes along. Raises ValueError in one line."""
    body = load_body(config.settings.body)
    poses = captured_poses(sorted(Path(data).glob('*.npz')) or [data], body, 'train') if data else prior_poses()
    return PaperTask(config, body, poses, device)


class PaperTask:
    """A training.task.Task. body: on the CPU; poses: a PoseSource, both of who is drawn and of what D_theta takes as
    real."""

    discriminators = ('pose_discriminator', 'shape_discriminator')

    def __init__(self, config, body, poses, device):
        settings = config.settings
        _check(settings)
        self.settings, self.poses, self.device, self.seed = settings, poses, torch.device(device), config.seed
        self.batch_size = config.batch_size
        self.cpu_body, self.body = body, body.to(device)
        self.sparse_body = regressed_body(self.body)
        self.sizes = refiner_sizes(settings) | {'relative_roots': False, 'normalise': False}
        self.modules = _networks(settings, body.num_betas, self.sizes, self.device)
        self.weights = dict.fromkeys(TERMS, 1.0) | settings.weights
        self.steps_per_epoch = max(1, settings.epoch_samples // config.batch_size)
        self.data = ['synthetic scenes', f'poses: {poses.name}', *(['3DPW'] if settings.threedpw else [])]
        self._datasets = {}
        self._dataset(config.batch_size)  # says what is missing before anything is done
        self._validation = None

    def parameter_groups(self, config):
        """Adam's groups."""
        return refiner_and_rest(self, config)

    def batches(self, epoch, start, rank, world):
        """Samples of config.batch_size / world people each."""
        dataset = self._dataset(self.batch_size // world)
        indices = [index * world + rank for index in range(start, self.steps_per_epoch)]
        for samples in batches(dataset, epoch, indices, self.settings.workers):
            yield samples.to(self.device)

    def losses(self, batch: Samples, step: int):
        """Eq. 6, 7, 9, 10, 12, 13 and 15, weighted: ({term: scalar}, what the discriminators judge)."""
        output = self.modules['skeleton'](batch.images.float() / 255)
        twists = self.modules['twist_shape'](output.features)
        with torch.autocast(self.device.type, enabled=False):
            skeletons = crop_skeletons(output, batch, weak=step < self.settings.weak_steps)
            terms = skeleton_terms(output, skeletons, batch) | twist_terms(twists, batch)
            with torch.no_grad():
                initial = parameters_from_twists(self.body, skeletons, *(part.detach() for part in twists))
        groups = training_groups(batch.pictures, self.settings.people)
        refined = refine(self.modules['refiner'], self.body, output.features, initial, groups)
        with torch.autocast(self.device.type, enabled=False):
            terms |= refined_terms(self.sparse_body, refined, batch)
            fakes = {'pose_discriminator': refined.rotations, 'shape_discriminator': refined.betas}
            for (name, fake), term in zip(fakes.items(), TERMS[-2:], strict=True):
                terms[term] = masked_mean(generator_loss(judged(self.modules[name], fake)))
        weights = self.weights if step >= self.settings.absolute_from else self.weights | {'absolute': 0.0}
        losses = {name: weights[name] * value for name, value in terms.items()}
        return losses, {name: fake.detach() for name, fake in fakes.items()}

    def discriminator_losses(self, batch, outputs):
        """Eq. 14: as many real samples as there are estimates."""
        generator = torch.Generator().manual_seed(int(torch.randint(1 << 62, ())))
        with torch.autocast('cpu', enabled=False), torch.autocast(self.device.type, enabled=False):
            reals = self.poses.sample(len(batch), generator), sample_betas(len(batch), self.cpu_body, generator)
            judges = zip(self.discriminators, reals, strict=True)
            return {
                name: discriminator_loss(self.modules[name](outputs[name]), self.modules[name](real.to(self.device)))
                for name, real in judges
            }

    def _dataset(self, count):
        """Batches of `count` people."""
        if count not in self._datasets:
            self._datasets[count] = self._make_dataset(count)
        return self._datasets[count]

    def _make_dataset(self, count):
        settings = self.settings
        varied = AugmentationSettings(
            settings.roll, settings.scale, settings.shift, settings.flip, settings.occlusion, settings.colour
        )
        options = {'seed': self.seed, 'size': settings.size, 'augmentation': varied}
        real = round(settings.real * count) if settings.threedpw else 0
        parts = []
        if real < count:
            pictures = settings.pictures or None
            parts.append(SyntheticCrops(self.cpu_body, self.poses, count - real, pictures=pictures, **options))
        if real:
            parts.append(ThreeDPWCrops(settings.threedpw, settings.smpl, self.cpu_body, real, **options))
        return parts[0] if len(parts) == 1 else Together(*parts)

    @torch.no_grad()
    def estimate(self, batch: Samples) -> tuple[Skeletons, BodyParameters]:
        """Skeletons and Theta_init of Sec. 3.2."""
        output = self.modules['skeleton'](batch.images.float() / 255)
        skeletons = crop_skeletons(output, batch, weak=False)
        return skeletons, parameters_from_twists(self.body, skeletons, *self.modules['twist_shape'](output.features))

    @torch.no_grad()
    def validate(self):
        """Errors on the first of the synthetic benchmark's scenes, as they are: whole batches of true boxes."""
        if not self.settings.validation_scenes:
            return {}
        if self._validation is None:
            self._validation = validation_samples(self.cpu_body, self.settings.validation_scenes, self.settings.size)
        return validation_scores(self, self._validation)

    def descriptions(self):
        """As parts.py expects them of a model set."""
        channels = self.modules['skeleton'].backbone.channels
        numbers = {'num_betas': self.body.num_betas}
        return {
            'skeleton': Description('skeleton', {'depth': self.settings.depth}),
            'twist_shape': Description(
                'twist_shape',
                numbers | {'in_features': channels, 'hidden': self.settings.hidden},
                body=self.body.id,
            ),
            'refiner': Description('refiner', numbers | {'feature_size': channels} | self.sizes, body=self.body.id),
        }


def _networks(settings, num_betas, sizes, device):
    skeleton = SkeletonNetwork(settings.depth)
    if settings.backbone:
        load_torchvision(settings.backbone, skeleton.backbone)
    channels = skeleton.backbone.channels
    modules = {
        'skeleton': skeleton,
        'twist_shape': TwistShapeNetwork(channels, settings.hidden, num_betas),
        'refiner': Refiner(channels, num_betas, masking=settings.masking, **sizes),
        'pose_discriminator': PoseDiscriminator(settings.discriminator),
        'shape_discriminator': ShapeDiscriminator(num_betas),
    }
    return {name: module.to(device, memory_format=torch.channels_last) for name, module in modules.items()}


def _check(settings):
    check_weights(settings.weights, TERMS)
    if settings.size % STRIDE:
        raise ValueError(f'settings.size: {settings.size}, expected a multiple of {STRIDE}')
