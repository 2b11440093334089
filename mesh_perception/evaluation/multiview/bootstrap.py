"""Intervals for means over the frames of a short clip, whose frames resemble their neighbours."""

import torch
from torch import Tensor

SECONDS = 0.25  # of a block: about as long as an error lasts
_SAMPLES = 2000


def mean_interval(values: Tensor, block: int, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """The interval that the mean of per-frame values (T,) or (T, S) is in, from a circular block bootstrap.

    Whole blocks of `block` consecutive frames are drawn with replacement (Politis and Romano 1992; the end is followed
    by the beginning, so that all frames count alike) until T frames are there. Columns are drawn together: cameras and
    people of one scene see the same moments. Values that are NaN do not count. -> (low, high), percentiles; NaN without
    values. What frames of another scene would give, it cannot say; with fewer than about ten blocks it is too narrow.

    Raises ValueError for a block that is not between 1 and T.
    """
    frames = len(values)
    if not 1 <= block <= frames:
        raise ValueError(f'block of {block} frames: expected 1 to the {frames} frames that there are')
    values = values.double().reshape(frames, -1)
    generator = torch.Generator().manual_seed(seed)
    starts = torch.randint(frames, (_SAMPLES, -(-frames // block)), generator=generator)
    drawn = (starts[..., None] + torch.arange(block)).flatten(1)[:, :frames] % frames
    counts, sums = (~values.isnan()).sum(1).double(), values.nansum(1)
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    means = means[~means.isnan()]
    if not len(means):
        return float('nan'), float('nan')
    low, high = torch.quantile(means, means.new_tensor([(1 - level) / 2, (1 + level) / 2])).tolist()
    return low, high
