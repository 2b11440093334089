"""Fits the density of poses that comes along (mesh_perception/synthetic/pose_prior.py), and writes it for the package.

    python tools/fit_pose_prior.py PATH... [--components 4 8 ...] [--seed 0] [--output FILE]

PATH: CMU's motion capture, as `captured_poses` reads it. Fits to the training clips and their mirror images, chooses
the number of components by the likelihood of the validation clips, prints that of the test clips, and compares samples
with the data. Takes two minutes on one core.

A component is made of at least LEAST poses: the file holds their means and covariances and no pose.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from mesh_perception.body import load_body
from mesh_perception.geometry.rotations import project_to_rotation
from mesh_perception.joints import SMPL_JOINTS
from mesh_perception.synthetic.capture import captured_rotations, shown_joints
from mesh_perception.synthetic.motion import SOURCE
from mesh_perception.synthetic.pose_prior import PRIOR, PosePrior, chart, levelled, line_distances, log_components
from mesh_perception.synthetic.retarget import mirror

RANK = 40  # of about 60 coordinates that vary
SHARED = 500  # poses' worth of the components' common covariance that each one's is drawn towards
LEAST = 200  # poses
ROUNDS = 20
LEAST_DEVIATION = np.radians(0.3)  # coordinates that vary less are left out
OUTSIDE = 1e-3  # of the data's poses lie beyond a limit of one coordinate, on each side
UNLIKELY = 5e-3  # of the data's poses are less likely than the least likely sample
CLOSEST = 2e-3  # of the data's poses have two limbs closer than a sample's may be


def fit(x, count, generator):
    """A mixture by expectation maximisation, in float64: weights, means, factors, noise."""
    means = x[torch.randperm(len(x), generator=generator)[:count]]
    for _ in range(8):  # k-means
        nearest = torch.cdist(x, means).argmin(1)
        means = torch.stack([x[nearest == k].mean(0) if (nearest == k).any() else means[k] for k in range(len(means))])
    belongs = torch.nn.functional.one_hot(nearest, count).to(x)
    for _ in range(ROUNDS):
        belongs = belongs[:, belongs.sum(0) >= LEAST]  # smaller ones would come near to single poses
        mixture = maximise(x, belongs)
        belongs = log_components(x, *mixture).softmax(1)
    return mixture


def maximise(x, belongs):
    amounts = belongs.sum(0)
    weights = amounts / amounts.sum()
    means = belongs.T @ x / amounts[:, None]
    own = torch.stack([((x - m).T * b) @ (x - m) / b.sum() for m, b in zip(means, belongs.T, strict=True)])
    common = (weights[:, None, None] * own).sum(0)
    share = (SHARED / (amounts + SHARED))[:, None, None]
    values, vectors = torch.linalg.eigh(own + share * (common - own))
    noise = values[:, :-RANK].mean(1)
    factors = vectors[..., -RANK:] * (values[:, None, -RANK:] - noise[:, None, None]).sqrt()
    return weights, means, factors, noise


def log_likelihood(x, mixture):
    return round(torch.logsumexp(log_components(x, *mixture), 1).mean().item(), 2)


def compare(prior, data, generator):
    """Prints how samples differ from the data, joint by joint and as whole poses."""
    proposals = prior.propose(2000, generator)
    samples = proposals[prior.accepts(proposals)]
    print(
        f'{len(samples) / len(proposals):.0%} of proposals accepted, '
        f'{prior.accepts(data).float().mean():.0%} of the data'
    )
    shuffled = data[torch.randperm(len(data), generator=generator)]
    sets = [chart(poses, prior.center).unflatten(1, (24, 3)).rad2deg() for poses in (shuffled, samples)]
    print('degrees           mean apart   deviation data   deviation samples')
    for j, name in enumerate(SMPL_JOINTS):
        apart = (sets[0][:, j].mean(0) - sets[1][:, j].mean(0)).norm()
        deviations = [one[:, j].var(0).sum().sqrt() for one in sets]
        print(f'{name:16} {apart:12.1f} {deviations[0]:16.1f} {deviations[1]:19.1f}')
    places = [
        (joints - joints[:, :1]).flatten(1)
        for joints in (shown_joints(prior.body, levelled(p)) for p in (shuffled, samples))
    ]
    near = torch.cdist(places[1], places[0]).amin(1) / 24**0.5
    among = torch.cdist(places[1], places[1]).fill_diagonal_(torch.inf).amin(1) / 24**0.5
    print(
        f'mm, root mean square over joints, medians: sample to nearest data {1e3 * near.median():.0f}, least '
        f'{1e3 * near.min():.0f}; sample to nearest of {len(samples)} samples {1e3 * among.median():.0f}'
    )
    return places[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('paths', nargs='+')
    parser.add_argument('--components', nargs='+', type=int, default=[1, 2, 4, 8, 12, 16])
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--output', type=Path, default=Path(__file__).parents[1] / 'mesh_perception' / 'data' / PRIOR)
    arguments = parser.parse_args()
    body = load_body('open')
    poses = {}
    for split in ('train', 'validation', 'test'):
        clips = captured_rotations(arguments.paths, body, split)
        poses[split] = torch.cat(list(clips.values()))
        print(f'{split}: {len(clips)} clips, {len(poses[split])} poses')
    both = torch.cat((poses['train'], mirror(poses['train'])))
    center = project_to_rotation(levelled(both).mean(0))
    varied = chart(both, center)
    free = (varied.std(0) > LEAST_DEVIATION).nonzero()[:, 0]
    scale = varied[:, free].std(0)
    train, validation, test = ((chart(p, center)[:, free] / scale).double() for p in (both, *list(poses.values())[1:]))
    tried = {}
    for count in arguments.components:
        mixture = fit(train, count, torch.Generator().manual_seed(arguments.seed))
        tried[count] = log_likelihood(validation, mixture), mixture
        figures = [log_likelihood(train, mixture), tried[count][0], log_likelihood(test, mixture)]
        print(f'{count:3} components ({len(mixture[0])} kept), nats a pose of training, validation and test: {figures}')
    count = max(tried, key=lambda one: tried[one][0])
    mixture = [one.to(torch.float32) for one in tried[count][1]]
    mixture[1:3] = (one.half().float() for one in mixture[1:3])
    train = train.float()
    prior = PosePrior(
        center,
        free,
        scale,
        *mixture,
        lower=torch.quantile(train, OUTSIDE, 0),
        upper=torch.quantile(train, 1 - OUTSIDE, 0),
        least_log_density=torch.quantile(torch.logsumexp(log_components(train, *mixture), 1), UNLIKELY),
        clearances=torch.quantile(line_distances(shown_joints(body, both)), CLOSEST, 0),
        body=body,
    )
    print(f'{count} components')
    places = compare(prior, both, torch.Generator().manual_seed(arguments.seed))
    means = shown_joints(body, prior.poses(prior.means))
    off = torch.cdist((means - means[:, :1]).flatten(1), places).amin(1) / 24**0.5
    print(f"mm from the components' means to the nearest pose of the data: {[round(1e3 * o) for o in off.tolist()]}")
    arrays = {name: value.numpy() for name, value in vars(prior).items() if isinstance(value, torch.Tensor)}
    for name in ('means', 'factors'):
        arrays[name] = arrays[name].astype(np.float16)
    made = (
        f'tools/fit_pose_prior.py, seed {arguments.seed}: means and covariances of many poses each, none of the poses'
    )
    about = f'{made}. {SOURCE}'
    np.savez_compressed(arguments.output, about=np.array(about), **arrays)
    print(f'{arguments.output}: {arguments.output.stat().st_size / 1e3:.0f} kB')


if __name__ == '__main__':
    main()
