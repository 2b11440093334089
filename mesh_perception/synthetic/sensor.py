"""From an ideal picture to what a camera delivers: exposure, colour cast, gamma, blur and noise."""

import cv2
import numpy as np


def expose(rgb, rng):
    """(H, W, 3) uint8 RGB as an imperfect camera gives it, drawn from a numpy Generator."""
    gain = rng.uniform(0.75, 1.2) * (1 + rng.normal(0, 0.035, 3))
    gamma = rng.uniform(0.8, 1.25)
    level = np.linspace(0, 1, 256)[:, None] ** gamma * gain
    table = np.clip(level * 255 + 0.5, 0, 255).astype(np.uint8)
    rgb = cv2.LUT(rgb, table[:, None])
    blur = rng.uniform(0, 1.2)
    if blur > 0.4:
        rgb = cv2.GaussianBlur(rgb, (5, 5), blur)
    sigma = rng.uniform(0.5, 7)
    # Half the resolution in one direction is enough randomness; demosaicing correlates neighbours as well.
    height, width = rgb.shape[:2]
    noise = rng.standard_normal((height, -(-width // 2), 3), np.float32) * np.float32(sigma)
    noise = np.repeat(noise, 2, axis=1)[:, :width]
    return cv2.add(rgb, noise.astype(np.int16), dtype=cv2.CV_8U)
