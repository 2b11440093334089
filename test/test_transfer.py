"""Batches that cross between devices in one piece; torch's `meta` device stands in for one that is not the CPU."""

import pytest
import torch

from mesh_perception.transfer import move
from mesh_perception.types import Detections


def mixed():
    image = torch.arange(15, dtype=torch.uint8).reshape(1, 5, 3)  # a length that is no multiple of any other's width
    found = Detections(torch.rand(2, 4), torch.rand(2), torch.rand(2, 17, 3))
    return [image, found, torch.arange(3), torch.tensor([True, False]), torch.zeros(0, 4)]


class Copies(torch.utils._python_dispatch.TorchDispatchMode):
    """Counts what goes from one device to another."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function is torch.ops.aten._to_copy.default and result.device != args[0].device:
            self.count += 1
        return result


def test_what_is_there_already_is_not_copied():
    batches = mixed()
    moved = move(batches, 'cpu')
    assert moved[0] is batches[0] and moved[1].keypoints is batches[1].keypoints


def test_everything_crosses_in_one_copy_with_its_shape_and_type():
    with Copies() as copies:
        moved = move([*mixed(), torch.ones(2, device='meta')], 'meta')
    assert copies.count == 1
    assert [t.device.type for t in (moved[0], moved[1].boxes, moved[2])] == ['meta'] * 3
    assert [(t.shape, t.dtype) for t in (moved[0], moved[2], moved[3], moved[4])] == [
        (t.shape, t.dtype) for t in (mixed()[0], mixed()[2], mixed()[3], mixed()[4])
    ]
    assert moved[1].keypoints.shape == (2, 17, 3)


@pytest.mark.gpu
def test_values_survive_the_way_to_the_gpu_and_back():
    if not torch.cuda.is_available():
        pytest.skip('no GPU')
    batches = mixed()
    back = move(move(batches, 'cuda:0'), 'cpu')
    assert all(torch.equal(a, b) for a, b in zip(batches, back, strict=True) if isinstance(a, torch.Tensor))
    assert torch.equal(back[1].keypoints, batches[1].keypoints)
