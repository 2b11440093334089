"""The embedded set's three heads on pairs: the landmarks' correction, f^TS, and f^Ref with D_theta and D_beta.

Detectors and BlazePose stay as they are; a pair is what they said of a rendered person, and the truth. A batch is whole
pictures, so that whom f^Ref refines together did stand together.

Where gradients flow. Each loss trains the network that it is about. f^TS's features and Theta_init, which inverse
kinematics makes of the corrected skeleton and f^TS's output, are detached: f^Ref refines what it gets. What comes from
the head is so with the head's dropout in it, whose noise stands for the larger errors that the head makes on people it
has not learned from.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from mesh_perception.body import load_body
from mesh_perception.body.light import regressed_body
from mesh_perception.checkpoints import Description
from mesh_perception.inverse_kinematics.twist_shape import TwistShapeNetwork, parameters_from_twists
from mesh_perception.parts import EMBEDDED_FEATURES
from mesh_perception.refinement import Refiner, refine, training_groups
from mesh_perception.skeleton.landmark_head import LandmarkHead
from mesh_perception.skeleton.landmark_joints import load_joint_mapping, skeletons_from_landmarks
from mesh_perception.training.cameras import PinholeBatch
from mesh_perception.training.discriminators import PoseDiscriminator, ShapeDiscriminator, judged
from mesh_perception.training.embedded_data import Batch, read_pairs, split_by_scene
from mesh_perception.training.embedded_terms import TERMS, head_terms, refined_terms, twist_terms, understood
from mesh_perception.training.embedded_validation import placed, validation_figures
from mesh_perception.training.losses import discriminator_loss, generator_loss, masked_mean
from mesh_perception.training.settings import check_weights, one_of, within
from mesh_perception.training.task import refiner_and_rest, refiner_sizes


@dataclass(frozen=True)
class Settings:
    """What config/training/embedded.yaml holds under `settings`."""

    network: str = one_of('blazepose_heavy', 'blazepose_full')  # whose landmarks the pairs hold
    visible: float = within(0.2, 0, 1)  # people of whom less is seen are left out
    dropout: float = within(0.4, 0, 0.9)  # in the head, and of its inputs
    noise: float = within(0.15, 0, 2)  # on its inputs, in their standard deviations
    # Whom the head learns to correct: people seen by more than a share, whose joints are not further off, m.
    head_visible: float = within(0.8, 0, 1)
    head_error: float = within(0.08, 0, 10)
    hidden: int = within(256, 1, 8192)  # of f^TS
    shape: str = one_of('bones', 'network')  # where the initial betas come from: bone lengths, or f^TS (Eq. 10)
    people: int = within(3, 1, 20)  # N
    width: int = within(160, 2, 8192)  # of f^Ref
    blocks: int = within(2, 1, 64)  # of f^Ref
    heads: int = within(4, 1, 64)  # of f^Ref
    head_size: int = within(32, 1, 1024)  # of f^Ref
    mlp: int = within(320, 1, 8192)  # of f^Ref
    normalise: bool = True  # f^Ref takes features at the same scale
    masking: float = within(0.3, 0, 1)  # largest share of f^Ref's tokens that is hidden
    feature_dropout: float = within(0.3, 0, 0.9)  # of the features of f^TS and f^Ref
    discriminator: int = within(128, 1, 8192)  # width of D_theta
    weights: dict = field(default_factory=dict)  # factors of TERMS; 1 where not named


def make_task(config, data, device) -> 'EmbeddedTask':
    """See training.task. data: a folder of pairs, which tools/make_pairs.py writes. Raises ValueError in one line."""
    if data is None:
        raise ValueError('training embedded needs --data FOLDER: pairs, as tools/make_pairs.py writes them')
    return EmbeddedTask(config, data, device)


class EmbeddedTask:
    """A training.task.Task. Everything is on the device, the pairs too."""

    discriminators = ('pose_discriminator', 'shape_discriminator')

    def __init__(self, config, data, device):
        _check(config)
        self.settings, self.seed, self.device = config.settings, config.seed, torch.device(device)
        pairs, self.data = read_pairs(Path(data), self.settings.network, self.settings.visible)
        self.training, self.validation = split_by_scene(pairs.to(self.device))
        if len(self.training) < 2:
            raise ValueError(f'{data}: {len(self.training)} pictures to learn from, expected at least 2')
        # Pictures differ in how many people they have: a step has batch_size people on average.
        count = round(config.batch_size * len(self.training) / len(self.training.pairs))
        self.pictures_per_step = min(max(count, 2), len(self.training))
        self.steps_per_epoch = len(self.training) // self.pictures_per_step
        self.mapping = load_joint_mapping(self.settings.network).to(self.device)
        self.body = regressed_body(load_body('open')).to(self.device)
        self.modules = _networks(self.settings, self.body.num_betas, self.device)
        self.weights = dict.fromkeys(TERMS, 1.0) | self.settings.weights

    def parameter_groups(self, config):
        """Adam's groups."""
        return refiner_and_rest(self, config)

    def batches(self, epoch, start, rank, world):
        """Whole pictures, in another order each epoch; the last few that fill no step are left out of it."""
        if self.pictures_per_step < 2 * world:
            raise ValueError(
                f'batch_size is {self.pictures_per_step} pictures on average, expected 2 for each of {world} processes'
            )
        seed = int(np.random.SeedSequence([self.seed, epoch]).generate_state(1)[0])
        order = torch.randperm(len(self.training), generator=torch.Generator().manual_seed(seed)).tolist()
        for index in range(start, self.steps_per_epoch):
            chosen = order[index * self.pictures_per_step : (index + 1) * self.pictures_per_step]
            yield self.training.take(chosen[rank::world])

    def losses(self, batch: Batch, step: int):
        """TERMS, weighted: ({term: scalar}, what the discriminators judge)."""
        pairs, modules = batch.pairs, self.modules
        cameras = PinholeBatch(pairs.intrinsics, pairs.sizes)
        skeletons = skeletons_from_landmarks(pairs.landmarks, cameras, self.mapping, modules['landmark_head'])
        features = skeletons.features.detach()
        twists = modules['twist_shape'](F.dropout(features, self.settings.feature_dropout))
        with torch.no_grad():
            initial = parameters_from_twists(self.body, skeletons, *(part.detach() for part in twists))
            initial, _ = placed(self.body, initial, skeletons, cameras)
        groups = training_groups(batch.pictures, self.settings.people)
        refined = refine(modules['refiner'], self.body, features, initial, groups)
        chosen = understood(pairs, self.mapping, self.settings.head_error, self.settings.head_visible)
        terms = head_terms(skeletons, pairs, cameras, chosen) | twist_terms(twists, pairs.truth)
        terms |= refined_terms(self.body, refined, skeletons, pairs, cameras)
        fakes = {'pose_discriminator': refined.rotations, 'shape_discriminator': refined.betas}
        for (name, fake), term in zip(fakes.items(), TERMS[-2:], strict=True):
            terms[term] = masked_mean(generator_loss(judged(modules[name], fake)))
        losses = {name: self.weights[name] * value for name, value in terms.items()}
        return losses, {name: fake.detach() for name, fake in fakes.items()}

    def discriminator_losses(self, batch, outputs):
        """Eq. 14. Real samples are what other people of the pairs were rendered with, drawn anew."""
        truth = self.training.pairs.truth
        drawn = torch.randint(len(truth), (len(batch),), device=self.device)
        reals = truth.rotations[drawn], truth.betas[drawn]
        judges = zip(self.discriminators, reals, strict=True)
        return {
            name: discriminator_loss(self.modules[name](outputs[name]), self.modules[name](real))
            for name, real in judges
        }

    def validate(self):
        """Errors on the scenes that nothing was learned from."""
        return validation_figures(self, self.validation) if len(self.validation) else {}

    def descriptions(self):
        """As parts.py expects them of a model set."""
        settings, numbers = self.settings, {'num_betas': self.body.num_betas}
        twist_shape = {'in_features': EMBEDDED_FEATURES, 'hidden': settings.hidden}
        twist_shape['num_betas'] = _betas_of_twist_shape(settings, self.body.num_betas)
        inputs = {'network': settings.network}
        return {
            'landmark_head': Description('landmark_head', inputs=inputs),
            'twist_shape': Description('twist_shape', twist_shape, body=self.body.id, inputs=inputs),
            'refiner': Description('refiner', numbers | _refiner_sizes(settings), body=self.body.id, inputs=inputs),
        }


def _betas_of_twist_shape(settings, num_betas):
    return num_betas if settings.shape == 'network' else 0


def _refiner_sizes(settings):
    return refiner_sizes(settings) | {
        'feature_size': EMBEDDED_FEATURES + 3,  # where the others stand
        'relative_roots': True,
        'normalise': settings.normalise,
    }


def _networks(settings, num_betas, device):
    modules = {
        'landmark_head': LandmarkHead(dropout=settings.dropout, noise=settings.noise),
        'twist_shape': TwistShapeNetwork(
            EMBEDDED_FEATURES, settings.hidden, _betas_of_twist_shape(settings, num_betas)
        ),
        'refiner': Refiner(
            num_betas=num_betas,
            masking=settings.masking,
            dropout=settings.feature_dropout,
            **_refiner_sizes(settings),
        ),
        'pose_discriminator': PoseDiscriminator(settings.discriminator),
        'shape_discriminator': ShapeDiscriminator(num_betas),
    }
    return {name: module.to(device) for name, module in modules.items()}


def _check(config):
    if config.precision != 'float32':
        raise ValueError(f'precision: {config.precision}, expected float32: these networks are small')
    check_weights(config.settings.weights, TERMS)
