"""Several pipelines on one copy of the networks: each answers as if it were alone."""

import gc
import threading
import weakref
from itertools import islice

import pytest
import torch

from mesh_perception.configuration import load_config
from mesh_perception.media import read_frames
from mesh_perception.pipeline import MeshPipeline
from mesh_perception.ros.demo.footage import demo_footage

FAST = {'device': 'cpu', 'detection.movenet_size': 256, 'detection.nanodet': False}


@pytest.fixture(scope='module')
def footage():
    return {
        name: (list(islice(read_frames(demo_footage(name)[0]), 3)), demo_footage(name)[1])
        for name in ('cam01', 'cam02')
    }


def answers(pipeline, frames, camera):
    return [pipeline(frame.image, camera, frame.stamp) for frame in frames]


def test_two_cameras_at_once_get_what_each_gets_alone(footage):
    config = load_config('embedded', FAST)
    first = MeshPipeline(config)
    second = MeshPipeline(config, shared=first.parts)
    assert second.detector is first.detector and second.tracker is not first.tracker
    alone = {name: answers(MeshPipeline(config, shared=first.parts), *footage[name]) for name in footage}
    together = {}

    def work(name, pipeline):
        together[name] = answers(pipeline, *footage[name])

    threads = [threading.Thread(target=work, args=pair) for pair in zip(footage, (first, second), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for name in footage:
        for one, other in zip(alone[name], together[name], strict=True):
            assert len(one) and one.track_ids.tolist() == other.track_ids.tolist()
            torch.testing.assert_close(one.joints, other.joints, atol=1e-4, rtol=1e-4)


def test_the_networks_go_with_the_last_pipeline_that_uses_them():
    first = MeshPipeline(load_config('embedded', FAST), random=False)
    second = MeshPipeline(first.config, shared=first.parts)
    left = weakref.ref(first.parts)
    del first
    gc.collect()
    assert left() is second.parts
    del second
    gc.collect()
    assert left() is None
