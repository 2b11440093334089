"""What the samples of a run amount to."""

import numpy as np
from scipy.stats import theilslopes

CONFIDENCE = 0.95


def slope(x, y, per=1.0):
    """Theil and Sen's slope of y over x, times `per`, and the ends of its 95 % interval; NaN for fewer than 3 samples.

    Single jumps, which allocators make, hardly move it.
    """
    if len(x) < 3:
        return (float('nan'),) * 3
    middle, _, low, high = theilslopes(y, x, CONFIDENCE)
    return tuple(float(per * value) for value in (middle, low, high))


def percentiles(values, digits=2):
    """{'p50', 'p95'}, None where there are no values."""
    found = np.percentile(values, (50, 95)) if len(values) else (None, None)
    return {f'p{q}': None if v is None else round(float(v), digits) for q, v in zip((50, 95), found, strict=True)}


def first_and_last_decile(values):
    """{'first', 'last'}: percentiles of the first and the last tenth, at least one value each."""
    tenth = max(1, len(values) // 10)
    return {'first': percentiles(values[:tenth]), 'last': percentiles(values[-tenth:])}
