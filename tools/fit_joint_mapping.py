"""Fits the linear mapping from BlazePose's 33 landmarks to the open body's 24 joints, and writes it for the package.

    python tools/fit_joint_mapping.py MOCAP.npz [--samples 4000] [--output FILE] [--pictures DIR]

Renders open bodies of varied shape, pose, view and clothing, runs the package's own BlazePose on them and regresses
their true joints from its landmarks. MOCAP.npz holds CMU's clips, named train/... and test/..., as
mesh_perception/synthetic/motion.py reads them. Prints the error on held-out clips.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm import tqdm

from mesh_perception.body import load_body, skin
from mesh_perception.geometry.camera import Camera
from mesh_perception.geometry.crops import crop, regions_from_boxes
from mesh_perception.geometry.rotations import axis_angle_to_matrix
from mesh_perception.joints import BLAZEPOSE_LANDMARKS, BLAZEPOSE_MIRROR, SMPL_JOINTS, SMPL_MIRROR
from mesh_perception.skeleton.blazepose import BlazePose
from mesh_perception.skeleton.landmark_joints import HIPS
from mesh_perception.synthetic.motion import load_clips
from mesh_perception.synthetic.retarget import retarget
from mesh_perception.visualization.renderer import Renderer

SIZE = 384  # px, the rendered picture
BATCH = 20
RIDGE = 5e-3  # m^2: more lets joints follow far landmarks, and their noise; less costs accuracy
LIMBS = ((16, 11), (17, 12), (18, 13), (19, 14), (20, 15), (21, 16), (4, 25), (5, 26), (7, 27), (8, 28))


def uniform(generator, low, high, *shape):
    return low + (high - low) * torch.rand(*shape, generator=generator)


def sample_bodies(body, poses, generator):
    """Shapes, a turn about the vertical, a camera looking up or down, a place in the picture."""
    n = len(poses)
    poses = poses.clone()
    zero = torch.zeros(n)
    turn = axis_angle_to_matrix(torch.stack((zero, uniform(generator, -np.pi, np.pi, n), zero), 1))
    tilt = axis_angle_to_matrix(torch.stack((uniform(generator, -0.2, 0.6, n), zero, zero), 1))
    flip = torch.diag(torch.tensor([1.0, -1.0, -1.0]))  # y up to the camera's y down
    poses[:, 0] = tilt @ flip @ turn @ poses[:, 0]
    betas = torch.randn(n, body.num_betas, generator=generator).clamp(-2.5, 2.5)
    fov = uniform(generator, 35, 75, n)
    distance = uniform(generator, 1.0, 1.8, n) / torch.tan(torch.deg2rad(fov) / 2)
    offset = uniform(generator, -0.3, 0.3, n, 2)
    mesh = skin(body, poses, betas, torch.zeros(n, 3))
    center = (mesh.vertices.amax(1) + mesh.vertices.amin(1)) / 2
    place = torch.cat((offset, distance[:, None]), 1)
    return mesh.vertices - center[:, None] + place[:, None], mesh.joints - center[:, None] + place[:, None], fov


def clothing(body, rng):
    """Colours (V, 3) in [0, 1]: skin, hair, shirt with long or short sleeves, trousers or shorts, shoes."""
    part = body.weights.argmax(1).cpu().numpy()
    rest = body.v_template.cpu().numpy()
    skin_tone = np.array([0.95, 0.78, 0.66]) * rng.uniform(0.35, 1.0)
    color = np.tile(skin_tone, (len(part), 1))
    shirt, trousers, shoes, hair = rng.uniform(0.05, 0.95, (4, 3))
    sleeves = [13, 14, 16, 17] + ([18, 19] if rng.random() < 0.5 else [])
    color[np.isin(part, [3, 6, 9, *sleeves])] = shirt
    color[np.isin(part, [0, 1, 2] + ([4, 5] if rng.random() < 0.7 else []))] = trousers
    color[np.isin(part, [7, 8, 10, 11])] = shoes
    head = part == 15
    top = rest[head].mean(0)
    color[head & ((rest[:, 1] > top[1] + 0.06) | (rest[:, 2] < top[2] - 0.01))] = hair * 0.5
    return color


def background(rng):
    """Blurred noise at several scales: something that is not a person."""
    picture = np.zeros((SIZE, SIZE, 3), np.float32)
    for cells in (3, 8, 40):
        noise = rng.uniform(0, 255, (cells, cells, 3)).astype(np.float32)
        picture += cv2.resize(noise, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC) * rng.uniform(0.1, 0.6)
    return np.clip(picture / picture.mean() * rng.uniform(60, 190), 0, 255).astype(np.uint8)


def observe(network, renderer, body, vertices, joints, fov, rng, pictures):
    """Renders one body and looks at it as the pipeline looks at a new person.

    -> what the network says of it and what is true: {'world' (33, 3) m, 'joints' (24, 3) m, both with the crop's axes
    and relative to hips and pelvis, 'image' (33, 2) and 'pixels' (24, 2) in sides of the crop}; None where the network
    saw no person or another pose.
    """
    camera = Camera.from_fov(SIZE, SIZE, float(fov))
    picture = renderer.render(
        vertices[None].numpy(),
        body.faces.numpy(),
        camera.k,
        clothing(body, rng)[None],
        background=background(rng),
        ambient=float(rng.uniform(0.3, 0.7)),
    )
    pixels = camera.project(joints[None])
    box = torch.cat((pixels.amin(1), pixels.amax(1)), 1)
    image = torch.from_numpy(picture)
    first = network(crop(image, camera, regions_from_boxes(box, 1.25)), camera)
    jitter = first.next
    jitter.sizes = jitter.sizes * float(rng.uniform(0.9, 1.15))
    jitter.centers = jitter.centers + torch.from_numpy(rng.normal(0, 0.02, 2)).float() * jitter.sizes[:, None]
    landmarks = network(crop(image, camera, jitter), camera)
    if pictures is not None:
        for x, y in landmarks.image[0].tolist():
            cv2.circle(picture, (round(x), round(y)), 2, (0, 255, 0), -1)
        cv2.imwrite(str(pictures), picture[..., ::-1])
    body_joints, marks = np.array(LIMBS).T
    size = jitter.sizes[0]
    off = (landmarks.image[:, marks] - pixels[:, body_joints]).norm(dim=-1).mean() / size
    if float(landmarks.scores) < 0.8 or float(off) > 0.06:
        return None
    world, image = landmarks.world[0], landmarks.image[0]
    truth = joints @ landmarks.rotations[0].T
    return {
        'world': world - world[HIPS].mean(0),
        'joints': truth - truth[0],
        'image': (image - image[HIPS].mean(0)) / size,
        'pixels': (pixels[0] - image[HIPS].mean(0)) / size,
    }


def anatomy():
    """Where the joints would lie among the landmarks if nothing were fitted: weights (24, 33), rows sum to one."""
    weights = np.zeros((24, 33))

    def give(joint, **parts):
        for name, share in parts.items():
            names = [name] if name in BLAZEPOSE_LANDMARKS else [f'left_{name}', f'right_{name}']
            for landmark in names:
                weights[SMPL_JOINTS.index(joint), BLAZEPOSE_LANDMARKS.index(landmark)] += share / len(names)

    give('pelvis', hip=1)
    give('spine1', hip=0.8, shoulder=0.2)
    give('spine2', hip=0.55, shoulder=0.45)
    give('spine3', hip=0.45, shoulder=0.55)
    give('neck', shoulder=0.9, ear=0.1)
    give('head', ear=0.8, shoulder=0.2)
    for side in ('left', 'right'):
        for joint in ('hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist'):
            give(f'{side}_{joint}', **{f'{side}_{joint}': 1})
        give(f'{side}_collar', **{f'{side}_shoulder': 0.4, 'shoulder': 0.6})
        give(f'{side}_foot', **{f'{side}_foot_index': 0.7, f'{side}_ankle': 0.3})
        give(f'{side}_hand', **{f'{side}_index': 0.5, f'{side}_pinky': 0.5})
    return weights


def solve(inputs, outputs, prior, sum_to_one):
    """Ridge regression (n, 33) -> (n, 24) that is pulled towards `prior`: a joint should follow its own landmarks."""
    gram = inputs.T @ inputs + RIDGE * len(inputs) * np.eye(33)
    moment = inputs.T @ (outputs - inputs @ prior.T)
    if not sum_to_one:
        return prior + np.linalg.solve(gram, moment).T
    one = np.ones((33, 1))
    kkt = np.block([[gram, one], [one.T, np.zeros((1, 1))]])
    return prior + np.linalg.solve(kkt, np.vstack((moment, np.zeros((1, 24)))))[:33].T


def mirrored(world, joints):
    """With the mirror images: twice the data, and a mapping that treats left and right alike."""
    flip = np.array([-1.0, 1, 1])[: world.shape[-1]]
    return (
        np.concatenate((world, world[:, BLAZEPOSE_MIRROR] * flip)),
        np.concatenate((joints, joints[:, SMPL_MIRROR] * flip)),
    )


def fit(seen):
    """Observations (n, ...) -> {'image': weights for pixels, 'plane': for x and y in metres, 'depth': for z}."""
    prior = anatomy()
    world, joints = mirrored(seen['world'], seen['joints'])
    image, pixels = mirrored(seen['image'], seen['pixels'])

    def columns(points):
        return points.transpose(0, 2, 1).reshape(-1, points.shape[1])

    return {
        'image': solve(columns(image), columns(pixels), prior, True),
        'plane': solve(columns(world[..., :2]), columns(joints[..., :2]), prior, True),
        'depth': solve(world[..., 2], joints[..., 2], prior, False),
    }


def relative(mapping, world):
    """The fitted mapping's joints (n, 24, 3), relative to the pelvis."""
    weights = np.stack((mapping['plane'], mapping['plane'], mapping['depth']))
    joints = np.einsum('ajl,nla->nja', weights, world)
    return joints - joints[:, :1]


def observe_split(split, count, arguments, body, network, renderer):
    generator = torch.Generator().manual_seed(arguments.seed + (split == 'test'))
    rng = np.random.default_rng(arguments.seed + (split == 'test'))
    poses = torch.cat(
        [retarget(clip, body.joint_template) for clip in load_clips(arguments.mocap, f'{split}/').values()]
    )
    poses = poses[torch.randint(len(poses), (count,), generator=generator)]
    seen = []
    for start in tqdm(range(0, count, BATCH), desc=split):
        vertices, joints, fov = sample_bodies(body, poses[start : start + BATCH], generator)
        for i in range(len(vertices)):
            picture = arguments.pictures / f'{split}_{start}.png' if arguments.pictures and i == 0 else None
            seen.append(observe(network, renderer, body, vertices[i], joints[i], fov[i], rng, picture))
    good = [one for one in seen if one is not None]
    print(f'{split}: {len(good)} used, {len(seen) - len(good)} rejected')
    return {name: torch.stack([one[name] for one in good]).double().numpy() for name in good[0]}


def report(mapping, seen):
    """Held-out errors, by joint."""
    error = 1e3 * (relative(mapping, seen['world']) - seen['joints'])
    distance = np.linalg.norm(error, axis=-1)
    rms = np.sqrt((error**2).mean((0, 1)))
    pixels = np.linalg.norm(np.einsum('jl,nla->nja', mapping['image'], seen['image']) - seen['pixels'], axis=-1)
    print(f'MPJPE {distance.mean():.1f} mm, root mean square x {rms[0]:.1f} y {rms[1]:.1f} z {rms[2]:.1f}')
    for group, indices in {
        'spine': (3, 6, 9, 12, 15),
        'collars': (13, 14),
        'hands': (22, 23),
        'feet': (10, 11),
        'limbs': (1, 2, 4, 5, 7, 8, 16, 17, 18, 19, 20, 21),
    }.items():
        print(
            f'  {group:8s} {distance[:, indices].mean():6.1f} mm {100 * pixels[:, indices].mean():5.2f} % of the crop'
        )
    for j, name in enumerate(SMPL_JOINTS):
        print(f'  {name:15s} {distance[:, j].mean():6.1f} mm {100 * pixels[:, j].mean():5.2f} %')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('mocap', type=Path)
    parser.add_argument('--samples', type=int, default=4000)
    parser.add_argument('--network', default='blazepose_heavy')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--pictures', type=Path)
    parser.add_argument('--cache', type=Path, help='keep the observations here, to fit again quickly')
    parser.add_argument('--output', type=Path, help='default: mesh_perception/data/NETWORK_joints.npz')
    arguments = parser.parse_args()
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    if arguments.cache and arguments.cache.exists():
        with np.load(arguments.cache) as data:
            train, test = (
                {key.split('/')[1]: data[key] for key in data.files if key.startswith(split)}
                for split in ('train', 'test')
            )
    else:
        body, network = load_body('open'), BlazePose(arguments.network)
        with Renderer(SIZE, SIZE) as renderer, torch.inference_mode():
            train = observe_split('train', arguments.samples, arguments, body, network, renderer)
            test = observe_split('test', arguments.samples // 4, arguments, body, network, renderer)
        if arguments.cache:
            np.savez(
                arguments.cache,
                **{
                    f'{split}/{key}': value
                    for split, seen in (('train', train), ('test', test))
                    for key, value in seen.items()
                },
            )
    mapping = fit(train)
    report(mapping, test)
    output = arguments.output or Path(f'mesh_perception/data/{arguments.network}_joints.npz')
    np.savez_compressed(output, **{name: weights.astype(np.float32) for name, weights in mapping.items()})


if __name__ == '__main__':
    main()
