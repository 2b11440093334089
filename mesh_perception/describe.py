"""`mesh-perception describe`: what a model set is made of, its weights, and the shapes of a forward pass."""

import json
from dataclasses import fields, is_dataclass
from pathlib import Path

from mesh_perception.configuration import load_config

SIZE = (480, 640)  # height and width of the random picture


def register(subparsers):
    """Adds the command to the command line."""
    parser = subparsers.add_parser(
        'describe',
        help="a model set's parts, weights, licences, sizes and shapes",
        description='Lists the parts of a model set and runs them once on a random picture.',
    )
    parser.add_argument('--models', default='embedded', help='a model set, or the path of one (default: embedded)')
    parser.add_argument('--json', action='store_true', help='as JSON')
    parser.set_defaults(handler=run)


def run(arguments):
    """Runs the command. -> exit code. Raises WeightsError, the parts already shown, where weights are missing."""
    config = load_config(arguments.models)
    missing = None
    try:
        description = describe(config)
    except _Incomplete as incomplete:
        description, missing = incomplete.description, incomplete.reason
    print(json.dumps(description) if arguments.json else as_text(description))
    if missing:
        raise missing
    return 0


class _Incomplete(ValueError):
    """Weights are missing: what can be said without them, and why not more."""

    def __init__(self, description, reason):
        super().__init__(str(reason))
        self.description, self.reason = description, reason


def describe(config):
    """Config -> a dict of plain values: models, device, parts, body, shapes.

    Raises _Incomplete with what is known where weight files are missing or damaged, ValueError for a bad body or
    device.
    """
    from mesh_perception.configuration import model_files
    from mesh_perception.parts import make_body
    from mesh_perception.pipeline import MeshPipeline, choose_device
    from mesh_perception.weights.store import WeightsError

    own = {file.key: file for file in model_files(config)}
    random = not all(Path(file.path).is_file() for file in own.values())
    device = choose_device(config.device)
    body = make_body(config, device, random)
    description = {
        'models': config.name,
        'device': str(device),
        'weights': 'random: not every file is there' if random else 'as listed',
        'parts': [
            {'stage': stage, 'name': name, 'parameters': None, 'files': files}
            for stage, name, files in _networks(config, own)
        ],
        'body': {
            'id': body.id,
            'licence': body.licence,
            'files': [_own_file(own['body'])] if 'body' in own else [],
            'vertices': len(body.v_template),
            'faces': len(body.faces),
            'betas': body.num_betas,
            'light_vertices': len(body.light_vertices),
            'light_faces': len(body.light_faces),
            'pose_blend_shapes': body.posedirs.shape[2],
        },
        'shapes': [],
    }
    try:
        pipeline = MeshPipeline(config, random=random)
    except WeightsError as error:
        raise _Incomplete(description, error) from None
    modules = _modules(pipeline)
    for part in description['parts']:
        part['parameters'] = _parameters(modules[part['name']])
    description['shapes'] = _forward(pipeline, modules)
    return description


def _networks(config, own):
    """(stage, name of the network, its files) of the set's parts that have weights."""
    if config.detection.kind == 'yolov4':
        found = [('detect', 'yolov4', [_own_file(own['detection.weights'])])]
    else:
        names = ['movenet_multipose'] + ['nanodet'] * config.detection.nanodet
        found = [('detect', name, _files(name)) for name in names]
    if config.skeleton.kind == 'metric':
        found.append(('skeleton', f'resnet{config.skeleton.depth}_metric', [_own_file(own['skeleton.weights'])]))
    else:
        found.append(('skeleton', config.skeleton.network, _files(config.skeleton.network)))
    if 'skeleton.head' in own:
        found.append(('skeleton', 'landmark_head', [_own_file(own['skeleton.head'])]))
    for section in ('twist_shape', 'refinement'):
        if f'{section}.weights' in own:
            found.append((section, section, [_own_file(own[f'{section}.weights'])]))
    return found


def _modules(pipeline):
    """{name: the running module} of the same networks."""
    config, found = pipeline.config, {}
    if config.detection.kind == 'yolov4':
        found['yolov4'] = pipeline.detector.network
    else:
        found['movenet_multipose'] = pipeline.detector.movenet.network
        if config.detection.nanodet:
            found['nanodet'] = pipeline.detector.nanodet.network
    if config.skeleton.kind == 'metric':
        found[f'resnet{config.skeleton.depth}_metric'] = pipeline.skeleton.network
    else:
        found[config.skeleton.network] = pipeline.skeleton.blazepose.network
        if pipeline.skeleton.head is not None:
            found['landmark_head'] = pipeline.skeleton.head
    if pipeline.twist_shape is not None:
        found['twist_shape'] = pipeline.twist_shape
    if pipeline.refiner is not None:
        found['refinement'] = pipeline.refiner
    return found


def _parameters(module):
    network = getattr(module, 'network', None)
    if hasattr(network, 'graph'):
        return sum(tensor.numel() for tensor in network.graph.tensors.values())
    return sum(parameter.numel() for parameter in module.parameters())


def _own_file(file):
    """A file that a model set names, as a dict like those of `_files`."""
    path = Path(file.path)
    present = path.is_file()
    # Where it comes from is the user's own folder.
    return {
        'name': path.name,
        'state': 'present' if present else 'missing',
        'package': str(path),
        'licence': "the user's own",
        'bytes': path.stat().st_size if present else 0,
    }


def _files(network):
    from mesh_perception.weights.networks import NETWORKS
    from mesh_perception.weights.registry import BY_NAME
    from mesh_perception.weights.store import state

    return [
        {
            'name': entry.name,
            'state': state(entry),
            'package': str(entry.archive),
            'licence': entry.licence,
            'bytes': entry.size,
        }
        for entry in (BY_NAME[name] for name in NETWORKS[network].files)
    ]


def _forward(pipeline, modules):
    """Runs every part on one random picture with one region in its middle.

    -> [{'name', 'input': shapes, 'output': shapes}], the networks' first, then the stages in their order
    """
    import torch

    from mesh_perception.body import skin
    from mesh_perception.geometry.camera import Camera
    from mesh_perception.geometry.crops import crop
    from mesh_perception.inverse_kinematics import initial_parameters
    from mesh_perception.inverse_kinematics.twist_shape import parameters_from_twists
    from mesh_perception.refinement.refine import finish, refine
    from mesh_perception.types import Regions

    height, width = SIZE
    generator = torch.Generator().manual_seed(0)
    picture = torch.randint(0, 256, (height, width, 3), generator=generator, dtype=torch.uint8).to(pipeline.device)
    camera = Camera.from_fov(width, height, 60)
    count = pipeline.config.refinement.people if pipeline.refiner is not None else 1
    region = torch.tensor([[width / 2, height / 2, height, 0.0]] * count, device=pipeline.device)
    regions = Regions(region[:, :2], region[:, 2], region[:, 3])
    seen, networks = [], []

    def stage(name, value, *inputs):
        seen.append({'name': name, 'input': [_shapes(i) for i in inputs], 'output': _shapes(value)})
        return value

    def watch(name):
        return lambda module, inputs, output: networks.append(
            {'name': name, 'input': [_shapes(i) for i in inputs], 'output': _shapes(output)}
        )

    hooks = [module.register_forward_hook(watch(name)) for name, module in modules.items()]
    try:
        with torch.inference_mode():
            stage('detect', pipeline.detector(picture), picture)
            crops = stage('crop', crop(picture, camera, regions), picture, regions)
            sightings = stage('skeleton', pipeline.skeleton(crops, camera), crops)
            skeletons, body = sightings.skeletons, pipeline.body
            if pipeline.twist_shape is None:
                people = initial_parameters(body, skeletons)
            else:
                people = parameters_from_twists(body, skeletons, *pipeline.twist_shape(skeletons.features))
            stage('inverse kinematics', people, skeletons)
            if pipeline.refiner is not None:
                people = stage('refine', refine(pipeline.refiner, body, skeletons.features, people), people)
                people = finish(body, people, skeletons, camera).parameters
            stage('mesh', skin(body, people.rotations, people.betas, people.translation), people)
    finally:
        for hook in hooks:
            hook.remove()
    return networks + seen


def _shapes(value):
    """A tensor's shape as a list; a tuple's or a list's as a list of these; a batch's as {field: shape}."""
    if is_dataclass(value):
        return {f.name: _shapes(getattr(value, f.name)) for f in fields(value)}
    if hasattr(value, '_asdict'):
        return {name: _shapes(item) for name, item in value._asdict().items()}
    if isinstance(value, (tuple, list)):
        return [_shapes(item) for item in value]
    return list(value.shape)


def as_text(description):
    """The description for a terminal."""
    body = description['body']
    lines = [f'model set {description["models"]} on {description["device"]}, weights {description["weights"]}']
    for part in description['parts']:
        count = part['parameters']
        lines.append(f'\n{part["stage"]}: {part["name"]}' + (f', {count:,} parameters' if count else ''))
        lines += [
            f'  {file["state"]:7}  {file["name"]}  {file["bytes"] / 1e6:.1f} MB  {file["licence"]}  '
            f'from {file["package"]}'
            for file in part['files']
        ]
    lines += [
        f'\nbody: {body["id"]}, {body["vertices"]} vertices, {body["faces"]} faces, {body["betas"]} betas, '
        f'{body["pose_blend_shapes"]} pose blend shapes',
        f'  light mesh: {body["light_vertices"]} vertices, {body["light_faces"]} faces',
        f'  licence: {body["licence"]}',
    ]
    if description['shapes']:
        lines.append(f'\nshapes seen on one random picture of {SIZE[1]}x{SIZE[0]}, one region a person')
    for row in description['shapes']:
        lines += [
            f'  {row["name"]}',
            f'    in   {", ".join(map(_shape_text, row["input"]))}',
            f'    out  {_shape_text(row["output"])}',
        ]
    return '\n'.join(lines)


def _shape_text(shape):
    if isinstance(shape, dict):
        return ', '.join(f'{name} {_shape_text(item)}' for name, item in shape.items())
    if all(isinstance(item, int) for item in shape):
        return 'x'.join(map(str, shape)) or 'scalar'
    return ', '.join(map(_shape_text, shape))
