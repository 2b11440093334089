"""Intervals by the bootstrap: what the figures would have been with other samples of the same kind."""

from typing import NamedTuple

import numpy as np

_FEWEST = 5  # samples, from which they say something about others
RESAMPLED = 300  # draws of whole tracks


class Estimate(NamedTuple):
    """A figure with its 95 % interval; NaN where nothing was measured, no interval where too few samples were."""

    value: float
    low: float
    high: float

    def text(self, decimals=1):
        """'62.1 (58.0 to 66.3)'; None, for a table's dash, where there is no figure."""
        if not np.isfinite(self.value):
            return None
        if not np.isfinite(self.low + self.high):
            return f'{self.value:.{decimals}f}'
        return f'{self.value:.{decimals}f} ({self.low:.{decimals}f} to {self.high:.{decimals}f})'


class Bootstrap:
    """Draws whole samples (scenes, blocks of time) again and again, with replacement; always the same draws."""

    def __init__(self, samples, repeats=1000):
        self.samples = samples
        draws = np.random.default_rng(0).multinomial(samples, np.full(samples, 1 / samples), size=repeats)
        self.draws = draws.astype(float)

    def ratio(self, numerators, denominators) -> Estimate:
        """The sum of numerators over that of denominators, both (samples,)."""
        numerators, denominators = np.asarray(numerators, float), np.asarray(denominators, float)
        with np.errstate(divide='ignore', invalid='ignore'):
            value = numerators.sum() / denominators.sum()
            drawn = (self.draws @ numerators) / (self.draws @ denominators)
        drawn = drawn[np.isfinite(drawn)]
        enough = (denominators > 0).sum() >= _FEWEST
        low, high = np.quantile(drawn, (0.025, 0.975)) if enough else (np.nan, np.nan)
        return Estimate(float(value), float(low), float(high))

    def mean(self, values, owners) -> Estimate:
        """The mean of values (n,) that are not NaN; owners (n,): the number of the sample that each belongs to."""
        values, owners = np.asarray(values, float), np.asarray(owners, int)
        there = ~np.isnan(values)
        sums = np.bincount(owners[there], values[there], minlength=self.samples)
        return self.ratio(sums, np.bincount(owners[there], minlength=self.samples))


def track_interval(errors: np.ndarray, tracks: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of the mean of errors (N,) by drawing whole tracks (N,) int: frames of one are much alike.

    NaN for one track.
    """
    sums, counts = np.bincount(tracks, errors), np.bincount(tracks)
    sums, counts = sums[counts > 0], counts[counts > 0]
    if len(counts) < 2:
        return np.nan, np.nan
    drawn = np.random.default_rng(0).integers(0, len(counts), (RESAMPLED, len(counts)))
    low, high = np.percentile(sums[drawn].sum(1) / counts[drawn].sum(1), (2.5, 97.5))
    return float(low), float(high)
