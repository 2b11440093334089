"""What `mesh-perception train embedded` wrote, in half precision, as the files that come with the package.

python tools/pack_heads.py out/train/embedded
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from mesh_perception.checkpoints import load_checkpoint, read_description, save_checkpoint
from mesh_perception.inverse_kinematics.twist_shape import TwistShapeNetwork
from mesh_perception.refinement.transformer import Refiner
from mesh_perception.resources import data_folder
from mesh_perception.skeleton.landmark_head import LandmarkHead

NETWORKS = {'landmark_head': LandmarkHead, 'twist_shape': TwistShapeNetwork, 'refiner': Refiner}
SOURCE = 'The data used in this project was obtained from mocap.cs.cmu.edu. The database was created with funding from '
SOURCE += 'NSF EIA-0196217.'


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('folder', type=Path, help='of landmark_head, twist_shape and refiner.safetensors')
    folder = parser.parse_args().folder
    for name, make in NETWORKS.items():
        source, target = folder / f'{name}.safetensors', data_folder() / f'embedded_{name}.safetensors'
        try:
            network, description = load_checkpoint(source, make, read_description(source))
        except (ValueError, OSError) as error:
            return f'{parser.prog}: {error}'
        training = description.training | {'precision': 'float16', 'poses': SOURCE}
        save_checkpoint(target, network.half(), replace(description, training=training))
        print(f'{target.name}: {target.stat().st_size / 1e6:.2f} MB')
    return 0


if __name__ == '__main__':
    sys.exit(main())
