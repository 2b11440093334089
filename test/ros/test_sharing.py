"""Networks that nodes of one process share: one copy for all that use the same, gone with the last of them."""

import gc
import threading
import weakref

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
from mesh_perception.configuration import load_config
from mesh_perception.ros import sharing
from mesh_perception.ros.sharing import SharedModels, give_memory_back

FAST = {'device': 'cpu', 'detection.movenet_size': 256, 'detection.nanodet': False}


def test_one_copy_for_all_that_use_the_same_and_none_when_they_are_gone():
    shared = SharedModels()
    first = shared.pipeline(load_config('embedded', FAST))
    other = shared.pipeline(load_config('embedded', {**FAST, 'tracking.max_people': 3}))
    assert other.parts is first.parts and other.tracker is not first.tracker
    assert other.config.tracking.max_people == 3, "following people is each camera's own"
    different = shared.pipeline(load_config('embedded', {**FAST, 'skeleton.network': 'blazepose_full'}))
    assert different.parts is not first.parts
    left = weakref.ref(first.parts)
    del first
    gc.collect()
    assert left() is not None
    del other
    give_memory_back()
    assert left() is None
    assert shared.pipeline(load_config('embedded', FAST)).parts is not different.parts


def test_a_model_set_that_cannot_be_loaded_leaves_the_others_alone(tmp_path):
    shared = SharedModels()
    with pytest.raises(ValueError):
        shared.pipeline(load_config('embedded', {**FAST, 'body': str(tmp_path / 'smpl.npz')}))
    with pytest.raises(ValueError, match='cuda:99'):
        shared.pipeline(load_config('embedded', {**FAST, 'device': 'cuda:99'}))
    assert shared.pipeline(load_config('embedded', FAST)).parts.body


def test_models_are_made_in_a_thread_that_ends(monkeypatch):
    made_by = []

    class Watched(sharing.MeshPipeline):
        def __init__(self, *arguments, **options):
            made_by.append(threading.current_thread())
            super().__init__(*arguments, **options)

    monkeypatch.setattr(sharing, 'MeshPipeline', Watched)
    pipeline = SharedModels().pipeline(load_config('embedded', FAST))
    assert made_by[0] is not threading.main_thread() and not made_by[0].is_alive() and pipeline.parts is not None
