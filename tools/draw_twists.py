"""Makes docs/twists.jpg: people of the synthetic benchmark as they are, with twists from hints, and with f^TS.

python tools/draw_twists.py
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import torch

from mesh_perception.body import load_body
from mesh_perception.configuration import load_config
from mesh_perception.evaluation.synthetic.measure import Shot, match_people
from mesh_perception.evaluation.synthetic.pictures import true_people
from mesh_perception.pipeline import MeshPipeline
from mesh_perception.synthetic.benchmark import SEED, benchmark_scenes
from mesh_perception.synthetic.labels import label
from mesh_perception.synthetic.poses import prior_poses
from mesh_perception.synthetic.rendering import SceneRenderer
from mesh_perception.visualization.overlay import Overlay

OUT = Path(__file__).parents[1] / 'docs' / 'twists.jpg'
SCENES, ROWS, SIDE = 40, 4, 300
SETS = ({}, {'twist_shape.kind': 'none'})


def main():
    body = load_body('open')
    after, before = (MeshPipeline(load_config('embedded', change)) for change in SETS)
    rows = []
    with SceneRenderer(body) as renderer, Overlay(body, label=False) as overlay:
        for scene in benchmark_scenes(prior_poses(), body, SCENES, SEED):
            picture = renderer.render(scene)
            shot = Shot('', scene, picture.rgb, label(scene, picture, body))
            found = [pipeline.in_boxes(shot.picture, scene.camera, shot.labels.boxes) for pipeline in (before, after)]
            matches = [match_people(shot, people.joints_2d) for people in found]
            for person in range(len(scene.joints)):
                box = shot.labels.boxes[person]
                seen = float(shot.labels.visibility[person]) > 0.95 and float(box[3] - box[1]) > 220
                if not seen or any(int(match[person]) != person for match in matches):
                    continue
                off = (found[1].joints_2d[person] - shot.labels.joints_2d[person]).norm(dim=-1).mean()
                if off > 0.05 * float(box[3] - box[1]):  # another person of a crowd
                    continue
                one = torch.tensor([person])
                people = [true_people(shot)[one], found[0][one], found[1][one]]
                meshes = [
                    scene.vertices[one],
                    *(torch.from_numpy(p.meshes(f)) for p, f in zip((before, after), people[1:], strict=True)),
                ]
                for other in people[1:]:
                    other.track_ids = people[0].track_ids
                panels = [shot.picture] + [
                    overlay.draw(shot.picture, scene.camera, p, m, ['']) for p, m in zip(people, meshes, strict=True)
                ]
                rows.append(np.concatenate([square(panel, box) for panel in panels], 1))
                if len(rows) == ROWS:
                    cv2.imwrite(str(OUT), np.concatenate(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
                    print(OUT)
                    return 0
    return f'only {len(rows)} people are seen well enough in {SCENES} scenes'


def square(picture, box):
    x, y = (float(v) for v in (box[:2] + box[2:]) / 2)
    half = 0.55 * float((box[2:] - box[:2]).max())
    turn = np.array(
        [
            [SIDE / (2 * half), 0, SIDE / 2 - x * SIDE / (2 * half)],
            [0, SIDE / (2 * half), SIDE / 2 - y * SIDE / (2 * half)],
        ]
    )
    return cv2.warpAffine(picture, turn, (SIDE, SIDE), flags=cv2.INTER_AREA)


if __name__ == '__main__':
    sys.exit(main())
