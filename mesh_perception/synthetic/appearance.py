"""What people of a scene look like: a colour for every vertex, as functions of the body's rest pose.

Regions (sleeves, trousers, shoes, hair, faces) are told apart by skinning weights and rest-pose coordinates alone, so
that any SMPL-family body in a T-pose can be dressed.
"""

import numpy as np

# The ten tones of the Monk Skin Tone scale (sRGB), light to dark; people are drawn from between neighbours.
SKIN_TONES = (
    np.array(
        [
            (246, 237, 228),
            (243, 231, 219),
            (247, 234, 208),
            (234, 218, 186),
            (215, 189, 150),
            (160, 126, 86),
            (130, 92, 67),
            (96, 65, 52),
            (58, 49, 42),
            (41, 36, 32),
        ],
        np.float32,
    )
    / 255
)
HAIR_COLOURS = np.array([(0.06, 0.05, 0.05), (0.2, 0.12, 0.07), (0.4, 0.25, 0.13), (0.75, 0.6, 0.35), (0.6, 0.6, 0.6)])
_ARMS, _LEGS = (16, 17, 18, 19, 20, 21, 22, 23), (1, 2, 4, 5, 7, 8, 10, 11)
_HEAD = 15


class Wardrobe:
    """Dresses one body model; make it once, `dress` anybody."""

    def __init__(self, body):
        rest = body.v_template.cpu().float().numpy()
        joints = body.joint_template.cpu().float().numpy()
        part = body.weights.argmax(1).cpu().numpy()
        self._rest = rest
        self._side, self._height, self._front = np.abs(rest[:, 0]), rest[:, 1], rest[:, 2] > joints[0, 2]
        self._arm, self._leg = np.isin(part, _ARMS), np.isin(part, _LEGS)
        self._head = part == _HEAD
        self._torso = ~(self._arm | self._leg | self._head)
        self._shoulder, self._elbow, self._wrist = np.abs(joints[[16, 18, 20], 0])
        self._pelvis, self._hip, self._knee, self._ankle, self._neck = joints[[0, 1, 4, 7, 12], 1]
        self._nape = joints[12, 2]
        self._sole = rest[:, 1].min()
        # The head in units of forehead and nose: x to the left, y up from the nose's tip, z forward of it.
        head = rest[self._head]
        tip = head[head[:, 2].argmax()] * (0, 1, 1)
        self._unit = head[:, 1].max() - tip[1]
        self._face = (rest - tip) / self._unit
        self._depth = (head[:, 2].min() - tip[2]) / self._unit  # of the back of the head, about -1.4

    def dress(self, rng):
        """Colours (V, 3) float32 in [0, 1] of somebody drawn from a numpy Generator."""
        tone = rng.uniform(0.3, len(SKIN_TONES) - 1.3)
        low = int(tone)
        skin = SKIN_TONES[low] + (tone - low) * (SKIN_TONES[min(low + 1, 9)] - SKIN_TONES[low])
        skin = (
            skin * rng.uniform(0.85, 1.05) * rng.uniform(0.97, 1.03, 3) * (1, 0.91, 0.84)
        )  # blood, unlike in swatches
        colours = np.tile(skin, (len(self._rest), 1))
        self._paint_clothes(colours, rng)
        self._paint_head(colours, skin, rng)
        return np.clip(colours, 0, 1).astype(np.float32)

    def _paint_clothes(self, colours, rng):
        side, height = self._side, self._height
        waist = self._pelvis + rng.uniform(0.02, 0.1)
        hem = (
            rng.uniform(self._ankle + 0.02, self._ankle + 0.08)
            if rng.random() < 0.6
            else rng.uniform(self._knee - 0.15, self._hip - 0.2)
        )
        trousers = ~self._arm & ~self._head & (height < waist) & (height > hem)
        sleeve = rng.choice(
            [
                self._shoulder + rng.uniform(-0.01, 0.03),
                rng.uniform(self._shoulder + 0.1, self._elbow),
                rng.uniform(self._wrist - 0.06, self._wrist),
            ],
            p=(0.12, 0.4, 0.48),
        )
        collar = self._neck - rng.uniform(-0.02, 0.06)
        if rng.random() < 0.3:  # a V
            collar = collar - np.where(self._front, np.maximum(0, rng.uniform(0.05, 0.12) - side), 0)
        shirt = (self._torso | self._leg) & (height >= waist) & (height < collar) | self._arm & (side < sleeve)
        top, bottom = self._cloth(rng, 0.5), self._cloth(rng, 0.12)
        if rng.random() < 0.15:  # one piece
            bottom = top
        colours[trousers], colours[shirt] = bottom[trousers], top[shirt]
        if rng.random() < 0.15:  # an open jacket
            open_front = shirt & self._torso & self._front & (side < rng.uniform(0.03, 0.08))
            colours[open_front] = _colour(rng)
        if rng.random() < 0.3:  # a belt
            colours[(shirt | trousers) & ~self._arm & (np.abs(height - waist) < 0.02)] = _colour(rng) * 0.4
        if rng.random() < 0.93:
            upper = self._ankle + (rng.uniform(0.1, 0.25) if rng.random() < 0.15 else rng.uniform(-0.01, 0.06))
            shoe = _colour(rng) * rng.uniform(0.15, 1)
            colours[self._leg & (height < upper)] = shoe
            colours[self._leg & (height < self._sole + 0.018)] = rng.uniform(0.05, 0.95)
        if rng.random() < 0.1:  # gloves
            colours[self._arm & (side > self._wrist - rng.uniform(0, 0.04))] = _colour(rng) * rng.uniform(0.2, 1)

    def _paint_head(self, colours, skin, rng):
        x, y, z = np.abs(self._face[:, 0]), self._face[:, 1], self._face[:, 2]
        head, front = self._head, self._head & (z > -0.55)
        dark = skin.mean() < 0.45
        hair = HAIR_COLOURS[
            rng.choice(len(HAIR_COLOURS), p=(0.8, 0.1, 0, 0, 0.1) if dark else (0.3, 0.25, 0.2, 0.15, 0.1))
        ]
        hair = hair * rng.uniform(0.7, 1.3)
        lips = skin * (0.85, 0.62, 0.6)
        if rng.random() < 0.25:  # painted
            lips = 0.4 * lips + 0.6 * np.array((0.6, 0.1, 0.15))
        colours[front & (np.hypot(x / 0.17, (y + 0.21) / 0.06) < 1)] = lips
        if rng.random() < 0.25:  # a beard
            beard = front & (y < -0.05) & (y > -0.65) & (np.hypot(x / 0.19, (y + 0.21) / 0.075) > 1)
            colours[beard & ~((x < 0.5) & (y > -0.12) & (x > 0.25))] = 0.5 * skin + 0.5 * hair
        colours[front & (np.abs(y - 0.43 + 0.3 * (x - 0.2) ** 2) < 0.03) & (np.abs(x - 0.21) < 0.13)] = hair * 0.8
        eye = np.hypot((x - 0.2) / 0.11, (y - 0.265) / 0.055)
        colours[front & (eye < 1.25)] = skin * 0.6
        colours[front & (eye < 1)] = 0.92
        iris = np.hypot(x - 0.2, y - 0.265) < 0.052
        colours[front & (eye < 1) & iris] = np.array(((0.2, 0.11, 0.06), (0.25, 0.35, 0.45), (0.25, 0.3, 0.15)))[
            rng.choice(3, p=(0.7, 0.2, 0.1))
        ] * rng.uniform(0.5, 1)

        # 0 at the face, 1 at the back of the head.
        back = np.clip((z + 0.45) / (self._depth + 0.45), 0, 1)
        line = np.interp(
            back, (0, 0.35, 0.5, 1), (rng.uniform(0.62, 0.8), rng.uniform(0.25, 0.4), 0.1, rng.uniform(-0.5, -0.1))
        )
        scalp = head & (y > line)
        kind = rng.random()
        if kind > 0.08:  # else bald
            colours[scalp] = hair
        if kind > 0.75:  # long hair, down the back
            low = (head | self._torso) & (self._height > self._neck - rng.uniform(0, 0.2)) & (y < line)
            colours[low & (self._side < 0.085) & (self._rest[:, 2] < self._nape)] = hair
        if rng.random() < 0.12:  # a cap
            colours[head & (y > rng.uniform(0.5, 0.65))] = _colour(rng)

    def _cloth(self, rng, patterned):
        """Colours (V, 3) of one piece of cloth: plain, or with this chance a pattern of rest-pose coordinates."""
        first, second = _colour(rng), _colour(rng)
        wear = 1 + 0.06 * _waves(self._rest, 30, 3, rng)[:, None]
        if rng.random() > patterned:
            return first * wear
        kind = rng.random()
        if kind < 0.4:
            share = _stripes(self._rest[:, rng.choice(2)], rng)
        elif kind < 0.65:
            share = 0.5 * (_stripes(self._rest[:, 0], rng) + _stripes(self._rest[:, 1], rng))
        else:
            share = np.clip(0.5 + 0.7 * _waves(self._rest, rng.uniform(10, 60), 5, rng), 0, 1)
        return (first + share[:, None] * (second - first)) * wear


def _waves(places, frequency, count, rng):
    """Smooth noise (P,) of about unit size at places (P, 3): plane waves of this angular frequency a metre."""
    waves = places @ rng.normal(0, frequency, (3, count)).astype(np.float32)
    return np.sin(waves + rng.uniform(0, 2 * np.pi, count).astype(np.float32)).sum(1) / np.float32(np.sqrt(count))


def _stripes(coordinate, rng):
    return (np.sin(coordinate * 2 * np.pi / rng.uniform(0.06, 0.2)) > rng.uniform(-0.6, 0.6)).astype(float)


def _colour(rng):
    """A colour of clothes: seldom vivid, often grey, dark or white."""
    grey = rng.uniform(0.04, 0.95)
    return np.clip(grey + rng.uniform(0, 0.45) * rng.uniform(-1, 1, 3), 0.02, 0.98)
