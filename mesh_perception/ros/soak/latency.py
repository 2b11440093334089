"""`make latency`: from an image's stamp to its people received, and how much of that is neither pipeline nor transport.

python -m mesh_perception.ros.soak.latency [--frames N] [--size WxH ...] [--transport raw|compressed] [--network NAME]

Three processes take the same frames in turn, so that whatever else the machine does falls on all of them: the node;
an echo, which takes the image, still serialised, and answers its stamp; and the pipeline without ROS. Nothing waits:
the next frame comes when all three have answered, and a pause later. What the node costs beyond its pipeline and the
transport is taken from the pipeline's time in the node itself, as it reports it: on a busy machine two processes differ
by more than that on the same frame. The pipeline without ROS stands beside it, to show that ROS does not slow it down.
Prints one line of JSON last.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.serialization import deserialize_message
from std_msgs.msg import Header
from tqdm import tqdm

from mesh_perception.msg import SmplPeople
from mesh_perception.ros.demo.__main__ import environment
from mesh_perception.ros.soak.__main__ import size
from mesh_perception.ros.soak.driver import Arrivals, Driver, stamp_now
from mesh_perception.ros.soak.figures import percentiles
from mesh_perception.ros.soak.footage import Footage
from mesh_perception.ros.soak.process import NodeProcess

NAMESPACE, ECHO = 'latency', 'latency_echo'
WARM_UP = 10  # frames
PAUSE = 0.03  # s
PATIENCE = 10.0  # s until a frame counts as lost
SIZES = ((640, 480), (1088, 1920))
REPORTS = 0.5  # s between the node's diagnostics


class Stages:
    """The medians of the node's stages over its last 100 results, so of all that count in a run of 100; a
    subscription's callback."""

    def __init__(self):
        self.values = {}

    def __call__(self, serialized):
        for status in deserialize_message(serialized, DiagnosticArray).status:
            self.values = {pair.key: pair.value for pair in status.values} or self.values

    def __getitem__(self, stage):
        """ms; nan where the node never said so."""
        return float(self.values.get(f'{stage}, median, ms', 'nan'))


class Reference:
    """`soak.reference` as a process."""

    def __init__(self, plan):
        command = [sys.executable, '-m', 'mesh_perception.ros.soak.reference', json.dumps(plan)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._read()

    def __call__(self, index, stamp):
        self.process.stdin.write(json.dumps({'index': index, 'stamp': stamp}) + '\n')
        self.process.stdin.flush()
        return self._read()

    def _read(self):
        line = self.process.stdout.readline()
        if not line:
            raise TimeoutError(f'the pipeline without ROS ended with {self.process.wait()}')
        return json.loads(line)

    def close(self):
        """Ends it."""
        self.process.stdin.close()
        self.process.wait()


def measure(width, height, transport, arguments, folder):
    """One case. -> its row. Raises TimeoutError, ProcessLookupError, ValueError."""
    compressed = transport == 'compressed'
    footage = Footage(width, height, WARM_UP + arguments.frames)
    changes = {'skeleton.network': arguments.network} if arguments.network else {}
    plan = {'size': (width, height), 'compressed': compressed, 'frames': len(footage.pictures)}
    plan['overrides'] = {**changes, 'device': arguments.device}
    given = {'image_transport': transport, 'device': arguments.device, 'diagnostics_period': str(REPORTS)}
    if changes:
        given['overrides'] = f'[{",".join(f"{key}={value}" for key, value in changes.items())}]'
    messages, log = footage.messages(compressed), Path(folder, f'{width}_{transport}.log')
    running, drivers, reference = [], [], None
    try:
        running.append(NodeProcess(os.environ, log, given, ('-r', f'__ns:=/{NAMESPACE}')))
        echo = NodeProcess(
            os.environ,
            log.with_suffix('.echo'),
            {'compressed': compressed},
            ('-r', f'__ns:=/{ECHO}'),
            module='mesh_perception.ros.soak.echo',
        )
        running.append(echo)
        driver = Driver(NAMESPACE, compressed)
        drivers.append(driver)
        echoed, stages = Arrivals(), Stages()
        driver.listen(DiagnosticArray, '/diagnostics', stages)
        driver.listen(Header, f'/{ECHO}/echo', echoed, 50)
        topic = f'/{ECHO}/' + driver.images.topic_name.removeprefix(f'/{NAMESPACE}/')
        to_echo = driver.node.create_publisher(type(messages[0]), topic, driver.images.qos_profile)
        reference = Reference(plan)
        driver.wait_for_node(running[0].alive)
        rows, lost = [], 0
        for index in tqdm(range(WARM_UP + arguments.frames), desc=f'{width}x{height} {transport}', disable=None):
            which = index % len(messages)
            stamp, begin = driver.send(messages[which], footage.info)
            answered = driver.people.wait(stamp, PATIENCE)
            time.sleep(PAUSE)
            other, sent = stamp_now(messages[which])
            to_echo.publish(messages[which])
            returned = echoed.wait(other, PATIENCE)
            time.sleep(PAUSE)
            alone = reference(which, stamp[0] + 1e-9 * stamp[1])
            time.sleep(PAUSE)
            if answered is None or returned is None:
                if not all(process.alive() for process in running):
                    raise TimeoutError(f'a process ended: {log.read_text()[-2000:]}')
                lost += 1
                continue
            people = len(deserialize_message(driver.people.newest, SmplPeople).people)
            if index >= WARM_UP:
                total, bare = 1e3 * (answered - begin), 1e3 * (returned - sent)
                same = people == alone['people']
                times = {'alone': alone['pipeline'], 'decode': alone['decode']}
                rows.append({'total': total, 'transport': bare, **times, 'same_people': same})
        time.sleep(2 * REPORTS)
    finally:
        if reference is not None:
            reference.close()
        for process in running:
            process.stop()
        for driver in drivers:
            driver.close()
    return summary((width, height), transport, rows, lost, stages)


def summary(of, transport, rows, lost, stages):
    """The figures of a case: percentiles of each part, the node's own medians, and what is left of the total."""
    parts = {name: percentiles([row[name] for row in rows]) for name in ('total', 'transport', 'alone', 'decode')}
    result = {'size': list(of), 'transport': transport, 'frames': len(rows), 'lost': lost}
    result |= {f'{name}_ms': part for name, part in parts.items()}
    result |= {f'{name}_ms': stages[stage] for name, stage in (('pipeline', 'pipeline'), ('take', 'take the image'))}
    if rows:
        left = parts['total']['p50'] - result['pipeline_ms'] - parts['transport']['p50']
        result['beyond_ms'] = round(left, 2)
        result['beyond_without_decoding_ms'] = round(left - parts['decode']['p50'], 2)
        result['pipeline_against_alone'] = round(result['pipeline_ms'] / parts['alone']['p50'], 3)
    result['frames_with_the_same_people'] = sum(row['same_people'] for row in rows)
    return result


def as_text(rows):
    """The table for a terminal."""
    lines = [
        'Milliseconds, medians. total: from the stamp to ~/people received. pipeline: in the node. transport: the',
        'same image to a process that answers its stamp. beyond: total - pipeline - transport; decode: JPEG to pixels,',
        'a part of it; net: without. alone: the same frames without ROS; ratio: pipeline / alone.',
        f'{"size":>10} {"image":>11} {"total":>7} {"p95":>7} {"pipeline":>9} {"transport":>10} {"beyond":>7} '
        f'{"decode":>7} {"net":>6} {"alone":>7} {"ratio":>6} {"frames":>7} {"lost":>5}',
    ]
    for row in rows:
        values = [
            (row['total_ms']['p50'], 7, 1),
            (row['total_ms']['p95'], 7, 1),
            (row['pipeline_ms'], 9, 1),
            (row['transport_ms']['p50'], 10, 1),
            (row.get('beyond_ms'), 7, 1),
            (row['decode_ms']['p50'], 7, 1),
            (row.get('beyond_without_decoding_ms'), 6, 1),
            (row['alone_ms']['p50'], 7, 1),
            (row.get('pipeline_against_alone'), 6, 2),
        ]
        text = ' '.join(f'{"-" if value is None else f"{value:.{digits}f}":>{wide}}' for value, wide, digits in values)
        width, height = row['size']
        lines.append(f'{f"{width}x{height}":>10} {row["transport"]:>11} {text} {row["frames"]:>7} {row["lost"]:>5}')
    return '\n'.join(lines)


def main():
    """Runs it. -> exit code."""
    parser = argparse.ArgumentParser(prog='make latency', description=__doc__.splitlines()[0])
    parser.add_argument('--frames', type=int, default=100, help='frames a case, default: 100')
    parser.add_argument('--size', type=size, action='append', help='default: 640x480 and 1088x1920')
    parser.add_argument('--transport', choices=('raw', 'compressed'), action='append', help='default: both')
    parser.add_argument('--network', help="skeleton network, default: the model set's")
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    arguments = parser.parse_args()
    if arguments.frames < 1:
        parser.error(f'{arguments.frames} frames: expected 1 or more')
    os.environ.update(environment())
    rows = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            for width, height in arguments.size or SIZES:
                for transport in arguments.transport or ('raw', 'compressed'):
                    rows.append(measure(width, height, transport, arguments, folder))
    except (TimeoutError, ProcessLookupError, ValueError) as error:
        print(f'latency: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(as_text(rows))
    print(json.dumps({'cases': rows, 'load_average': round(os.getloadavg()[0], 2)}))
    return 0


if __name__ == '__main__':
    sys.exit(main())
