"""D_theta and D_beta (Sec. 3.4), structured as HMR's (Kanazawa et al., CVPR 2018): one output a joint, one for the
whole pose, one for the shape. They answer 1 for real samples and 0 for estimates (LSGAN, Eq. 14-15)."""

import torch
from torch import Tensor, nn

BODY_JOINTS = 23  # all but the pelvis, whose rotation is the camera's business


class PoseDiscriminator(nn.Module):
    """D_theta: rotations (N, 24, 3, 3) relative to the parents -> (N, 24): a value for each of the 23 joints other than
    the pelvis, from its rotation alone, and one for the pose. `hidden`: HMR has 1024."""

    def __init__(self, hidden: int = 1024, channels: int = 32):
        super().__init__()
        self.joints = nn.Sequential(nn.Linear(9, channels), nn.ReLU(), nn.Linear(channels, channels), nn.ReLU())
        self.weight = nn.Parameter(torch.empty(BODY_JOINTS, channels))
        self.bias = nn.Parameter(torch.zeros(BODY_JOINTS))
        nn.init.xavier_uniform_(self.weight)
        self.pose = nn.Sequential(
            nn.Linear(BODY_JOINTS * channels, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 1),
        )
        _initialise(self)

    def forward(self, rotations: Tensor) -> Tensor:
        if rotations.shape[1:] != (BODY_JOINTS + 1, 3, 3):
            raise ValueError(f'rotations: expected (N, {BODY_JOINTS + 1}, 3, 3), got {tuple(rotations.shape)}')
        joints = self.joints(rotations[:, 1:].flatten(2))
        return torch.cat([(joints * self.weight).sum(-1) + self.bias, self.pose(joints.flatten(1))], 1)


class ShapeDiscriminator(nn.Module):
    """D_beta: betas (N, B) -> (N, 1)."""

    def __init__(self, num_betas: int = 10):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(num_betas, 10), nn.ReLU(), nn.Linear(10, 5), nn.ReLU(), nn.Linear(5, 1))
        _initialise(self)

    def forward(self, betas: Tensor) -> Tensor:
        return self.layers(betas)


def judged(discriminator: nn.Module, fake: Tensor) -> Tensor:
    """What a discriminator says of estimates, for Eq. 15: the gradient is the estimates', not its own weights'."""
    weights = {name: weight.detach() for name, weight in discriminator.named_parameters()}
    return torch.func.functional_call(discriminator, weights, (fake,))


def _initialise(module):
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
