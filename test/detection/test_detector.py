"""The detector on the two-person footage; boxes of the two actors were checked in pictures."""

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from mesh_perception.configuration import DetectionConfig
from mesh_perception.detection import Detector
from mesh_perception.detection.movenet import MoveNet
from mesh_perception.detection.nanodet import NanoDet
from mesh_perception.geometry.boxes import areas, overlaps
from mesh_perception.joints import COCO_MIRROR

ACTORS = {
    (1, 0): ((484, 781, 962, 1764), (240, 318, 570, 1159)),
    (1, 30): ((471, 783, 980, 1747), (164, 423, 741, 1169)),
    (1, 60): ((193, 429, 809, 1228), (435, 767, 892, 1759)),
    (1, 90): ((412, 460, 1009, 1308), (448, 803, 939, 1761)),
    (2, 0): ((42, 628, 365, 1476), (401, 388, 754, 1132)),
    (2, 30): ((351, 436, 735, 1136), (49, 629, 364, 1473)),
    (2, 60): ((262, 429, 762, 1136), (2, 622, 371, 1462)),
    (2, 90): ((170, 423, 869, 1216), (9, 628, 353, 1467)),
    (3, 0): ((465, 403, 803, 1324), (165, 497, 375, 1035)),
    (3, 30): ((317, 464, 716, 1235), (153, 498, 364, 1040)),
    (3, 60): ((257, 432, 642, 1231), (204, 477, 413, 1070)),
    (3, 90): ((217, 428, 541, 1181), (171, 492, 380, 1050)),
    (4, 0): ((144, 470, 690, 1417), (643, 400, 956, 939)),
    (4, 30): ((176, 461, 888, 1267), (634, 405, 958, 935)),
    (4, 60): ((208, 443, 936, 1258), (590, 389, 979, 967)),
    (4, 90): ((133, 400, 755, 1165), (650, 400, 979, 942)),
}


@pytest.fixture(scope='module')
def detector():
    return Detector(DetectionConfig(movenet_size=512))


@pytest.fixture(scope='module')
def movenet():
    return Detector(DetectionConfig(movenet_size=256, nanodet=False))


def found(detections, actors):
    """How many of the actors a detection of its own overlaps by more than a half."""
    overlap = overlaps(torch.tensor(actors, dtype=torch.float32), detections.boxes).numpy()
    rows, columns = linear_sum_assignment(-overlap)
    return int((overlap[rows, columns] > 0.5).sum())


def check_shapes(detections):
    count = len(detections)
    assert detections.boxes.shape == (count, 4) and detections.scores.shape == (count,)
    assert detections.keypoints.shape == (count, 17, 3)
    assert all(field.dtype == torch.float32 for field in (detections.boxes, detections.scores, detections.keypoints))


def test_both_actors_are_found_in_all_cameras_and_nobody_twice(detector, footage):
    for (camera, frame), image in footage.items():
        people = detector(image)
        check_shapes(people)
        assert found(people, ACTORS[camera, frame]) == 2, (camera, frame)
        assert len(people) == (3 if camera <= 2 else 2), (camera, frame)  # 1 and 2 see a third in the background
        assert (people.scores.diff() <= 0).all() and (areas(people.boxes) > 0).all()


def test_a_smaller_input_with_nanodet_finds_them_too(footage):
    detector = Detector(DetectionConfig(movenet_size=256))
    for key in ((1, 30), (2, 60), (3, 90), (4, 90)):  # MoveNet alone sees one person of mixed limbs in (3, 90)
        assert found(detector(footage[key]), ACTORS[key]) == 2, key


def test_either_detector_alone_finds_them_where_they_stand_apart(footage):
    image = footage[3, 0]
    for size in (256, 384):
        assert found(MoveNet(size, 0.2)(image), ACTORS[3, 0]) == 2
    boxes = NanoDet(0.45)(image)
    assert found(boxes, ACTORS[3, 0]) == 2 and len(boxes) == 2 and not boxes.keypoints.any()


def test_keypoints_lie_on_the_people(movenet, footage):
    people = movenet(footage[3, 0])
    nose, ankles = people.keypoints[:, 0, :2], people.keypoints[:, 15:, :2].mean(1)
    order = people.boxes[:, 0].argsort()  # the woman stands left of the man; both are upright
    for i, (head, feet) in zip(order.tolist(), (((270, 545), (255, 1010)), ((600, 455), (640, 1270))), strict=True):
        assert (ankles[i] - torch.tensor(feet, dtype=torch.float32)).norm() < 100
        assert (nose[i] - torch.tensor(head, dtype=torch.float32)).norm() < 100


@pytest.mark.parametrize(
    'crop', [(slice(None), slice(None)), (slice(300, 1400), slice(None)), (slice(None), slice(0, 900))]
)
def test_coordinates_are_right_whatever_the_aspect_ratio(movenet, footage, crop):
    """Mirrored, or cut at other places, the image has its people at the corresponding places."""
    image = footage[3, 0]
    whole, cut = movenet(image), image[crop]
    people = movenet(cut)
    offset = torch.tensor([crop[1].start or 0, crop[0].start or 0])
    mirrored = movenet(cut.flip(1))
    points = mirrored.keypoints[:, list(COCO_MIRROR)]
    points[..., 0] = cut.shape[1] - 1 - points[..., 0]
    for other in (people.keypoints, points):
        distance = (other[None, :, :, :2] + offset - whole.keypoints[:, None, :, :2]).norm(dim=-1).median(-1).values
        assert len(other) == 2 and distance.amin(1).max() < 15  # of people 540 and 920 px high


def test_a_landscape_of_four_portraits_has_everybody(detector, footage):
    """Ten people in one image: more than MoveNet's six."""
    image = torch.cat([footage[camera, 0] for camera in (1, 2, 3, 4)], 1)
    actors = [(x0 + 1088 * i, y0, x1 + 1088 * i, y1) for i in range(4) for x0, y0, x1, y1 in ACTORS[i + 1, 0]]
    people = detector(image)
    assert found(people, actors) >= 7 and len(people) <= 12


@pytest.mark.parametrize('height, width', [(1920, 1088), (480, 640), (20, 32), (1, 1), (1, 300), (300, 1)])
def test_black_and_tiny_images_have_nobody(detector, height, width):
    people = detector(torch.zeros(height, width, 3, dtype=torch.uint8))
    check_shapes(people)
    assert len(people) == 0


def test_noise_is_no_crowd(detector):
    image = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    people = detector(image)
    check_shapes(people)
    assert len(people) <= 1


def test_a_person_in_a_small_picture_is_found(detector, footage):
    image = footage[3, 0][400:1340, 430:830].permute(2, 0, 1)[None].float()
    small = torch.nn.functional.interpolate(image, (94, 40), mode='bilinear', antialias=True)[0].permute(1, 2, 0).byte()
    people = detector(small)
    assert len(people) == 1 and areas(people.boxes)[0] > 0.4 * 94 * 40


def test_numpy_images_and_views_give_what_tensors_give(movenet, footage):
    image = footage[4, 30]
    expected = movenet(image)
    for same in (image.numpy(), image.flip(2).flip(2), image.permute(2, 0, 1).contiguous().permute(1, 2, 0)):
        assert torch.equal(movenet(same).keypoints, expected.keypoints)


def test_wrong_input_is_refused_in_one_line(movenet):
    with pytest.raises(ValueError, match=r'image: .*expected uint8'):
        movenet(torch.zeros(4, 4, 3))
    with pytest.raises(ValueError, match='movenet_size: 300'):
        Detector(DetectionConfig(movenet_size=300))


@pytest.mark.parametrize('dtype', [torch.bfloat16])
def test_half_precision_finds_the_same_people(footage, dtype):
    detector = Detector(DetectionConfig(movenet_size=256), dtype=dtype)
    for key in ((1, 0), (4, 90)):
        people = detector(footage[key])
        check_shapes(people)
        assert found(people, ACTORS[key]) == 2


@pytest.mark.gpu
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])
def test_the_gpu_finds_what_the_cpu_finds(detector, footage, dtype):
    if not torch.cuda.is_available():
        pytest.skip('no CUDA device')
    other = Detector(DetectionConfig(movenet_size=512), 'cuda', dtype)
    for key in ((1, 0), (2, 60), (4, 90)):
        people = other(footage[key].cuda())
        assert people.boxes.is_cuda and found(people.to('cpu'), ACTORS[key]) == 2
        assert len(people) == len(detector(footage[key]))
