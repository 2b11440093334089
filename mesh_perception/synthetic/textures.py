"""Surfaces of floors, walls and grounds: grey patterns drawn once, coloured quickly for each picture."""

import cv2
import numpy as np

SIZE = 512  # pixels a side of a tile; it is repeated mirrored, so that it has no seams
SCALE = 128  # pixels a metre
_SEED = 20240229


class Textures:
    """Tiles (SIZE, SIZE, 3) uint8 in colours drawn from a numpy Generator."""

    def __init__(self):
        rng = np.random.default_rng(_SEED)
        self._noise = [_noise(rng, cells) for cells in ((4, 16), (16, 64), (64, 256), (8, 32, 128, 512), (128, 512))]
        self._patterns = {
            'plain': [np.full((SIZE, SIZE), 0.5, np.float32)],
            'planks': [_planks(rng, width) for width in (12, 20, 32)],
            'tiles': [_tiles(rng, side, side) for side in (32, 64, 128)],
            'bricks': [_tiles(rng, 32, 10), _tiles(rng, 64, 32)],
            'stripes': [_stripes(period) for period in (16, 32, 64)],
            'panels': [_panels(rng) for _ in range(6)],
        }

    def draw(self, kinds, rng):
        """A tile of one of these kinds of pattern."""
        noise = self._noise[rng.integers(len(self._noise))]
        choices = self._patterns[kinds[rng.integers(len(kinds))]]
        grey = choices[rng.integers(len(choices))] * rng.uniform(0.3, 1) + noise * rng.uniform(0.05, 0.7)
        grey = cv2.normalize(grey, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U)
        base, other = muted(rng), muted(rng)
        other = base + (other - base) * rng.uniform(0, 0.5)
        ramp = np.linspace(0, 1, 256)[:, None]
        table = np.clip((other + ramp * (base - other)) * 255, 0, 255).astype(np.uint8)
        return cv2.LUT(cv2.merge([grey] * 3), table[:, None])


def _noise(rng, cells):
    """Smooth noise of several sizes of grain, about 0 to 1."""
    total = np.zeros((SIZE, SIZE), np.float32)
    for n in cells:
        total += cv2.resize(rng.random((n, n), np.float32), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    return total / len(cells)


def _cells(rng, width, height):
    """A random grey for each cell of this size."""
    grey = rng.random((-(-SIZE // height), -(-SIZE // width)), np.float32)
    return np.repeat(np.repeat(grey, height, 0), width, 1)[:SIZE, :SIZE]


def _planks(rng, width):
    grey = _cells(rng, width, SIZE)
    grey[:, ::width] = 0
    return grey


def _tiles(rng, width, height):
    grey = 0.6 + 0.4 * _cells(rng, width, height)
    grey[::height] = grey[1::height] = 0
    grey[:, ::width] = 0
    return grey


def _stripes(period):
    return np.tile((np.arange(SIZE) % period < period / 2).astype(np.float32), (SIZE, 1))


def _panels(rng):
    """Rectangles on a plain wall: doors, windows, pictures."""
    grey = np.full((SIZE, SIZE), 0.5, np.float32)
    for _ in range(5):
        x, y = rng.integers(0, SIZE, 2)
        w, h = rng.integers(30, 200, 2)
        grey[y : y + h, x : x + w] = rng.random()
        grey[y + 6 : y + h - 6, x + 6 : x + w - 6] = rng.random()
    return grey


def muted(rng):
    """An RGB colour in [0, 1] as surfaces have it: any brightness, little colour, rather warm than cold."""
    return np.clip(
        rng.uniform(0.18, 0.92) * (1 + rng.uniform(0, 0.25) * rng.uniform(-1, 1, 3) + (0.04, 0, -0.06)), 0, 1
    )
