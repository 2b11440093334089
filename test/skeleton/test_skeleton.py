"""The skeleton stage on numbers with a known answer, and on a real picture."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mesh_perception.geometry.camera import Camera
from mesh_perception.geometry.crops import crop
from mesh_perception.geometry.rotations import axis_angle_to_matrix
from mesh_perception.joints import BLAZEPOSE_MIRROR, SMPL_MIRROR
from mesh_perception.media import read_frames
from mesh_perception.ros.demo.footage import demo_footage
from mesh_perception.skeleton.absolute import place
from mesh_perception.skeleton.blazepose import BlazePose, Landmarks, regions_of_detections
from mesh_perception.skeleton.landmark_joints import load_joint_mapping, relative_joints, skeletons_from_landmarks
from mesh_perception.skeleton.stages import disagreement, keep_better
from mesh_perception.types import Crops, Detections, Regions, Sightings

CAMERA = Camera.from_intrinsics(640, 480, 600, 610, 330, 250, (-0.1, 0.02, 0.001, -0.001, 0.0), 'plumb_bob')


def landmarks_of(points, camera, rotations=None):
    """What a perfect network would say of landmarks (N, 33, 3) m in the camera's frame."""
    n = len(points)
    rotations = torch.eye(3).repeat(n, 1, 1) if rotations is None else rotations
    world = (points - points[:, [23, 24]].mean(1, keepdim=True)) @ rotations.transpose(-1, -2)
    return Landmarks(
        camera.project(points),
        world,
        rotations,
        torch.ones(n, 33),
        torch.ones(n, 33),
        torch.ones(n),
        torch.zeros(n, 1152),
        Regions(torch.zeros(n, 2), torch.ones(n), torch.zeros(n)),
    )


def random_people(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    points = 0.35 * torch.randn(n, 33, 3, generator=generator)
    return points + torch.tensor([0.1, -0.1, 4.0])


def detections(keypoints):
    low, high = keypoints[..., :2].amin(1), keypoints[..., :2].amax(1)
    return Detections(torch.cat((low, high), 1), torch.ones(len(keypoints)), keypoints)


def test_the_mapping_moves_with_the_landmarks_and_treats_left_and_right_alike():
    mapping = load_joint_mapping()
    for weights in (mapping.image, mapping.plane):
        assert torch.allclose(weights.sum(1), torch.ones(24), atol=1e-4)
    for weights in (mapping.image, mapping.plane, mapping.depth):
        mirrored = weights[list(SMPL_MIRROR)][:, list(BLAZEPOSE_MIRROR)]
        assert torch.allclose(mirrored, weights, atol=1e-4)
    # A joint follows its own landmark more than any other.
    for joint, landmark in {18: 13, 19: 14, 20: 15, 21: 16, 4: 25, 5: 26}.items():
        assert int(mapping.image[joint].argmax()) == landmark


@pytest.mark.parametrize('camera', [CAMERA, Camera.from_fov(640, 480, 60)])
def test_exact_joints_come_back_to_their_place_within_a_tenth_of_a_millimetre(camera):
    joints = random_people(5).double()[:, :24]
    relative = joints - joints[:, :1]
    root, _, _ = place(relative, camera.project(joints), torch.ones(5, 24).double(), camera)
    assert (root - joints[:, 0]).abs().max() < 1e-4


def test_joints_outside_the_view_do_not_count_for_the_place():
    joints = random_people(3).double()[:, :24]
    pixels = CAMERA.project(joints)
    pixels[:, 5] = torch.tensor([5000.0, -300.0], dtype=torch.float64)  # nonsense, but outside
    root, _, weights = place(joints - joints[:, :1], pixels, torch.ones(3, 24).double(), CAMERA)
    assert (weights[:, 5] == 0).all() and (root - joints[:, 0]).abs().max() < 1e-4


def test_skeletons_lie_in_the_cameras_frame_whatever_way_the_crop_looked():
    points = random_people(4)
    turned = axis_angle_to_matrix(torch.tensor([[0.0, 0.3, 0], [0.2, 0, 0], [0, 0, 0.4], [0.1, -0.3, 0.2]]))
    mapping = load_joint_mapping()
    mapping.depth = mapping.plane  # a mapping that turns with the landmarks, so that the answer is the same
    straight, rotated = (
        skeletons_from_landmarks(landmarks_of(points, CAMERA, r), CAMERA, mapping) for r in (None, turned)
    )
    assert torch.allclose(straight.joints, rotated.joints, atol=1e-3)
    assert torch.allclose(straight.hint_directions, rotated.hint_directions, atol=1e-3)


def test_seen_joints_project_onto_their_pixels():
    points = random_people(4)
    skeletons = skeletons_from_landmarks(landmarks_of(points, CAMERA), CAMERA, load_joint_mapping())
    inside = ((skeletons.image_joints > 0) & (skeletons.image_joints < torch.tensor([639.0, 479.0]))).all(-1)
    assert inside.float().mean() > 0.9
    assert (CAMERA.project(skeletons.joints) - skeletons.image_joints).norm(dim=-1)[inside].max() < 0.05


def test_relative_joints_do_not_depend_on_where_the_origin_lies():
    world = random_people(2)
    mapping = load_joint_mapping()
    assert torch.allclose(relative_joints(world, mapping), relative_joints(world + 3.0, mapping), atol=1e-5)


def test_nobody_is_a_normal_case():
    skeletons = skeletons_from_landmarks(landmarks_of(torch.zeros(0, 33, 3), CAMERA), CAMERA, load_joint_mapping())
    assert skeletons.joints.shape == (0, 24, 3) and skeletons.hint_weights.shape == (0, 24)


def test_first_regions_stand_around_the_hips_or_around_the_box():
    keypoints = torch.zeros(2, 17, 3)
    keypoints[0, [5, 6]] = torch.tensor([[120.0, 100, 0.9], [80, 100, 0.9]])
    keypoints[0, [11, 12]] = torch.tensor([[110.0, 200, 0.9], [90, 200, 0.9]])
    keypoints[0, 15] = torch.tensor([100.0, 400, 0.9])
    found = detections(keypoints)
    found.boxes[1] = torch.tensor([10.0, 20, 50, 220])
    regions = regions_of_detections(found)
    assert regions.centers.tolist() == [[100, 200], [30, 120]]
    assert regions.sizes.tolist() == pytest.approx([2 * 200 * 1.25, 200 * 1.25])
    assert regions.rolls.tolist() == pytest.approx([0, 0])


def test_a_second_look_that_slid_away_from_the_detectors_keypoints_is_not_kept():
    keypoints = torch.zeros(3, 17, 3)
    keypoints[:, :, 2] = 0.9
    found = detections(keypoints)
    landmarks = landmarks_of(random_people(3), CAMERA)
    skeletons = skeletons_from_landmarks(landmarks, CAMERA, load_joint_mapping())
    first = replace(skeletons, image_joints=torch.zeros(3, 24, 2))
    second = replace(
        skeletons,
        image_joints=torch.tensor([2.0, 80.0, 2.0]).reshape(3, 1, 1).expand(3, 24, 2),
        scores=torch.tensor([0.9, 0.9, 0.1]),
    )
    assert disagreement(first, found).tolist() == [0, 0, 0]
    kept = keep_better(Sightings(first, landmarks.next), Sightings(second, landmarks.next), found, 0.5)
    assert kept.skeletons.image_joints[:, 0, 0].tolist() == [2, 0, 0]


def test_on_a_real_picture_the_next_region_is_where_the_person_is():
    path, camera = demo_footage('cam01')
    image = torch.from_numpy(next(iter(read_frames(path))).image)
    network = BlazePose('blazepose_full')
    man = Regions(torch.tensor([[430.0, 760.0]]), torch.tensor([1000.0]), torch.zeros(1))
    first = network(crop(image, camera, man), camera)
    second = network(crop(image, camera, first.next), camera)
    assert float(second.scores) > 0.9
    assert float((first.image - second.image).norm(dim=-1).mean()) < 15
    assert float((second.next.centers - first.next.centers).norm()) < 20
    assert np.isclose(float(second.next.sizes / first.next.sizes), 1, atol=0.1)
    skeleton = skeletons_from_landmarks(second, camera, load_joint_mapping())
    assert float(skeleton.joints[0, 7, 1]) > float(skeleton.joints[0, 15, 1])  # ankles below the head: y is down


def test_a_crowd_gets_what_each_of_them_gets_alone():
    images = torch.rand(12, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    intrinsics = torch.tensor([[300.0, 0, 127.5], [0, 300, 127.5], [0, 0, 1]]).repeat(12, 1, 1)
    crops = Crops(images, intrinsics, torch.eye(3).repeat(12, 1, 1))
    network = BlazePose('blazepose_full')
    together = network(crops, CAMERA)
    for i in (0, 9, 10, 11):  # on both sides of where a CPU starts anew
        alone = network(crops[i : i + 1], CAMERA)
        assert torch.allclose(together.image[i], alone.image[0], atol=0.05)
        assert torch.allclose(together.scores[i], alone.scores[0], atol=1e-4)


def test_with_its_mirror_image_a_person_is_what_the_mirrored_person_is_in_the_mirror():
    path, camera = demo_footage('cam01')
    image = torch.from_numpy(next(iter(read_frames(path))).image)
    man = Regions(torch.tensor([[430.0, 760.0]]), torch.tensor([1000.0]), torch.zeros(1))
    network, crops = BlazePose('blazepose_full', flip=True), crop(image, camera, man)
    mirrored = replace(crops, images=crops.images.flip(-1))
    one, other = network(crops, camera), network(mirrored, camera)
    other = replace(
        other,
        world=other.world[:, list(BLAZEPOSE_MIRROR)] * torch.tensor([-1.0, 1, 1]),
        visibility=other.visibility[:, list(BLAZEPOSE_MIRROR)],
    )
    torch.testing.assert_close(one.world, other.world, rtol=0, atol=1e-4)
    torch.testing.assert_close(one.visibility, other.visibility, rtol=0, atol=1e-4)
    plain = BlazePose('blazepose_full')(crops, camera)
    distances = (one.world - plain.world).norm(dim=-1)
    assert 1e-4 < distances.mean() < 0.1  # another opinion, of the same person
