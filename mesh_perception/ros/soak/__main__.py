"""`make soak`: real footage into the real node for hours; says whether memory, threads, files or latency grow.

python -m mesh_perception.ros.soak [--frames N] [--size WxH] [--overload [HZ]] [-p NAME:=VALUE ...]

Frames are sent one after the other as they are answered, with everything listened to that the node publishes. With
--overload they come at a fixed rate, whatever the node does with them: the newest wins, and no answer may be old.
Prints one line of JSON last.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage
from tqdm import tqdm
from visualization_msgs.msg import MarkerArray

from mesh_perception.msg import SmplPeople
from mesh_perception.ros.demo.__main__ import environment
from mesh_perception.ros.soak.driver import Driver
from mesh_perception.ros.soak.figures import first_and_last_decile, slope
from mesh_perception.ros.soak.footage import Footage
from mesh_perception.ros.soak.process import NodeProcess, left_behind

NAMESPACE = 'soak'
PATIENCE = 5.0  # s until a frame counts as dropped
QUIET = 1.0  # s without an answer after which none is expected any more
SAMPLES = 500  # looks at the process, about
WARM_UP = 200  # frames at least before memory is compared, if that is not more than half: each cut shows new sizes


class Run:
    """One node, the frames sent to it, and what was seen of both."""

    def __init__(self, driver, node, footage):
        self.driver, self.node, self.info = driver, node, footage.info
        self.messages = footage.messages()
        self.sent = {}  # stamp -> when
        self.samples = []  # (frames sent, what NodeProcess.look says)
        self.gpu = []  # (frames sent, MB)
        driver.listen(DiagnosticArray, '/diagnostics', self._on_diagnostics)

    def send(self):
        """The next frame; the footage starts anew at its end, which is a cut for the node."""
        stamp, when = self.driver.send(self.messages[len(self.sent) % len(self.messages)], self.info)
        self.sent[stamp] = when
        return stamp

    def look(self, every):
        """A sample of the process at every so-many-th frame."""
        if len(self.sent) % every == 0:
            self.samples.append((len(self.sent), self.node.look()))

    def latencies(self):
        """ms from stamp to answer, of all answered frames in their order."""
        answers = self.driver.people.times
        return [1e3 * (answers[stamp] - when) for stamp, when in self.sent.items() if stamp in answers]

    def _on_diagnostics(self, serialized):
        for status in deserialize_message(serialized, DiagnosticArray).status:
            for pair in status.values:
                if pair.key == 'GPU memory reserved, MiB':
                    self.gpu.append((len(self.sent), float(pair.value) * 2**20 / 1e6))


def paced(run, frames, every, progress):
    """The next frame when the last one was answered, or given up."""
    for _ in range(frames):
        stamp = run.send()
        if run.driver.people.wait(stamp, PATIENCE) is None and not run.node.alive():
            run.node.look()  # raises
        run.look(every)
        progress.update()


def overload(run, frames, every, progress, rate):
    """A frame every 1/rate s, answered or not."""
    begin = time.monotonic()
    for index in range(frames):
        time.sleep(max(0.0, begin + index / rate - time.monotonic()))
        run.send()
        run.look(every)
        progress.update()
    answered = -1
    while answered != len(run.driver.people.times):
        answered = len(run.driver.people.times)
        time.sleep(QUIET)


def measure(arguments, log):
    """The whole run. -> the figures as a dict of plain values. Raises TimeoutError, ProcessLookupError, ValueError."""
    footage = Footage(*arguments.size)
    node = NodeProcess(os.environ, log, dict(arguments.parameters), ('-r', f'__ns:=/{NAMESPACE}'))
    driver = None
    try:
        driver = Driver(NAMESPACE)
        for kind, topic in ((MarkerArray, 'markers'), (Image, 'overlay')):
            driver.listen(kind, f'mesh_perception/{topic}')
        driver.listen(TFMessage, '/tf')
        driver.wait_for_node(node.alive)
        run = Run(driver, node, footage)
        every = max(1, arguments.frames // SAMPLES)
        begin = time.monotonic()
        with tqdm(total=arguments.frames, unit='frame', disable=not sys.stderr.isatty()) as progress:
            if arguments.overload:
                overload(run, arguments.frames, every, progress, arguments.overload)
            else:
                paced(run, arguments.frames, every, progress)
        seconds = time.monotonic() - begin
        people = len(deserialize_message(driver.people.newest, SmplPeople).people) if driver.people.newest else 0
    finally:
        code = node.stop()
        if driver is not None:
            driver.close()
    return {
        'mode': f'overload at {arguments.overload:g} Hz' if arguments.overload else 'paced',
        'size': list(arguments.size),
        **figures(run, arguments.frames, seconds),
        'people_in_the_last_answer': people,
        'exit_code': code,
        'shared_memory': {'used': len(node.shared_memory), 'left_behind': left_behind(node.shared_memory)},
    }


def figures(run, frames, seconds):
    """Counts, memory, latency, threads and open files of a run."""
    answered = sum(stamp in run.driver.people.times for stamp in run.sent)
    begin = warm_up(frames)
    warm = [sample for sample in run.samples if sample[0] >= begin]
    first, last = warm[0][1], warm[-1][1]
    result = {
        'frames': {'published': len(run.sent), 'answered': answered, 'dropped': len(run.sent) - answered},
        'answers_per_second': round(answered / seconds, 2),
        'memory': memory([(sent, look['memory_mb']) for sent, look in warm]),
        'own_memory': memory([(sent, look['own_memory_mb']) for sent, look in warm]),
        'gpu_memory': memory([sample for sample in run.gpu if sample[0] >= begin]),
        'latency_ms': first_and_last_decile(run.latencies()),
    }
    for name in ('descriptors', 'threads'):
        result[name] = {'start': first[name], 'end': last[name]}
    return result


def warm_up(frames):
    """Frames of a run after which memory, threads and files are compared: a fifth of it."""
    return min(frames // 2, max(frames // 5, WARM_UP))


def memory(samples):
    """Samples (frames sent, MB) after the warm-up: both ends, and MB in 1000 frames with its interval; or None."""
    if not samples:
        return None
    frames, amounts = zip(*samples, strict=True)
    middle, low, high = slope(frames, amounts, per=1000)
    return {
        'start_mb': round(amounts[0], 1),
        'end_mb': round(amounts[-1], 1),
        'mb_per_1000_frames': round(middle, 3),
        'interval': [round(low, 3), round(high, 3)],
    }


def size(text):
    """'640x480' -> (640, 480), for a command line."""
    width, _, height = text.partition('x')
    if not (width.isdecimal() and height.isdecimal() and int(width) > 15 and int(height) > 15):
        raise argparse.ArgumentTypeError(f'{text!r}: expected WIDTHxHEIGHT, 16x16 or more')
    return int(width), int(height)


def parameter(text):
    """'name:=value' -> (name, value), for a command line."""
    name, given, value = text.partition(':=')
    if not (name and given):
        raise argparse.ArgumentTypeError(f'{text!r}: expected NAME:=VALUE')
    return name, value


def positive(text):
    """A positive number, for a command line."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f'{text!r}: expected a positive number')
    return value


def main():
    """Runs it. -> exit code."""
    parser = argparse.ArgumentParser(prog='make soak', description=__doc__.splitlines()[0])
    parser.add_argument('--frames', type=int, default=10_000, help='default: 10000')
    parser.add_argument('--size', type=size, default=(640, 480), help='of the images, default: 640x480')
    parser.add_argument(
        '--overload', type=positive, nargs='?', const=60.0, metavar='HZ', help='this rate, default 60, not the own pace'
    )
    parser.add_argument(
        '-p', dest='parameters', type=parameter, action='append', default=[], metavar='NAME:=VALUE', help="the node's"
    )
    arguments = parser.parse_args()
    if arguments.frames < 10:
        parser.error(f'{arguments.frames} frames: expected 10 or more')
    os.environ.update(environment())
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, 'node.log')
        try:
            result = measure(arguments, log)
        except (TimeoutError, ProcessLookupError, ValueError) as error:
            print(f'soak: {error}', file=sys.stderr)
            if log.exists():
                print(log.read_text(errors='replace')[-2000:], file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
        print(log.read_text(errors='replace'), file=sys.stderr, end='')
    print(json.dumps(result))
    return 0


if __name__ == '__main__':
    sys.exit(main())
