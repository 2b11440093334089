"""The paper's skeleton network, and what its output becomes in the camera's frame."""

import numpy as np
import pytest
import torch

from mesh_perception.geometry.camera import Camera
from mesh_perception.geometry.crops import virtual_cameras
from mesh_perception.skeleton.metric import SkeletonNetwork, SkeletonOutput, metric_skeletons
from mesh_perception.types import Crops, Regions

from .networks import calibrated, random_images

LENS = Camera.from_intrinsics(1280, 960, 900, 910, 650, 470, (-0.1, 0.02, 0.001, -0.001, 0.0), 'plumb_bob')
LINEAR = Camera.from_fov(1280, 960, 65)


def people(count, camera, zoom=1.0, seed=0, spread=(0.2, 0.35, 0.2)):
    """Joints (N, 24, 3) in the camera's frame, their crops, and what a perfect network says of them; float64.

    Image joints that the 2D heatmaps cannot reach are wrong by up to the crop's size, as a network's would be.
    """
    generator = np.random.default_rng(seed)
    depth = generator.uniform(2, 8, (count, 1))
    place = np.concatenate([generator.uniform(-0.4, 0.4, (count, 2)) * depth, depth], 1)
    joints = torch.from_numpy(place[:, None] + generator.normal(size=(count, 24, 3)).clip(-2, 2) * spread)
    pixels = camera.project(joints)
    low, high = pixels.amin(1), pixels.amax(1)
    rolls = torch.from_numpy(generator.uniform(-0.5, 0.5, count))
    regions = Regions((low + high) / 2, zoom * (high - low).amax(1), rolls)
    intrinsics, rotations = virtual_cameras(camera, regions)
    crops = Crops(torch.empty(count, 3, 256, 256, dtype=torch.float64), intrinsics, rotations)
    seen = joints @ rotations.mT
    exact = (seen / seen[..., 2:] @ intrinsics.mT)[..., :2]
    reachable = ((exact >= 24) & (exact <= 232)).all(-1, keepdim=True)
    garbage = torch.from_numpy(generator.uniform(16, 240, exact.shape))
    garbage[..., 0] = torch.where(garbage[..., 0] < 128, 17, 239)
    output = SkeletonOutput(seen - seen[:, :1], torch.where(reachable, exact, garbage), torch.zeros(count, 512, 8, 8))
    return joints, crops, output


def cast(value, dtype):
    parts = value if isinstance(value, tuple) else (value.images, value.intrinsics, value.rotations)
    return type(value)(*(part.to(dtype) for part in parts))


@pytest.mark.parametrize('depth, size', [(18, 256), (34, 64), (50, 256), (101, 64)])
def test_shapes_of_a_forward_pass(depth, size):
    with torch.no_grad():
        output = SkeletonNetwork(depth).eval()(random_images(1, size))
    assert output.relative.shape == (1, 24, 3) and output.pixels.shape == (1, 24, 2)
    assert output.features.shape == (1, 512 if depth < 50 else 2048, size // 32, size // 32)
    assert not output.relative[:, 0].any()
    assert output.pixels.min() >= 16 and output.pixels.max() <= size - 16


def test_images_are_normalised_as_torchvision_does():
    network = SkeletonNetwork(18).eval()
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalised = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    images = normalised * deviation[:, None, None] + mean[:, None, None]
    with torch.no_grad():
        assert torch.allclose(network(images).features, network.backbone(normalised), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('shape', [(1, 4, 64, 64), (1, 3, 64, 96), (1, 3, 100, 100)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match='expected 3xSxS with S a multiple of 32'):
        SkeletonNetwork(18)(torch.zeros(shape))


# Largest difference to float32, in metres and in pixels: the heatmaps' means are float32, their logits are not.
TOLERANCES = {torch.float16: (0.003, 0.15), torch.bfloat16: (0.025, 1.5)}


def agrees(network, images, dtype):
    with torch.no_grad():
        expected = network.float()(images)
        output = network.to(dtype)(images)
    metres, pixels = TOLERANCES[dtype]
    assert output.relative.dtype == output.pixels.dtype == torch.float32 and output.features.dtype == dtype
    assert (output.relative - expected.relative).abs().max() < metres
    assert (output.pixels - expected.pixels).abs().max() < pixels


@pytest.mark.parametrize('dtype', TOLERANCES)
def test_half_precision_agrees_with_float32(dtype):
    images = random_images(4, 64)  # float16 convolutions take seconds on the CPU
    agrees(calibrated(SkeletonNetwork(18), images), images, dtype)


@pytest.mark.gpu
@pytest.mark.parametrize('dtype', TOLERANCES)
@pytest.mark.parametrize('depth', [18, 50])
def test_half_precision_agrees_with_float32_on_a_gpu(depth, dtype):
    if not torch.cuda.is_available():
        pytest.skip('needs a CUDA device')
    images = random_images(4, 256).cuda()
    agrees(calibrated(SkeletonNetwork(depth).cuda(), images), images, dtype)


def test_the_network_exports_for_any_number_of_people():
    network = calibrated(SkeletonNetwork(18), random_images(2, 256))
    people = {0: torch.export.Dim('people', min=1, max=64)}
    program = torch.export.export(network, (random_images(2, 256),), dynamic_shapes=(people,)).module()
    images = random_images(3, 256, seed=1)
    with torch.no_grad():
        for value, expected in zip(program(images), network(images), strict=True):
            assert torch.allclose(value, expected, atol=1e-4)


def test_gradients_reach_every_parameter():
    network = SkeletonNetwork(18).train()
    _, crops, _ = people(2, LENS)
    output = network(random_images(2, 64))
    crops = Crops(torch.empty(2, 3, 64, 64), crops.intrinsics.float(), crops.rotations.float())
    skeletons = metric_skeletons(output, crops, LENS)
    (skeletons.joints.square().sum() + skeletons.image_joints.square().sum()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.any(), name


@pytest.mark.parametrize('camera', [LINEAR, LENS])
@pytest.mark.parametrize('zoom', [1.3, 0.8])
@pytest.mark.parametrize('dtype', [torch.float64, torch.float32])
def test_exact_joints_come_back_within_a_tenth_of_a_millimetre(camera, zoom, dtype):
    joints, crops, output = people(100, camera, zoom)
    found = metric_skeletons(cast(output, dtype), cast(crops, dtype), camera)
    assert found.joints.dtype == found.image_joints.dtype == dtype
    enough = found.confidence.sum(1) >= 6
    assert enough.sum() > 60
    assert (found.joints - joints)[enough].norm(dim=-1).max() < 1e-4
    assert (found.relative_joints - (joints - joints[:, :1])).abs().max() < 1e-5
    # also of the truncated ones, which are projected
    assert (found.image_joints - camera.project(joints))[enough].abs().max() < 0.2
    if zoom < 1:
        assert 0.2 < found.confidence.mean() < 0.9
    assert not found.hint_weights.any() and not found.hint_directions.any()


def test_confidence_says_what_is_in_the_crop_and_in_the_image():
    joints = torch.zeros(1, 24, 3, dtype=torch.float64) + torch.tensor([-1.21, 0, 2.0])
    center = LINEAR.project(joints)[:, 0]
    assert 20 < center[0, 0] < 40
    intrinsics, rotations = virtual_cameras(LINEAR, Regions(center, torch.tensor([200.0]), torch.zeros(1)))
    crops = Crops(torch.empty(1, 3, 256, 256), intrinsics, rotations)
    pixels = torch.full((1, 24, 2), 128.0, dtype=torch.float64)
    pixels[0, 1, 0] = 60  # left of the image's border, which is near pixel 90 of the crop
    pixels[0, 2, 0], pixels[0, 3, 1] = 233, 23
    pixels[0, 4] = 232
    output = SkeletonOutput(torch.zeros(1, 24, 3, dtype=torch.float64), pixels, torch.zeros(1, 8))
    found = metric_skeletons(output, crops, LINEAR, scores=torch.tensor([0.7]))
    expected = torch.ones(24)
    expected[1:4] = 0
    assert torch.equal(found.confidence[0].float(), expected)
    assert found.scores.tolist() == [pytest.approx(0.7)]


def test_one_pixel_of_noise_gives_what_first_order_propagation_predicts():
    joints, crops, output = people(1, LENS, zoom=1.4, seed=3)
    intrinsics, turn = crops.intrinsics[0].numpy(), crops.rotations[0].numpy()
    truth = joints[0].numpy() @ turn.T
    rays, depth = truth[:, :2] / truth[:, 2:], truth[:, 2]
    # The stacked equations [I | -x] r = x dz - dxy; a row's residual changes by Z + dz per unit of noise on its ray.
    system = np.zeros((48, 3))
    system[0::2, 0] = system[1::2, 1] = 1
    system[:, 2] = -rays.reshape(-1)
    root = np.linalg.pinv(system) * depth.repeat(2) / intrinsics[0, 0]  # of the pelvis' place, by pixel
    # A joint in view is its ray times its depth: both move.
    jacobian = np.zeros((24, 3, 48))
    for joint in range(24):
        jacobian[joint, :2] = rays[joint][:, None] * root[2]
        jacobian[joint, 2] = root[2]
        for axis in range(2):
            jacobian[joint, axis, 2 * joint + axis] += depth[joint] / intrinsics[0, 0]
    predicted = np.sqrt((np.einsum('ji,njk->nik', turn, jacobian) ** 2).sum(-1))

    count = 20000
    noise = torch.randn(count, 24, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    noisy = SkeletonOutput(output.relative.expand(count, -1, -1), output.pixels + noise, output.features)
    many = Crops(crops.images, crops.intrinsics.expand(count, -1, -1), crops.rotations.expand(count, -1, -1))
    found = metric_skeletons(noisy, many, LENS)
    assert found.confidence.all()
    assert np.allclose((found.joints - joints).square().mean(0).sqrt().numpy(), predicted, rtol=0.05, atol=1e-5)
    assert 0.001 < predicted.max() < 0.05


def test_weak_perspective_is_exact_for_flat_people():
    _, crops, output = people(50, LENS, zoom=1.4)
    flat = output.relative * torch.tensor([1, 1, 0])
    root = torch.tensor([[0.02, -0.01, 5.0]], dtype=torch.float64)
    joints = flat + root
    pixels = (joints / joints[..., 2:] @ crops.intrinsics.mT)[..., :2]
    found = metric_skeletons(SkeletonOutput(flat, pixels, output.features), crops, LENS, weak=True)
    whole = found.confidence.all(1)
    assert whole.sum() > 5
    assert (found.joints @ crops.rotations.mT - joints)[whole].abs().max() < 1e-4


@pytest.mark.parametrize('weak', [False, True])
def test_gradients_agree_with_finite_differences(weak):
    _, crops, output = people(1, LENS, zoom=0.9, seed=5)

    def function(relative, pixels):
        found = metric_skeletons(SkeletonOutput(relative, pixels, output.features), crops, LENS, weak=weak)
        assert 0 < found.confidence.sum() < 24
        return found.joints, found.relative_joints, found.image_joints / 1000

    inputs = output.relative.clone().requires_grad_(), output.pixels.clone().requires_grad_()
    assert torch.autograd.gradcheck(function, inputs)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_nobody_is_a_normal_case(dtype):
    with torch.no_grad():
        output = SkeletonNetwork(18).eval().to(dtype)(torch.zeros(0, 3, 256, 256))
    crops = Crops(torch.zeros(0, 3, 256, 256), torch.zeros(0, 3, 3), torch.zeros(0, 3, 3))
    found = metric_skeletons(output, crops, LENS)
    assert found.joints.shape == (0, 24, 3) and found.image_joints.shape == (0, 24, 2)
    assert found.features.shape == (0, 512, 8, 8) and found.scores.shape == (0,)
