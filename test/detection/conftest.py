import cv2
import pytest
import torch

from mesh_perception.weights.store import path_of

FRAMES = (0, 30, 60, 90)


def read_frames(camera):
    """Frames 0, 30, 60, 90 of one camera of the two-person footage: list of uint8 RGB (1920, 1088, 3) tensors."""
    video = cv2.VideoCapture(str(path_of(f'pose2sim/multi/cam0{camera}.mp4')))
    frames = []
    for i in range(max(FRAMES) + 1):
        assert video.grab()
        if i in FRAMES:
            frames.append(torch.from_numpy(cv2.cvtColor(video.retrieve()[1], cv2.COLOR_BGR2RGB)))
    return frames


@pytest.fixture(scope='session')
def footage():
    """{(camera, frame): image}"""
    return {
        (camera, frame): image
        for camera in (1, 2, 3, 4)
        for frame, image in zip(FRAMES, read_frames(camera), strict=True)
    }
