"""Measures what retargeting and inverse kinematics lose of motion capture.

    python tools/measure_retargeting.py PATH... [--body BODY]

PATH: .npz files and folders of .asf and .amc files, as `captured_poses` reads them.
"""

import argparse

import torch

from mesh_perception.body import load_body
from mesh_perception.synthetic.capture import read_clips
from mesh_perception.synthetic.round_trip import BONES, round_trip


def spread(errors):
    largest = errors.flatten().sort().values
    return f'{errors.mean():.4f}   {largest[int(0.99 * (len(largest) - 1))]:.4f}   {largest[-1]:.4f}'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('paths', nargs='+')
    parser.add_argument('--body', default='open')
    arguments = parser.parse_args()
    body = load_body(arguments.body)
    trips = [round_trip(clip, body) for clip in read_clips(arguments.paths).values()]
    joints, rotations, bones = (torch.cat([getattr(t, n) for t in trips]) for n in ('joints', 'rotations', 'bones'))
    print(f'{len(trips)} clips, {len(joints)} frames; mean, 99th percentile, most')
    print(f'inverse kinematics, joints, mm: {spread(1e3 * joints)}')
    print(f'inverse kinematics, rotations, degrees: {spread(rotations)}')
    for name, errors in zip(BONES, bones.unbind(1), strict=True):
        print(f'{name}, degrees off the clip: {spread(errors)}')


if __name__ == '__main__':
    main()
