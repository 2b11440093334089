"""Who in one camera is who in the others: by where their limbs meet in the room, and followed over time."""

import warnings
from itertools import product

import numpy as np
from scipy.optimize import linear_sum_assignment

from mesh_perception.evaluation.multiview.triangulation import SEEN, errors, least_squares

BONES = ((0, 2), (2, 4), (1, 3), (3, 5), (6, 8), (8, 10), (7, 9), (9, 11))  # of the 12 limb joints
_LIMIT = 40.0  # px; median distance over the joints under which views show one person
_BONE = (0.12, 0.65)  # m; a person's typical limb lies in between
_ENOUGH = 6  # joints that must be seen by two views
_AWAY = 2.5  # m from where the cameras look: strangers stand farther off
_STEP = 0.5  # m that a person may have moved since last seen
_FORGET = 15  # frames after which a lost person is a new one


def people_in_views(views, keypoints, focus, count):
    """Keypoints sorted by person: (count, C, T, 12, 3), NaN where a view does not show the person.

    keypoints: (C, T, K, 12, 3) x, y in px and score of everybody in every view, NaN for nobody, in no order; focus:
    (3,) the point of the room that the cameras look at; count: people wanted, those seen by the most views over time.
    Raises ValueError where there are fewer.
    """
    tracks = []
    for frame in range(keypoints.shape[1]):
        groups = _groups(views, keypoints[:, frame], focus)
        _follow(tracks, groups, frame)
    tracks.sort(key=lambda track: -sum(sum(i >= 0 for i in choice) for choice in track['members'].values()))
    tracks = tracks[:count]
    if len(tracks) < count:
        raise ValueError(f'{", ".join(views.names)}: {len(tracks)} people found together, expected {count}')
    result = np.full((count, *keypoints.shape[:2], *keypoints.shape[3:]), np.nan)
    for person, track in enumerate(tracks):
        for frame, choice in track['members'].items():
            for view, index in enumerate(choice):
                if index >= 0:
                    result[person, view, frame] = keypoints[view, frame, index]
    return result


def focus_of(cameras):
    """The point (3,) of the room nearest to the viewing axes of all cameras {name: (Camera, pose)}."""
    normal, target = np.zeros((3, 3)), np.zeros(3)
    for _, pose in cameras.values():
        across = np.eye(3) - np.outer(pose[:3, 2], pose[:3, 2])
        normal += across
        target += across @ pose[:3, 3]
    return np.linalg.solve(normal, target)


def _groups(views, keypoints, focus):
    """People of one frame (C, K, 12, 3): [(index in every view, -1 for unseen, place (3,))]; most views first."""
    present = [[-1, *np.flatnonzero(np.isfinite(people[:, 0, 0]))] for people in keypoints]
    choices = np.array([c for c in product(*present) if sum(i >= 0 for i in c) >= 2]).reshape(-1, len(keypoints))
    if not len(choices):
        return []
    views_of = np.arange(len(keypoints))
    points = keypoints[views_of, choices].copy()  # (M, C, 12, 3)
    points[choices < 0] = np.nan
    flat = points.transpose(1, 0, 2, 3).reshape(len(keypoints), -1, 3)
    # Plain least squares: a view that shows somebody else must pull the joints off, not be overruled.
    rays, scores = views.rays(np.nan_to_num(flat[..., :2])), np.nan_to_num(flat[..., 2])
    scores = np.where(scores >= SEEN, scores, 0)
    joints = least_squares(views, rays, scores)
    error = np.where((scores > 0) & np.isfinite(joints).all(-1), errors(views, rays, joints), np.nan)
    joints = joints.reshape(-1, 12, 3)
    first, second = np.array(BONES).T
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)  # of views without a point
        worst = np.nanmax(np.nanmedian(error.reshape(len(keypoints), -1, 12), -1), 0)
        place = np.nanmedian(joints, 1)
        bone = np.nanmedian(np.linalg.norm(joints[:, first] - joints[:, second], axis=-1), 1)
    good = (np.isfinite(joints[..., 0]).sum(-1) >= _ENOUGH) & (worst < _LIMIT) & (bone > _BONE[0]) & (bone < _BONE[1])
    good &= np.linalg.norm((place - focus)[:, :2], axis=-1) < _AWAY
    order = np.lexsort((worst, -(choices >= 0).sum(1)))  # the most views first, then those that agree best
    taken, groups = set(), []
    for choice, position in ((tuple(choices[i]), place[i]) for i in order if good[i]):
        members = {(view, index) for view, index in enumerate(choice) if index >= 0}
        if not members & taken:
            taken |= members
            groups.append((choice, position))
    return groups


def _follow(tracks, groups, frame):
    """Adds the groups of a frame to the tracks that end nearest to them, and new tracks for the others."""
    recent = [track for track in tracks if frame - track['frame'] <= _FORGET]
    distance = np.array([[np.linalg.norm(place - track['place']) for _, place in groups] for track in recent])
    taken = set()
    if distance.size:
        for row, column in zip(*linear_sum_assignment(np.minimum(distance, _STEP)), strict=True):
            if distance[row, column] < _STEP:
                _extend(recent[row], groups[column], frame)
                taken.add(column)
    for column in set(range(len(groups))) - taken:
        tracks.append({'members': {}})
        _extend(tracks[-1], groups[column], frame)


def _extend(track, group, frame):
    track['members'][frame], track['place'] = group
    track['frame'] = frame
