import pytest
import torch

from mesh_perception.geometry.rotations import axis_angle_to_matrix
from mesh_perception.training.discriminators import PoseDiscriminator, ShapeDiscriminator, judged
from mesh_perception.training.losses import discriminator_loss


def rotations(n, scale, seed):
    return axis_angle_to_matrix(scale * torch.randn(n, 24, 3, generator=torch.Generator().manual_seed(seed)))


def test_a_joint_s_output_depends_on_its_own_rotation_alone_and_none_on_the_pelvis():
    torch.manual_seed(0)
    network, one, other = PoseDiscriminator(64), rotations(1, 1.0, 0), rotations(1, 1.0, 1)
    before = network(one)
    assert before.shape == (1, 24)
    for joint in range(24):
        changed = one.clone()
        changed[:, joint] = other[:, joint]
        moved = (network(changed) - before)[0] != 0
        expected = torch.zeros(24, dtype=torch.bool)
        if joint:
            expected[joint - 1] = expected[23] = True
        assert (moved == expected).all()


def test_the_width_is_hmr_s():
    assert (
        sum(p.numel() for p in PoseDiscriminator().pose.parameters()) == 23 * 32 * 1024 + 1024 + 1024**2 + 2 * 1024 + 1
    )
    assert ShapeDiscriminator(16)(torch.zeros(3, 16)).shape == (3, 1)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match='expected'):
        PoseDiscriminator(64)(torch.zeros(2, 23, 3, 3))


@pytest.mark.parametrize('kind', ('pose', 'shape'))
def test_trained_with_eq_14_they_tell_real_from_estimated(kind):
    torch.manual_seed(0)
    if kind == 'pose':
        network, real, fake = PoseDiscriminator(64), rotations(256, 0.3, 0), rotations(256, 1.0, 1)
    else:
        network, real, fake = ShapeDiscriminator(10), torch.randn(256, 10), 3 * torch.randn(256, 10) + 1
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        discriminator_loss(network(fake[:128]), network(real[:128])).backward()
        optimizer.step()
    with torch.no_grad():  # of samples that it has not seen
        assert network(real[128:])[:, -1].mean() > network(fake[128:])[:, -1].mean() + 0.3


def test_who_is_judged_gets_the_gradient_and_not_the_judge():
    torch.manual_seed(0)
    network, fake = ShapeDiscriminator(10), torch.randn(4, 10, requires_grad=True)
    answer = judged(network, fake)
    assert torch.equal(answer, network(fake))
    answer.sum().backward()
    assert (fake.grad != 0).any() and all(p.grad is None for p in network.parameters())
