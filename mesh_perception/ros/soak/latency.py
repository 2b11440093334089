"""`make latency`: from an image's stamp to its people received, and how much of that is neither pipeline nor transport.

python -m mesh_perception.ros.soak.latency [--frames N] [--size WxH ...] [--transport raw|compressed] [--network NAME]

Three processes take the same frames in turn, so that whatever else the machine does falls on all of them: the node;
an echo, which takes the image, still serialised, and answers its stamp; and the pipeline without ROS. Nothing waits:
the next frame comes when all three have answered, and a pause later. Prints one line of JSON last.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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
    given = {'image_transport': transport, 'device': arguments.device}
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
        echoed = Arrivals()
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
                rows.append({'total': total, 'transport': bare, **alone, 'same_people': people == alone['people']})
    finally:
        if reference is not None:
            reference.close()
        for process in running:
            process.stop()
        for driver in drivers:
            driver.close()
    return summary((width, height), transport, rows, lost)


def summary(of, transport, rows, lost):
    """The figures of a case: percentiles of each part, and what is left of the median."""
    parts = {name: percentiles([row[name] for row in rows]) for name in ('total', 'pipeline', 'transport', 'decode')}
    result = {'size': list(of), 'transport': transport, 'frames': len(rows), 'lost': lost}
    result |= {f'{name}_ms': part for name, part in parts.items()}
    if rows:
        left = parts['total']['p50'] - parts['pipeline']['p50'] - parts['transport']['p50']
        result['overhead_ms'] = round(left, 2)
        result['overhead_without_decoding_ms'] = round(left - parts['decode']['p50'], 2)
        differences = [row['total'] - row['pipeline'] - row['transport'] for row in rows]
        result['overhead_of_frames_ms'] = percentiles(differences)
    result['frames_with_the_same_people'] = sum(row['same_people'] for row in rows)
    return result


def as_text(rows):
    """The table for a terminal."""
    lines = [
        'Milliseconds. total: from the stamp to ~/people received. pipeline: the same frames without ROS.',
        'transport: the same image to a process that answers its stamp. decode: JPEG to pixels.',
        'beyond: total - pipeline - transport, of the medians; net: without decode; each: median over the frames.',
        f'{"size":>10} {"image":>11} {"total p50":>10} {"p95":>7} {"pipeline":>9} {"transport":>10} {"decode":>7} '
        f'{"beyond":>7} {"net":>6} {"each":>6} {"frames":>7} {"lost":>5}',
    ]
    for row in rows:
        cells = [row[f'{name}_ms']['p50'] for name in ('pipeline', 'transport', 'decode')]
        cells += [row.get('overhead_ms'), row.get('overhead_without_decoding_ms')]
        cells.append(row.get('overhead_of_frames_ms', {}).get('p50'))
        values = [row['total_ms']['p50'], row['total_ms']['p95'], *cells]
        shown = ['-' if value is None else f'{value:.1f}' for value in values]
        text = ' '.join(f'{cell:>{width}}' for cell, width in zip(shown, (10, 7, 9, 10, 7, 7, 6, 6), strict=True))
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
