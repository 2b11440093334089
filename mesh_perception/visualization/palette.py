"""Colours that stay with a person, and that people with colour-blindness can tell apart."""

import numpy as np

# Okabe and Ito's colours (https://jfly.uni-koeln.de/color/) without black, then the same in light.
_BASE = np.array(
    [(86, 180, 233), (230, 159, 0), (0, 158, 115), (204, 121, 167), (240, 228, 66), (0, 114, 178), (213, 94, 0)]
)
COLORS = np.concatenate([_BASE, np.round(_BASE * 0.45 + 255 * 0.55)]).astype(np.uint8)
LEFT = (255, 128, 0)  # a person's left side: warm
RIGHT = (0, 190, 255)  # the right side: cool
MIDDLE = (245, 245, 245)


def track_colors(track_ids):
    """(N, 3) uint8 RGB for N track ids: always the same colour for the same id, neighbouring ids differ."""
    ids = np.asarray(track_ids, dtype=np.int64).reshape(-1)
    return COLORS[(ids - 1) % len(COLORS)]
