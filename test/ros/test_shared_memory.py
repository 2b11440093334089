"""Segments of dead processes are removed, and no others."""

import fcntl
import os
import time

from mesh_perception.ros.shared_memory import remove_dead_segments

LONG_AGO = time.time() - 60


def segment(folder, name, age=LONG_AGO):
    (folder / name).write_bytes(bytes(100))
    lock = folder / f'{name}_el'
    lock.touch()
    os.utime(lock, (age, age))
    return lock


def test_segments_of_dead_processes_go_and_all_else_stays(tmp_path):
    segment(tmp_path, 'fastdds_0123456789abcdef')
    segment(tmp_path, 'fastrtps_0123456789abcdef')
    living = segment(tmp_path, 'fastdds_aaaaaaaaaaaaaaaa')
    segment(tmp_path, 'fastdds_bbbbbbbbbbbbbbbb', time.time())
    segment(tmp_path, 'fastdds_port7411')
    segment(tmp_path, 'otherdds_0123456789abcdef')
    (tmp_path / 'sem.fastdds_port7411_mutex').touch()
    before = set(os.listdir(tmp_path))
    with open(living) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert remove_dead_segments(tmp_path) == 2
    gone = before - set(os.listdir(tmp_path))
    assert gone == {f'{prefix}_0123456789abcdef{end}' for prefix in ('fastdds', 'fastrtps') for end in ('', '_el')}


def test_a_lock_without_its_segment_and_a_system_without_the_folder(tmp_path):
    segment(tmp_path, 'fastdds_0123456789abcdef')
    (tmp_path / 'fastdds_0123456789abcdef').unlink()
    assert remove_dead_segments(tmp_path) == 1 and not list(tmp_path.iterdir())
    assert remove_dead_segments(tmp_path / 'nowhere') == 0
