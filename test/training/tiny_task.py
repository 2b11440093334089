"""A small real training: f^TS of rotations and bones with noise, with a discriminator of shapes. As a program, it
is the command line with this task under the name 'paper'; with KILL set, the process dies while it writes."""

import os
import signal
import sys
from dataclasses import dataclass

import numpy as np
import torch

from mesh_perception.body import load_body, rest_joints
from mesh_perception.checkpoints import Description
from mesh_perception.geometry.rotations import axis_angle_to_matrix, matrix_to_6d
from mesh_perception.inverse_kinematics.solver import twists_from_rotations
from mesh_perception.inverse_kinematics.twist_shape import TwistShapeNetwork
from mesh_perception.joints import SMPL_LEAVES
from mesh_perception.synthetic.shapes import sample_betas
from mesh_perception.training import settings
from mesh_perception.training.discriminators import ShapeDiscriminator
from mesh_perception.training.losses import discriminator_loss, generator_loss, masked_mean, shape_loss, twist_loss
from mesh_perception.training.settings import within


@dataclass(frozen=True)
class Settings:
    steps_per_epoch: int = within(4, 1, 100)
    noise: float = 0.01
    adversarial: bool = True


class TinyTask:
    data = ('random poses',)

    def __init__(self, config, device):
        self.config, self.settings, self.device = config, config.settings, device
        self.steps_per_epoch = self.settings.steps_per_epoch
        self.body = load_body('open')
        self.sizes = {'in_features': 288, 'hidden': 32, 'num_betas': self.body.num_betas}
        networks = {'twist_shape': TwistShapeNetwork(**self.sizes)}
        self.discriminators = ('shape_discriminator',) if self.settings.adversarial else ()
        if self.discriminators:
            networks['shape_discriminator'] = ShapeDiscriminator(self.body.num_betas)
        self.modules = {name: network.to(device) for name, network in networks.items()}
        self.closed = 0  # how often batches were ended

    def parameter_groups(self, config):
        network = self.modules['twist_shape']
        slow = list(network.betas.parameters())
        rest = [p for p in network.parameters() if all(p is not q for q in slow)]
        return [{'params': slow, 'lr': config.refiner_learning_rate}, {'params': rest, 'lr': config.learning_rate}]

    def samples(self, count, *numbers):
        """People: what f^TS gets (here their rotations and rest joints), their twists, betas and leaves."""
        generator = torch.Generator().manual_seed(int(np.random.SeedSequence(numbers).generate_state(1)[0]))
        rotations = axis_angle_to_matrix(0.3 * torch.randn(count, 24, 3, generator=generator))
        betas = sample_betas(count, self.body, generator)
        rest = rest_joints(self.body, betas)
        identity, mean = torch.eye(3), self.body.joint_template
        features = torch.cat([(rotations - identity).flatten(1), 30 * (rest - mean).flatten(1)], 1)
        leaves = matrix_to_6d(rotations[:, list(SMPL_LEAVES)])
        return [x.to(self.device) for x in (features, twists_from_rotations(rest, rotations), betas, leaves)]

    def batches(self, epoch, start, rank, world):
        size = self.config.batch_size
        try:
            for index in range(start, self.steps_per_epoch):
                yield [x[rank::world] for x in self.samples(size, self.config.seed, epoch, index)]
        finally:
            self.closed += 1

    def losses(self, batch, step):
        features, twists, betas, leaves = batch
        found = self.modules['twist_shape'](features + self.settings.noise * torch.randn_like(features))
        losses = {
            'twist': masked_mean(twist_loss(found.twists, twists)),
            'shape': masked_mean(shape_loss(found.betas, betas)),
            'leaves': (found.leaf_6d - leaves).square().mean(),
        }
        if self.discriminators:
            losses['adversarial'] = 0.01 * masked_mean(generator_loss(self.modules['shape_discriminator'](found.betas)))
        return losses, found.betas.detach()

    def discriminator_losses(self, batch, outputs):
        discriminator = self.modules['shape_discriminator']
        return {'shapes': discriminator_loss(discriminator(outputs), discriminator(batch[2]))}

    def validate(self):
        assert not self.modules['twist_shape'].training
        features, twists, betas, _ = self.samples(32, 1)
        found = self.modules['twist_shape'](features)
        return {
            'twist': float(masked_mean(twist_loss(found.twists, twists))),
            'shape': float(masked_mean(shape_loss(found.betas, betas))),
        }

    def descriptions(self):
        return {'twist_shape': Description('twist_shape', self.sizes, body=self.body.id)}


def make_task(config, data, device):
    if data and not (data / 'poses.npz').is_file():
        raise ValueError(f'{data}/poses.npz: no such file')
    return TinyTask(config, device)


def make_config(**values):
    """A TrainingConfig of this task; what Settings has goes there."""
    own = {name: values.pop(name) for name in list(values) if name in Settings.__dataclass_fields__}
    start = {'epochs': 3, 'batch_size': 4, 'learning_rate': 1e-3, 'log_every': 1, 'checkpoint_every': 2}
    return settings.TrainingConfig(**{**start, **values}, settings=Settings(**own))


if __name__ == '__main__':
    from mesh_perception import cli, tensor_files

    sys.modules['tiny_task'] = sys.modules['__main__']
    settings.TASKS['paper'] = 'tiny_task'
    if 'KILL' in os.environ:  # 'function:number': SIGKILL instead of this call of a function that writes
        name, number = os.environ['KILL'].split(':')
        module, name = (os, name) if hasattr(os, name) else (tensor_files, name)
        calls, function = iter(range(int(number))), getattr(module, name)

        def call(*arguments, **options):
            if next(calls, None) is None:
                if name == 'save_file':
                    with open(arguments[1], 'wb') as file:
                        file.write(b'half')
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        setattr(module, name, call)
    sys.exit(cli.main(sys.argv[1:]))
