"""Makes pairs for the embedded heads: what the networks say of rendered people, and the truth.

    python tools/make_pairs.py FOLDER --motion PATH... [--split train] [--scenes 2000] [--seed 1000000]

PATH: CMU's motion capture, as `captured_poses` reads it; without it poses come from the prior. Writes a file every 40
scenes and goes on where an earlier run stopped. About five samples a scene, four samples a second on one core.
"""

import argparse
from pathlib import Path

from tqdm import tqdm

from mesh_perception.configuration import load_config
from mesh_perception.pipeline import MeshPipeline
from mesh_perception.synthetic.poses import captured_poses, prior_poses
from mesh_perception.synthetic.rendering import SceneRenderer
from mesh_perception.synthetic.scene import sample_scene
from mesh_perception.training.pairs import Pairs, pairs_of_scene, save_pairs

CHUNK = 40  # scenes a file


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--motion', nargs='+')
    parser.add_argument('--split', default='train', choices=('train', 'validation', 'test'))
    parser.add_argument('--scenes', type=int, default=2000)
    parser.add_argument('--seed', type=int, default=1_000_000, help='of the first scene')
    arguments = parser.parse_args()
    pipeline = MeshPipeline(load_config('embedded'))
    if arguments.motion:
        poses = captured_poses(arguments.motion, pipeline.body, arguments.split)
    else:
        poses = prior_poses()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    last = arguments.seed + arguments.scenes
    with SceneRenderer(pipeline.body) as renderer:
        for start in tqdm(range(arguments.seed, last, CHUNK), unit='file'):
            path = arguments.folder / f'{poses.name}_{start:09d}.safetensors'
            if not path.exists():
                scenes = (sample_scene(poses, pipeline.body, seed) for seed in range(start, min(start + CHUNK, last)))
                pairs = Pairs.cat([pairs_of_scene(pipeline, renderer, scene) for scene in scenes])
                save_pairs(path, pairs, {'poses': poses.name, 'network': pipeline.config.skeleton.network})


if __name__ == '__main__':
    main()
