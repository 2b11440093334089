"""Shadows on the ground, where people and things stand: cast away from the light, and dark where they touch it."""

import cv2
import numpy as np

_CELL = 0.02  # m a side of a cell of the shadow map
_MOST = 1024  # cells a side; larger crowds get larger cells


def shade_ground(picture, ground, rays, origin, people, things, light, rng):
    """The picture (H, W, 3) uint8 with shadows where `ground` (H, W) bool is.

    rays (3, 3): pixel (u, v, 1) to its direction in the world; origin (3,) the camera's place; people and things: lists
    of surface points (P, 3) in the world, things being convex; light (3,) towards the light.
    """
    if not ground.any() or not (people or things):
        return picture
    cast = -light / light[1]
    flat = [
        [(points + points[:, 1:2] * slope)[:, (0, 2)] for slope in (cast, cast * 0)] for points in (*people, *things)
    ]
    everything = np.concatenate([points for pair in flat for points in pair])
    low, high = everything.min(0) - 0.3, everything.max(0) + 0.3
    cell = max(_CELL, (high - low).max() / _MOST)
    columns, rows = np.ceil((high - low) / cell).astype(int)
    maps = np.zeros((2, rows, columns), np.uint8)
    for i, (pair, points) in enumerate(zip(flat, (*people, *things), strict=True)):
        for kind, places in enumerate(pair):
            if kind == 1:  # what touches the ground takes the sky's light away from it
                places = places[points[:, 1] < 0.15]
            index = ((places - low) / cell).astype(np.int32)
            if i < len(people):
                maps[kind, index[:, 1], index[:, 0]] = 255
            elif len(index):
                cv2.fillConvexPoly(maps[kind], cv2.convexHull(index), 255)
    grain = max(1, round(0.03 / cell))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * grain + 1, 2 * grain + 1))
    soft = [
        cv2.GaussianBlur(cv2.dilate(m, kernel), (0, 0), width / cell)
        for m, width in zip(maps, (rng.uniform(0.015, 0.08), 0.04), strict=True)
    ]
    shade = cv2.addWeighted(soft[0], rng.uniform(0.15, 0.55), soft[1], rng.uniform(0.2, 0.45), 0)
    # The ground's texture coordinates are (x, z): here in cells from `low`.
    step = -origin[1]
    homography = np.stack(
        [
            (origin[0] - low[0]) / cell * rays[1] + step / cell * rays[0],
            (origin[2] - low[1]) / cell * rays[1] + step / cell * rays[2],
            rays[1],
        ]
    )
    homography[:2] -= 0.5 * homography[2]
    size = picture.shape[1], picture.shape[0]
    seen = cv2.warpPerspective(shade, homography, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    seen[~ground] = 0
    return cv2.multiply(picture, cv2.merge([255 - seen] * 3), scale=1 / 255)
