"""Records what TF.js itself makes of MoveNet-MultiPose and NanoDet, for test/weights/test_networks.py.

Run once, where the originals were fetched (`mesh-perception weights fetch`) and Node is at hand:
    npm install --prefix FOLDER @tensorflow/tfjs@4.22.0
    python tools/record_tfjs_outputs.py FOLDER
It writes test/data/tfjs_outputs.npz. The inputs are made from test/data/two_people.png by `test_inputs` with numpy
alone, so that every machine has the same numbers.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from mesh_perception.weights.modules import NANODET_MEAN, NANODET_STD
from mesh_perception.weights.store import path_of

DATA = Path(__file__).resolve().parent.parent / 'test' / 'data'
# NanoDet's rows that are kept: all scores would be 1.7 MB
EVERY, BEST = 12, 40


def test_inputs() -> dict[str, np.ndarray]:
    """name -> (1, 3, H, W) float32: MoveNet's at two sizes (RGB 0 to 255) and NanoDet's (normalised BGR)."""
    image = cv2.imread(str(DATA / 'two_people.png'))
    large = image.repeat(2, 0).repeat(2, 1)
    square = np.full((416, 416, 3), 114, np.uint8)
    square[48:368, 112:304] = image
    normalised = (square - np.array(NANODET_MEAN)) / np.array(NANODET_STD)
    pictures = {'movenet_320x192': image[..., ::-1], 'movenet_640x384': large[..., ::-1], 'nanodet': normalised}
    return {
        name: np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32) for name, picture in pictures.items()
    }


def main(folder: Path) -> None:
    script = folder / 'record_tfjs_outputs.mjs'
    shutil.copy(Path(__file__).with_suffix('.mjs'), script)
    records = {}
    for name, image in test_inputs().items():
        if name == 'nanodet':
            file, nodes, dtype = 'nanodet', ['Identity', *(f'Identity_{i}' for i in range(1, 6))], 'float32'
        else:
            file, nodes, dtype, image = 'movenet-multipose', ['Identity'], 'int32', image.transpose(0, 2, 3, 1)
        outputs = run(script, file, image, nodes, dtype)
        if name == 'nanodet':
            scores, distances = np.concatenate(outputs[:3], 1)[0], np.concatenate(outputs[3:], 1)[0]
            rows = np.union1d(np.arange(0, len(scores), EVERY), np.argsort(-scores[:, 0])[:BEST])
            records |= {'nanodet_rows': rows, 'nanodet_scores': scores[rows], 'nanodet_distances': distances[rows]}
        else:
            records[name] = outputs[0]
    np.savez_compressed(DATA / 'tfjs_outputs.npz', **records)


def run(script: Path, file: str, image: np.ndarray, nodes: list[str], dtype: str) -> list[np.ndarray]:
    """What TF.js computes for `nodes` of the model called `file`."""
    with tempfile.TemporaryDirectory() as scratch:
        targets = [str(Path(scratch) / f'{i}.bin') for i in range(len(nodes))]
        np.ascontiguousarray(image, '<f4').tofile(Path(scratch) / 'input.bin')
        job = {
            'model': str(path_of(f'{file}.json')),
            'weights': str(path_of(f'{file}.bin')),
            'input': str(Path(scratch) / 'input.bin'),
            'shape': image.shape,
            'dtype': dtype,
            'outputs': [{'node': node, 'file': target} for node, target in zip(nodes, targets, strict=True)],
        }
        (Path(scratch) / 'job.json').write_text(json.dumps(job))
        answer = subprocess.run(
            ['node', str(script), str(Path(scratch) / 'job.json')], check=True, capture_output=True, text=True
        )
        report = json.loads(answer.stdout.splitlines()[-1])
        print(file, report)
        return [np.fromfile(t, '<f4').reshape(shape) for t, shape in zip(targets, report['shapes'], strict=True)]


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
