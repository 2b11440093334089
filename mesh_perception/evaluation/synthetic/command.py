"""`mesh-perception evaluate synthetic`: from pixels of rendered scenes to figures against their exact truth."""

import sys
from hashlib import sha256
from pathlib import Path

HELP = 'errors on rendered scenes of 1 to 6 people whose truth is known; needs no data'


def add_arguments(parser):
    """Adds the options."""
    parser.add_argument('--scenes', type=int, metavar='N', help='how many (default: 200)')
    parser.add_argument('--seed', type=int, metavar='N', help='another number makes other scenes (default: 0)')
    parser.add_argument(
        '--motion',
        type=Path,
        nargs='+',
        metavar='PATH',
        help="motion capture to take the poses from, its test clips: .npz files, or folders of CMU's .asf and .amc "
        '(default: the poses that come with the package)',
    )
    parser.add_argument(
        '--boxes',
        choices=('detector', 'truth'),
        default='detector',
        help='who is looked at: whom the detector finds, or everybody in their true boxes (default: detector)',
    )


def run(arguments):
    """Runs the benchmark -> Report. Raises ValueError in one line."""
    import torch
    from tqdm import tqdm

    from mesh_perception.body import load_body
    from mesh_perception.evaluation.cli import load
    from mesh_perception.evaluation.predictions import Frame, predict
    from mesh_perception.evaluation.synthetic.measure import Shot, match_people, measure
    from mesh_perception.evaluation.synthetic.report import make_report
    from mesh_perception.pipeline import MeshPipeline
    from mesh_perception.synthetic.benchmark import SCENES, SEED, benchmark_scenes, fingerprint
    from mesh_perception.synthetic.labels import label
    from mesh_perception.synthetic.poses import captured_poses, prior_poses
    from mesh_perception.synthetic.rendering import SceneRenderer

    count = SCENES if arguments.scenes is None else arguments.scenes
    seed = SEED if arguments.seed is None else arguments.seed
    if not 1 <= count <= 100_000 or not 0 <= seed <= 4000:
        raise ValueError(f'--scenes {count} --seed {seed}: expected 1 to 100000 scenes and a seed from 0 to 4000')
    config = load(arguments)
    body = load_body(config.body)
    poses = captured_poses(arguments.motion, body, 'test') if arguments.motion else prior_poses()
    pipeline = MeshPipeline(config)

    shots = []
    with SceneRenderer(body) as renderer:
        scenes = benchmark_scenes(poses, body, count, seed)
        for scene in tqdm(scenes, 'scenes', count, unit='scene', disable=not sys.stderr.isatty()):
            picture = renderer.render(scene)
            shots.append(Shot(f'{len(shots):04d}', scene, picture.rgb, label(scene, picture, body)))
    digest = fingerprint(shot.scene for shot in shots)

    frames = [Frame(_unique(shot), lambda s=shot: s.picture, shot.scene.camera, shot.labels.boxes) for shot in shots]
    answers, measured = [], []
    for shot, (_, people) in zip(shots, predict(pipeline, frames, arguments.out, arguments.boxes), strict=True):
        truth_boxes = arguments.boxes == 'truth'
        match = torch.arange(len(people)) if truth_boxes else match_people(shot, people.joints_2d)
        vertices = torch.from_numpy(pipeline.meshes(people))
        answers.append((people, match))
        measured.append(measure(shot, people, vertices, match))
    settings = {'scenes': count, 'seed': seed, 'poses': poses.name, 'boxes': arguments.boxes, 'body': body.id}
    return make_report(settings | {'fingerprint': digest}, shots, answers, measured, pipeline)


def _unique(shot):
    """A frame's name with what its picture shows: another picture has another answer."""
    return f'{shot.name} {sha256(shot.picture.tobytes()).hexdigest()[:16]}'
