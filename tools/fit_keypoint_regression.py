"""Fits how COCO's 12 limb keypoints lie among a body's 24 joints, and prints the table of
mesh_perception/evaluation/multiview/joints.py.

    python tools/fit_keypoint_regression.py MOCAP.npz [--samples 100] [--cache FILE] [--pictures DIR]

Renders open bodies of varied shape, pose and clothing from four cameras around them, finds their keypoints in each view
with MoveNet and BlazePose, triangulates them, and writes each keypoint as a fixed combination of the true joints around
it. No footage of people is used. MOCAP.npz: see tools/fit_joint_mapping.py. Prints what is left on held-out clips, for
the combination and for the plain joints.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from fit_joint_mapping import SIZE, background, clothing, uniform
from tqdm import tqdm

from mesh_perception.body import load_body, skin
from mesh_perception.detection.movenet import MoveNet
from mesh_perception.evaluation.multiview.keypoints import LIMB_JOINTS, fuse
from mesh_perception.geometry.boxes import overlaps
from mesh_perception.geometry.camera import Camera
from mesh_perception.geometry.crops import crop, regions_from_boxes
from mesh_perception.joints import BLAZEPOSE_LANDMARKS, COCO_LIMBS, SMPL_JOINTS
from mesh_perception.skeleton.blazepose import BlazePose
from mesh_perception.synthetic.motion import load_clips
from mesh_perception.synthetic.retarget import retarget
from mesh_perception.visualization.renderer import Renderer

VIEWS = 4
FOV = 40.0  # degrees
SEEN = 0.3  # score from which a keypoint counts
ROBUST = 0.01  # of the distance between camera and body: residuals over it count less (about 6 px)
RIDGE = 2e-4  # m^2: a keypoint is taken to be its plain joint unless the data say otherwise
BLAZEPOSE = [BLAZEPOSE_LANDMARKS.index(name) for name in LIMB_JOINTS]
# The joints that a keypoint is combined of: those of its own limb, and across the trunk. 'other': the other side's.
AROUND = {
    'shoulder': ('shoulder', 'collar', 'neck', 'other shoulder', 'elbow'),
    'elbow': ('elbow', 'shoulder', 'wrist'),
    'wrist': ('wrist', 'elbow', 'hand'),
    'hip': ('hip', 'other hip', 'pelvis', 'spine1', 'knee'),
    'knee': ('knee', 'hip', 'ankle'),
    'ankle': ('ankle', 'knee', 'foot'),
}


def joint_index(name, side):
    """'elbow', 'other hip', 'neck' -> SMPL's joint."""
    if name in SMPL_JOINTS:
        return SMPL_JOINTS.index(name)
    if name.startswith('other '):
        side, name = {'left': 'right', 'right': 'left'}[side], name[6:]
    return SMPL_JOINTS.index(f'{side}_{name}')


def cameras_around(center, generator):
    """World (y up) -> camera, (VIEWS, 3, 3) and (VIEWS, 3): around the body, from knee height to well above it."""
    azimuth = (torch.arange(VIEWS) + uniform(generator, -0.3, 0.3, VIEWS)) * (2 * np.pi / VIEWS)
    azimuth = azimuth + uniform(generator, 0, 2 * np.pi, 1)
    rise, distance = uniform(generator, -0.1, 0.45, VIEWS), uniform(generator, 3.0, 4.0, VIEWS)
    back = torch.stack((azimuth.sin() * rise.cos(), rise.sin(), azimuth.cos() * rise.cos()), 1)
    right = torch.stack((azimuth.cos(), azimuth * 0, -azimuth.sin()), 1)
    turn = torch.stack((right, torch.linalg.cross(right, back), -back), 1)
    place = torch.stack((azimuth * 0, azimuth * 0, distance), 1) - turn @ center
    return turn, place


def observe(networks, renderer, body, vertices, joints, generator, rng, pictures):
    """One body from all sides: keypoints (VIEWS, 2 networks, 12, 3) px and score, and the cameras."""
    camera, colors = Camera.from_fov(SIZE, SIZE, FOV), clothing(body, rng)
    turns, places = cameras_around((vertices.amax(0) + vertices.amin(0)) / 2, generator)
    found = torch.zeros(VIEWS, 2, len(LIMB_JOINTS), 3)
    for view in range(VIEWS):
        seen = vertices @ turns[view].T + places[view]
        picture = renderer.render(
            seen[None].numpy(),
            body.faces.numpy(),
            camera.k,
            colors[None],
            background=background(rng),
            ambient=float(rng.uniform(0.3, 0.7)),
        )
        pixels = camera.project(seen[None])
        box = torch.cat((pixels.amin(1), pixels.amax(1)), 1)
        image = torch.from_numpy(picture)
        first = networks[1](crop(image, camera, regions_from_boxes(box, 1.25)), camera)
        landmarks = networks[1](crop(image, camera, first.next), camera)
        certain = (landmarks.visibility * landmarks.presence * (landmarks.scores > 0.8)[:, None])[0]
        found[view, 1] = torch.cat((landmarks.image[0], certain[:, None]), 1)[BLAZEPOSE]
        people = networks[0](image)
        shared = overlaps(people.boxes, box)[:, 0]
        if len(shared) and shared.max() > 0.5:
            found[view, 0] = people.keypoints[shared.argmax(), COCO_LIMBS]
        if pictures is not None:
            for points, color in zip(found[view], ((255, 80, 0), (0, 255, 0)), strict=True):
                for x, y in points[points[:, 2] > SEEN, :2].tolist():
                    cv2.circle(picture, (round(x), round(y)), 3, color, -1)
            cv2.imwrite(str(pictures.with_stem(f'{pictures.stem}_{view}')), picture[..., ::-1])
    return {'keypoints': found, 'turns': turns, 'places': places, 'joints': joints}


def triangulate(keypoints, turns, places):
    """Keypoints (VIEWS, 2, 12, 3) of two networks -> (12, 3) m in the world; NaN where fewer than three views agree.

    The networks' points are fused as the benchmark fuses them. Then linear least squares on the rays, weighted by score
    and, again and again, down where a view disagrees.
    """
    camera = Camera.from_fov(SIZE, SIZE, FOV)
    fused = fuse(keypoints[:, 0], keypoints[:, 1])
    rays = camera.unproject(fused[..., :2])
    rays = torch.cat((rays, torch.ones_like(rays[..., :1])), -1).double()
    rays = rays / rays.norm(dim=-1, keepdim=True) @ turns.double()  # to the world: R^T, as row vectors
    centers = -(turns.mT @ places[..., None])[..., 0].double()[:, None].expand_as(rays)
    score = (fused[..., 2] * (fused[..., 2] > SEEN)).double()
    across = torch.eye(3).double() - rays[..., None] * rays[..., None, :]
    weights = score
    for _ in range(20):
        system = (weights[..., None, None] * across).sum(0)
        right = (weights[..., None] * (across @ centers[..., None])[..., 0]).sum(0)
        points = torch.linalg.solve(system + 1e-9 * torch.eye(3).double(), right)
        off = (across @ (points - centers)[..., None])[..., 0].norm(dim=-1) / (points - centers).norm(dim=-1)
        weights = score / (1 + (off / ROBUST).square())
    agreeing = ((off < ROBUST) & (score > 0)).sum(0)
    return points.where((agreeing >= 3)[:, None], torch.nan).float()


def fit(points, joints, name):
    """Weights over AROUND[name] that sum to one, from points (n, 12, 3) and true joints (n, 24, 3), both sides at once
    (so that left and right are treated alike): ridge regression that is pulled to the plain joint."""
    rows, goals = [], []
    for side in ('left', 'right'):
        around = joints[:, [joint_index(part, side) for part in AROUND[name]]]
        goal = points[:, LIMB_JOINTS.index(f'{side}_{name}')] - around[:, 0]
        good = goal.norm(dim=-1) < 0.25  # a leg taken for the other one is no question of definition
        rows.append((around[:, 1:] - around[:, :1])[good])
        goals.append(goal[good])
    rows, goals = torch.cat(rows).transpose(1, 2).flatten(0, 1).double(), torch.cat(goals).flatten().double()
    gram = rows.T @ rows + RIDGE * len(rows) * torch.eye(rows.shape[1]).double()
    rest = torch.linalg.solve(gram, rows.T @ goals)
    return [1 - float(rest.sum()), *rest.tolist()]


def errors(points, joints, name, weights):
    """Distances (n, 2) mm of triangulated keypoints from the combination, both sides; NaN where unknown."""
    both = []
    for side in ('left', 'right'):
        around = joints[:, [joint_index(part, side) for part in AROUND[name]]]
        both.append((torch.tensor(weights)[:, None] * around).sum(1) - points[:, LIMB_JOINTS.index(f'{side}_{name}')])
    offsets = torch.stack(both, 1)
    return 1e3 * offsets.where(offsets.norm(dim=-1, keepdim=True) < 0.25, torch.nan)


def observe_split(split, count, arguments, body, networks, renderer):
    generator = torch.Generator().manual_seed(arguments.seed + (split == 'test'))
    rng = np.random.default_rng(arguments.seed + (split == 'test'))
    clips = load_clips(arguments.mocap, f'{split}/').values()
    poses = torch.cat([retarget(clip, body.joint_template) for clip in clips])
    poses = poses[torch.randint(len(poses), (count,), generator=generator)]
    betas = torch.randn(count, body.num_betas, generator=generator).clamp(-2, 2)
    seen = []
    for i in tqdm(range(count), desc=split):
        mesh = skin(body, poses[i : i + 1], betas[i : i + 1], torch.zeros(1, 3))
        picture = arguments.pictures / f'{split}_{i}.png' if arguments.pictures and i % 20 == 0 else None
        seen.append(observe(networks, renderer, body, mesh.vertices[0], mesh.joints[0], generator, rng, picture))
    return {key: torch.stack([one[key] for one in seen]) for key in seen[0]}


def observations(arguments):
    """{'train' and 'test': what `observe` says, stacked}, from the cache where there is one."""
    if arguments.cache and arguments.cache.exists():
        with np.load(arguments.cache, allow_pickle=False) as data:
            return {
                split: {key.split('/')[1]: torch.from_numpy(data[key]) for key in data.files if key.startswith(split)}
                for split in ('train', 'test')
            }
    body = load_body('open')
    networks = MoveNet(384, 0.2), BlazePose('blazepose_heavy')
    with Renderer(SIZE, SIZE) as renderer, torch.inference_mode():
        seen = {
            'train': observe_split('train', arguments.samples, arguments, body, networks, renderer),
            'test': observe_split('test', arguments.samples // 3, arguments, body, networks, renderer),
        }
    if arguments.cache:
        arrays = {f'{split}/{key}': value.numpy() for split in seen for key, value in seen[split].items()}
        np.savez(arguments.cache, **arrays)
    return seen


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('mocap', type=Path)
    parser.add_argument('--samples', type=int, default=100, help='bodies, each seen from four sides (default: 100)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--pictures', type=Path, help='some views with the keypoints found')
    parser.add_argument('--cache', type=Path, help='keep the observations here, to fit again quickly')
    arguments = parser.parse_args()
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    seen = observations(arguments)
    points, joints = {}, {}
    for split, one in seen.items():
        views = zip(one['keypoints'], one['turns'], one['places'], strict=True)
        points[split], joints[split] = torch.stack([triangulate(*view) for view in views]), one['joints']
    print(
        f'{len(joints["train"])} bodies, {float(points["train"].isfinite().all(-1).double().mean()):.0%} of keypoints'
    )
    for name, around in AROUND.items():
        weights = [round(w, 3) for w in fit(points['train'], joints['train'], name)]
        plain = [1.0] + [0.0] * (len(around) - 1)
        kept = {
            label: errors(points['test'], joints['test'], name, w) for label, w in (('', weights), ('plain', plain))
        }
        left = ', '.join(f'{label} {e.norm(dim=-1).nanmean():.1f} mm' for label, e in kept.items())
        print(f'    {name!r}: {dict(zip(around, weights, strict=True))},  # held out: {left}')


if __name__ == '__main__':
    main()
