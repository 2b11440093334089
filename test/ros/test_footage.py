"""The demonstration's calibration: where the cameras stand, shown by what they see from there."""

import numpy as np
import pytest
import torch

from mesh_perception.calibration import load_calibration
from mesh_perception.configuration import load_config
from mesh_perception.media import MediaError, read_frames
from mesh_perception.pipeline import MeshPipeline
from mesh_perception.ros.demo.footage import CAMERAS, camera_pose, demo_footage


def test_cameras_stand_around_the_room_above_the_people_and_look_down():
    for name in CAMERAS:
        pose = camera_pose(name)
        assert np.allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-6)
        assert np.linalg.det(pose[:3, :3]) > 0.99
        assert 1.5 < pose[2, 3] < 2.5  # metres above the floor
        assert pose[2, 2] < 0 < -pose[2, 1]  # the viewing axis goes down, the image's y as well


def test_all_four_cameras_see_the_actors_at_the_same_places_in_the_room():
    """Metric depth from one camera alone, checked by the three others: within half a metre."""
    pipeline = MeshPipeline(load_config('embedded', {'device': 'cpu'}))
    places = []
    for name in CAMERAS:
        path, camera = demo_footage(name)
        pipeline.reset()
        people = pipeline(next(iter(read_frames(path))).image, camera)
        roots = people.joints[:, 0].double()
        pose = torch.from_numpy(camera_pose(name))
        roots = roots @ pose[:3, :3].T + pose[:3, 3]
        # The actors are the two tallest in view; the man, on the platform, stands higher than the woman.
        size = (people.boxes[:, 3] - people.boxes[:, 1]).argsort(descending=True)[:2]
        places.append(roots[size][roots[size, 2].argsort(descending=True)])
    places = torch.stack(places)
    assert (places - places.mean(0)).norm(dim=-1).max() < 0.6
    man, woman = places.mean(0)
    assert (man - woman).norm() > 1


def test_a_foreign_calibration_is_refused_by_name(tmp_path):
    for text in ('', '<calibration>', '<calibration><camera/></calibration>'):
        (tmp_path / 'c.txt').write_text(text)
        with pytest.raises(MediaError, match=r'c\.txt: not a Qualisys calibration'):
            load_calibration(tmp_path / 'c.txt')
    with pytest.raises(MediaError, match="unknown camera 'cam09'"):
        demo_footage('cam09')
