"""A real node and the other side of its topics, for faults that come over DDS."""

import os
import random
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

FAST = "['skeleton.network=blazepose_full', 'detection.movenet_size=256', 'detection.nanodet=false']"
WIDTH, HEIGHT = 320, 568  # of the footage's frame, smaller
PATIENCE = 30.0  # s for anything that must happen


def wait(condition, patience=PATIENCE):
    """Until the condition holds; its value."""
    deadline = time.monotonic() + patience
    while not (result := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return result


class Bench:
    """A node in a process, a driver here, and the node's own counts."""

    def __init__(self, environment, folder, footage, compressed=False, namespace='faults', driver=None, **parameters):
        from diagnostic_msgs.msg import DiagnosticArray
        from rclpy.qos import QoSProfile

        from mesh_perception.ros.soak.driver import Driver
        from mesh_perception.ros.soak.process import NodeProcess

        given = {
            'overrides': FAST,
            'device': 'cpu',
            'diagnostics_period': 0.1,
            'image_reliability': 'reliable',  # best effort would lose images of this size over the default transports
            'image_transport': 'compressed' if compressed else 'raw',
            **parameters,
        }
        folder.mkdir(exist_ok=True, parents=True)
        self.footage, self.compressed = footage, compressed
        self.node = NodeProcess(environment, folder / 'log', given, ('-r', f'__ns:=/{namespace}'))
        self.own_driver = driver is None
        domain = int(environment['ROS_DOMAIN_ID'])
        self.driver = driver or Driver(namespace, compressed, QoSProfile(depth=10), domain)
        self.name = f'/{namespace}/mesh_perception'
        self.values, self.reports = {}, 0
        self._listening = self.driver.listen(DiagnosticArray, '/diagnostics', self._on_diagnostics)
        self.message = footage.messages(compressed)[0]
        self.wait = wait

    def ready(self):
        """Waits until it takes images; itself."""
        try:
            self.driver.wait_for_node(self.node.alive)
        except TimeoutError as error:
            raise AssertionError(f'{error}\n{self.node.log()}') from None
        assert wait(lambda: self.reports), self.node.log()
        return self

    def _on_diagnostics(self, serialized):
        from diagnostic_msgs.msg import DiagnosticArray
        from rclpy.serialization import deserialize_message

        for status in deserialize_message(serialized, DiagnosticArray).status:
            if status.name.startswith(f'{self.name}:'):
                self.values = {pair.key: pair.value for pair in status.values}
                self.reports += 1

    def counts(self):
        """{'answered', 'refused', 'failed'}: images in total, by a report that surely begins now: the second."""
        begin = self.reports
        assert wait(lambda: self.reports > begin + 1 or not self.node.alive()) and self.node.alive(), self.node.log()
        return {name: int(self.values[f'images {name} in total']) for name in ('answered', 'refused', 'failed')}

    def answer(self, patience=PATIENCE / 3):
        """Sends a good frame and its calibration until it is answered: its people."""
        from rclpy.serialization import deserialize_message

        from mesh_perception.msg import SmplPeople

        for _ in range(3):
            stamp, _ = self.driver.send(self.message, self.footage.info)
            if self.driver.people.wait(stamp, patience) is not None:
                return deserialize_message(self.driver.people.newest, SmplPeople).people
            assert self.node.alive(), self.node.log()
        raise AssertionError(f'no answer\n{self.node.log()}')

    def give(self, image, info=None):
        """Sends what may be malformed, a message or its bytes, and waits until the node is done with it.

        -> what happened: 'answered', 'refused' or 'failed'.
        """
        before = self.counts()
        for _ in range(3):
            if info is not None:
                self.driver.infos.publish(info)
                time.sleep(0.02)
            self.driver.images.publish(image)

            def done():
                now = {name: int(self.values[f'images {name} in total']) for name in before}
                return [name for name in before if now[name] > before[name]]

            happened = wait(lambda: done() or not self.node.alive(), PATIENCE / 3)
            assert self.node.alive(), self.node.log()
            if happened:
                return happened[0]
        raise AssertionError(f'the image never arrived\n{self.node.log()}')

    def close(self):
        """Ends the node and what listens to it, once. -> the node's exit code."""
        code = self.node.stop()
        if self._listening is None:
            return code
        if self.own_driver:
            self.driver.close()
        else:
            self.driver.node.destroy_subscription(self._listening)
        self._listening = None
        return code


@pytest.fixture(scope='module')
def footage():
    """A frame of the demo's footage, smaller: two people and more."""
    pytest.importorskip('rclpy', reason='needs ROS 2')
    pytest.importorskip('mesh_perception.msg', reason='needs the built messages', exc_type=ImportError)
    pytest.importorskip('tf2_msgs.msg', reason='needs tf2_msgs')
    from mesh_perception.ros.soak.footage import Footage
    from mesh_perception.weights.store import WeightsError

    try:
        return Footage(WIDTH, HEIGHT, 1)
    except WeightsError as error:
        pytest.skip(f'no footage: {error}')


@pytest.fixture(scope='module')
def environment():
    """A domain of our own on this host, for both sides."""
    root = Path(__file__).resolve().parents[3]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        yield {
            **os.environ,
            'ROS_DOMAIN_ID': str(random.randrange(1, 100)),
            'PYTHONPATH': f'{root}{os.pathsep}{os.environ.get("PYTHONPATH", "")}',
        }


@pytest.fixture(scope='module')
def start(environment, footage, tmp_path_factory):
    """start(**options): a Bench; closed at the end of the module if not before."""
    benches = []

    def begin(environment=environment, **options):
        benches.append(Bench(environment, tmp_path_factory.mktemp('node'), footage, **options))
        return benches[-1]

    yield begin
    for bench in reversed(benches):
        bench.close()


@pytest.fixture(scope='module')
def black():
    """black(width, height): a raw image of nothing, and a calibration for it."""
    from sensor_msgs.msg import CameraInfo, Image

    def make(width, height):
        data = np.zeros((height, width, 3), np.uint8)
        image = Image(width=width, height=height, encoding='rgb8', step=3 * width)
        image.header.frame_id = 'faults_optical_frame'
        image.data.frombytes(data.tobytes())
        k = [500.0, 0, width / 2, 0, 500, height / 2, 0, 0, 1]
        return image, CameraInfo(width=width, height=height, k=k, distortion_model='plumb_bob', d=[0.0] * 5)

    return make


def png(width, height, data=b''):
    """A PNG of this size whose pixels are `data`, whatever that is: a small file may claim a huge picture."""
    import struct
    import zlib

    def chunk(kind, content):
        return struct.pack('>I', len(content)) + kind + content + struct.pack('>I', zlib.crc32(kind + content))

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', data) + chunk(b'IEND', b'')


@pytest.fixture(scope='session')
def bomb():
    """bomb(width, height): a whole PNG of black pixels, a thousandth of what it unpacks to; made without unpacking."""
    import zlib

    def make(width, height, rows=100):
        assert height % rows == 0
        packer = zlib.compressobj(9, wbits=-15)
        block = packer.compress(bytes(rows * (1 + 3 * width))) + packer.flush(zlib.Z_FULL_FLUSH)
        check = 1 | (height * (1 + 3 * width) % 65521) << 16  # Adler-32 of zeros
        return png(width, height, b'\x78\x9c' + block * (height // rows) + b'\x03\x00' + check.to_bytes(4, 'big'))

    return make


@pytest.fixture(scope='session')
def jpeg():
    """jpeg(width, height, quality): a grey picture's JPEG."""

    def make(width, height, quality=20):
        return cv2.imencode('.jpg', np.full((height, width, 3), 90, np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])[
            1
        ].tobytes()

    return make
