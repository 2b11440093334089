"""Who is refined together with whom: "Sampling interacting persons" of Sec. 3.3."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Groups:
    """G groups of N places among M people. The group's target comes first."""

    people: Tensor  # (G, N) int64, whose place it is; 0 where empty
    present: Tensor  # (G, N) bool, False for empty places
    answers: Tensor  # (M,) int64: person m's result stands at place answers[m] of the flattened (G * N) places

    def gather(self, values: Tensor) -> Tensor:
        """Values (M, ...) -> (G, N, ...), zeros in empty places."""
        if not len(values):
            return values.new_zeros(*self.people.shape, *values.shape[1:])
        present = self.present.reshape(*self.present.shape, *(1,) * (values.dim() - 1))
        return values[self.people].masked_fill(~present, 0)


def inference_groups(roots: Tensor, size: int, together: bool = False) -> Groups:
    """Each of M people once as the target, with the `size` - 1 nearest others, nearest first: M groups.

    Args: roots (M, 3) m, by whose distance the others are chosen; together: where M <= size, one group of everybody
    instead, from which all results are read: the same for a network that does not look at the order.

    Neither the groups nor their order depend on the order in which people come: everything is sorted by the roots'
    x, then y, then z, and so are others at the same distance. Only people at exactly the same root keep their order.
    Somebody whose root is not finite is nobody's context (and the result for them says nothing).
    """
    count = len(roots)
    roots = roots.detach().double()
    order = torch.arange(count, device=roots.device)
    for axis in (2, 1, 0):
        order = order[roots[order, axis].argsort(stable=True)]
    if together and count <= size:
        people, present = order.reshape(min(count, 1), count), roots[order].isfinite().all(1)
        return Groups(*_pad(people, present.reshape(people.shape), size), order.argsort())
    # Differences, not torch.cdist's products: exact for people far from the camera, and the same either way round.
    distances = (roots[order, None] - roots[order]).square().sum(-1).nan_to_num(nan=torch.inf)
    distances, nearest = distances.fill_diagonal_(-1).sort(dim=1, stable=True)
    groups = _pad(order[nearest[:, :size]], distances[:, :size].isfinite(), size)
    return Groups(*groups, order.argsort() * size)


def training_groups(images: Tensor, size: int, generator: torch.Generator | None = None) -> Groups:
    """Each of M people once as the target, with `size` - 1 others drawn at random from the same image.

    Args: images (M,) integers, which image each person is in. Drawn anew every time, so that epochs see many
    combinations (Sec. 3.3). The numbers are drawn on the generator's device (default: where `images` is).
    """
    count = len(images)
    device = images.device if generator is None else generator.device
    keys = torch.rand(count, count, generator=generator, device=device).to(images.device)
    keys = keys.masked_fill(images[:, None] != images, torch.inf).fill_diagonal_(-1)
    keys, people = keys.sort(dim=1)
    groups = _pad(people[:, :size], keys[:, :size].isfinite(), size)
    return Groups(*groups, torch.arange(count, device=images.device) * size)


def relative_roots(roots: Tensor, groups: Groups) -> Tensor:
    """Roots (M, 3) m -> (G, N, 3): everybody's relative to the group's target, zeros in empty places."""
    gathered = groups.gather(roots)
    return (gathered - gathered[:, :1]).masked_fill(~groups.present[..., None], 0)


def _pad(people, present, size):
    """Up to `size` places, with empty ones behind."""
    missing = (0, size - people.shape[1])
    present = torch.nn.functional.pad(present, missing)
    return torch.nn.functional.pad(people, missing).masked_fill(~present, 0), present
