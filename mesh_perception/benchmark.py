"""`mesh-perception benchmark`: milliseconds a stage, frames a second and peak memory on this machine."""

import json
import os
import platform
import subprocess
import sys

from mesh_perception.configuration import load_config

NETWORKS = ('blazepose_full', 'blazepose_heavy')


def register(subparsers):
    """Adds the command to the command line."""
    parser = subparsers.add_parser(
        'benchmark',
        help='milliseconds a stage, frames a second and peak memory on this machine',
        description='Measures the pipeline on the footage of `mesh-perception weights fetch`, each skeleton network on '
        'each device in a process of its own.',
    )
    parser.add_argument('--network', choices=NETWORKS, help='this skeleton network alone')
    parser.add_argument('--device', help='this device alone (default: cpu, and cuda where there is one)')
    parser.add_argument(
        '--quick', action='store_true', help="fewer people, frames and repetitions; the default set's network"
    )
    parser.add_argument('--json', action='store_true', help='print one line of JSON last')
    parser.set_defaults(handler=run)


def run(arguments):
    """Runs the command. -> exit code. Raises ValueError where weights or footage are missing."""
    devices = [arguments.device] if arguments.device else _devices()
    networks = [arguments.network] if arguments.network else NETWORKS
    if arguments.quick and not arguments.network:
        networks = [load_config().skeleton.network]
    cases = [(device, network) for device in devices for network in networks]
    load = os.getloadavg()[0]
    if len(cases) == 1:
        results = [_measure(*cases[0], arguments.quick)]
    else:
        results = [_in_own_process(*case, arguments.quick) for case in cases]
    gpu = any(result['device'].startswith('cuda') for result in results)
    machine = {'processor': platform.machine(), 'cores': len(os.sched_getaffinity(0)), 'load_average': round(load, 2)}
    print(as_text(results, machine))
    if not gpu:
        print('\nGPU: not measured')
    if arguments.json:
        print(json.dumps({'machine': machine, 'results': results, 'gpu': 'measured' if gpu else 'not measured'}))
    return 0


def _devices():
    import torch

    return ['cpu', 'cuda'] if torch.cuda.is_available() else ['cpu']


def _measure(device, network, quick):
    from tqdm import tqdm

    from mesh_perception.speed import QUICK, Plan, measure

    plan = QUICK if quick else Plan()
    with tqdm(total=plan.steps(), desc=f'{network} on {device}', disable=not sys.stderr.isatty()) as bar:
        return measure(network, device, plan, bar.update)


def _in_own_process(device, network, quick):
    """Memory and caches of one network are not another's. Progress goes to the same terminal."""
    command = [
        sys.executable,
        '-m',
        'mesh_perception.cli',
        'benchmark',
        '--network',
        network,
        '--device',
        device,
        '--json',
        *(['--quick'] if quick else []),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(done.returncode)  # it said why
    return json.loads(done.stdout.splitlines()[-1])['results'][0]


COLUMNS = (
    'detect',
    'crop',
    'skeleton',
    'inverse kinematics',
    'other',
    'frame',
    'mesh',
    'messages',
    'markers',
    'overlay',
)


def as_text(results, machine):
    """The results for a terminal."""
    lines = [
        f'{machine["cores"]} cores ({machine["processor"]}), load average {machine["load_average"]} at the start',
        "Milliseconds, medians after a warm-up. People are the footage's two actors, repeated with small shifts.",
        'frame = detect + crop + skeleton + inverse kinematics + other (tracking, copies): from image to People.',
        'messages: People to serialised SmplPeople without vertices. markers: the same and light meshes.',
    ]
    for result in results:
        every = result['detect_every']
        lines.append(
            f'\n{result["network"]} on {result["device"]}, {result["threads"]} threads. In video everybody is '
            f'followed and one frame in {every} pays for detection: detect is its 1/{every}.\nA single image '
            'pays for detection and looks at everybody twice.'
        )
        lines += _table(result['rows'])
        lines += _per_person(result['rows'])
        lines.append(
            'End to end on the footage, video without overlay, two people at most (a third stands in the '
            'background), decoding not counted:'
        )
        lines += [
            f'  {row["width"]}x{row["height"]}, MoveNet {row["movenet_size"]}: {row["frames_per_second"]:.1f} '
            f'frames/s, median {row["milliseconds_median"]:.0f} ms, both actors in {row["frames_with_both"]} of '
            f'{row["frames"]} frames, {row["detections"]} detections, peak {row["peak_memory_mb"]:.0f} MB'
            for row in result['end_to_end']
        ]
        alone = result['alone']
        lines.append(
            f'The network alone on one crop: {alone["ours_ms"]:.1f} ms'
            + (f'; {alone["original"]}: {alone["original_ms"]:.1f} ms' if alone['original'] else '')
        )
        if result['copies']:
            lines.append(
                f'Copies a frame while following: {result["copies"]["to_device"]:g} to the GPU, '
                f'{result["copies"]["to_host"]:g} back'
            )
    return '\n'.join(lines)


def _table(rows):
    header = ['size', 'people', 'mode', *COLUMNS, 'frames/s', 'peak MB']
    header[header.index('inverse kinematics')] = 'IK'
    gpu = 'peak_gpu_memory_mb' in rows[0]
    cells = [header + gpu * ['GPU MB']]
    for row in rows:
        times = row['milliseconds']
        cells.append(
            [
                f'{row["width"]}x{row["height"]}',
                str(row['people']),
                row['mode'],
                *(f'{times[name]:.1f}' if name in times else '-' for name in COLUMNS),
                f'{1e3 / times["frame"]:.1f}',
                f'{row["peak_memory_mb"]:.0f}',
                *([f'{row["peak_gpu_memory_mb"]:.0f}'] if gpu else []),
            ]
        )
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ['  '.join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]


def _per_person(rows):
    if 'messages' not in rows[0]['milliseconds']:
        return ['ROS messages: not built']
    row = max(rows, key=lambda r: r['people'])
    messages, markers = (row['milliseconds'][name] / row['people'] for name in ('messages', 'markers'))
    return [
        f'ROS messages: {messages:.2f} ms a person without vertices, {markers:.2f} ms with markers '
        f'(of {row["people"]} people)'
    ]
