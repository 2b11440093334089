"""`make demo`: footage as a camera, the node and a recorder, each a process of its own; prints one line of JSON last.

python -m mesh_perception.ros.demo [--cameras cam01|all] [--frames N] [--output DIR]
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from mesh_perception.ros.dds import LARGE_IMAGES, profile_variable
from mesh_perception.ros.demo.footage import CAMERAS

STOP = 20.0  # s for a process to end by itself


def environment():
    """The processes' environment: this host alone, a domain of their own, shared memory for large images."""
    values = dict(os.environ)
    values.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    values.setdefault('ROS_DOMAIN_ID', str(random.randrange(1, 100)))
    values.setdefault(profile_variable(), str(LARGE_IMAGES))
    return values


def start(module, namespace, parameters, values, output=subprocess.PIPE):
    """A Python module as a ROS node in a process of its own."""
    arguments = [sys.executable, '-m', module, '--ros-args', '-r', f'__ns:=/{namespace}', '--log-level', 'warn']
    for name, value in parameters.items():
        arguments += ['-p', f'{name}:={value}']
    return subprocess.Popen(arguments, env=values, stdout=output, text=True)


def stop(process):
    """Ends a process that we started: politely, then not. -> its standard output."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=STOP)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[0]


def report_of(publisher, others):
    """The publisher's standard output when it ends. Raises RuntimeError where it fails, or one of {name: process}
    ends before it."""
    while True:
        try:
            output = publisher.communicate(timeout=0.5)[0]
        except subprocess.TimeoutExpired:
            for name, process in others.items():
                if process.poll() is not None:
                    raise RuntimeError(f'the {name} ended with {process.returncode}') from None
            continue
        if publisher.returncode:
            raise RuntimeError(f'the publisher ended with {publisher.returncode}')
        return output


def play(camera, frames, output, values, models):
    """One camera through the node. -> (the publisher's report, the recorder's report). Raises RuntimeError."""
    recorder = start('mesh_perception.ros.demo.recorder', camera, {'output': output, 'name': camera}, values)
    running = [recorder]
    try:
        if not recorder.stdout.readline():
            raise RuntimeError('the recorder did not start')
        running.append(start('mesh_perception.ros.node', camera, {'publish_overlay': 'true', **models}, values, None))
        publisher = start(
            'mesh_perception.ros.demo.publisher', camera, {'camera': camera, 'frames': frames, 'listeners': 2}, values
        )
        running.append(publisher)
        published = report_of(publisher, {'node': running[1]})
        recorded = stop(recorder)
        return json.loads(published.splitlines()[-1]), json.loads(recorded.splitlines()[-1])
    finally:
        for process in running:
            stop(process)


def main():
    """Runs the demonstration. -> exit code."""
    parser = argparse.ArgumentParser(prog='make demo', description=__doc__.splitlines()[0])
    parser.add_argument('--cameras', default='cam01', help=f'{", ".join(CAMERAS)}, several with commas, or all')
    parser.add_argument('--frames', type=int, default=0, help='frames a camera (default: all, 100)')
    parser.add_argument('--output', type=Path, default=Path('out/demo'))
    parser.add_argument('--models', help='a model set other than the default')
    arguments = parser.parse_args()
    cameras = CAMERAS if arguments.cameras == 'all' else arguments.cameras.split(',')
    unknown = [camera for camera in cameras if camera not in CAMERAS]
    if unknown:
        parser.error(f'unknown camera {unknown[0]!r}: expected one of {", ".join(CAMERAS)}, or all')
    if arguments.frames < 0:
        parser.error(f'{arguments.frames} frames: expected a positive number, or 0 for all')
    values = environment()
    total, people, topics, latencies = Counter(), Counter(), Counter(), []
    by_name = {}
    for camera in cameras:
        print(f'{camera}: footage -> /{camera}/image -> mesh_perception -> {arguments.output}', flush=True)
        try:
            published, recorded = play(
                camera,
                arguments.frames,
                arguments.output,
                values,
                {'models': arguments.models} if arguments.models else {},
            )
        except (RuntimeError, ValueError, IndexError) as error:
            print(f'demo: {camera}: {error}', file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
        latencies += published.pop('latency_ms')
        total.update(published)
        people.update(recorded['people'])
        topics.update(recorded['topics'])
        by_name.update(json.loads((arguments.output / f'{camera}_people.json').read_text()))
        (arguments.output / f'{camera}_people.json').unlink()
    (arguments.output / 'people.json').write_text(json.dumps(by_name))
    print(f'look at {arguments.output}: CAMERA.mp4 and CAMERA_*.jpg (overlays), people.json, CAMERA_bag (MCAP)')
    latency = {f'p{q}': round(float(np.percentile(latencies, q)), 1) if latencies else None for q in (50, 95)}
    print(
        json.dumps(
            {
                'frames': total['frames'],
                'answered': total['answered'],
                'people': dict(sorted(people.items())),
                'latency_ms': latency,
                'topics': dict(sorted(topics.items())),
            }
        )
    )
    return 0 if total['answered'] else 1


if __name__ == '__main__':
    sys.exit(main())
