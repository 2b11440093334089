"""Pictures, videos and folders as frames, and videos written back."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

PICTURES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')
VIDEOS = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v', '.mpg', '.mpeg')


class MediaError(ValueError):
    """A file that cannot be read or written; the message names it."""


@dataclass
class Frame:
    """One picture, or one frame of a video."""

    name: str  # the path as given; VIDEO#FRAME for a video's frames
    image: np.ndarray  # (H, W, 3) uint8 RGB
    stamp: float  # s from the video's start; 0 for a picture
    rate: float = 0.0  # frames a second of the video; 0 for a picture

    @property
    def video(self) -> bool:
        return self.rate > 0


def expand(paths):
    """Files as given, and the pictures and videos of folders, sorted. Raises MediaError for what is not there."""
    files = []
    for given in paths:
        path = Path(given)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURES + VIDEOS)
            if not inside:
                raise MediaError(
                    f'{path}: no pictures or videos in this folder (looked for {", ".join(PICTURES + VIDEOS)})'
                )
            files += inside
        elif path.is_file():
            files.append(given)
        else:
            raise MediaError(f'{path}: no such file or folder')
    return files


def frame_count(path):
    """Frames that a file says it has; 1 for a picture."""
    if Path(path).suffix.lower() not in VIDEOS:
        return 1
    video = _open_video(path)
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    video.release()
    return max(count, 0)


def read_frames(path):
    """Yields the Frames of a picture or a video.

    Raises MediaError where nothing can be decoded, and at the end where a video breaks off before its stated length.
    """
    if Path(path).suffix.lower() not in VIDEOS:
        yield Frame(str(path), read_picture(path), 0.0)
        return
    video = _open_video(path)
    try:
        if not video.isOpened():
            raise MediaError(f'{path}: not a video that can be decoded')
        rate = video.get(cv2.CAP_PROP_FPS)
        rate = rate if 0 < rate < 1000 else 30.0
        stated, index = int(video.get(cv2.CAP_PROP_FRAME_COUNT)), 0
        while True:
            good, image = video.read()
            if not good:
                break
            yield Frame(f'{path}#{index}', cv2.cvtColor(image, cv2.COLOR_BGR2RGB), index / rate, rate)
            index += 1
    finally:
        video.release()
    if index == 0:
        raise MediaError(f'{path}: a video without frames')
    if index + 1 < 0.95 * stated:  # some containers estimate their length
        raise MediaError(f'{path}: breaks off after {index} of {stated} frames')


def _open_video(path):
    # OpenCV's other readers complain on stderr, and take a path with digits for a pattern of picture names.
    ffmpeg = cv2.CAP_FFMPEG in cv2.videoio_registry.getBackends()
    return cv2.VideoCapture(str(path), cv2.CAP_FFMPEG if ffmpeg else cv2.CAP_ANY)


def read_picture(path):
    """(H, W, 3) uint8 RGB. Raises MediaError."""
    try:
        data = np.frombuffer(Path(path).read_bytes(), np.uint8)
    except OSError as error:
        raise MediaError(f'{path}: {error.strerror}') from None
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except cv2.error:  # OpenCV refuses to make room for as many pixels as the file claims to hold
        image = None
    if image is None:
        raise MediaError(f'{path}: not a picture that can be decoded')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def write_picture(path, image):
    """Writes (H, W, 3) uint8 RGB. Raises MediaError."""
    try:
        good, data = cv2.imencode(Path(path).suffix, image[..., ::-1])
    except cv2.error:  # a kind of file that OpenCV does not know
        good = False
    if not good:
        raise MediaError(f'{path}: cannot be written: no picture can be encoded as {Path(path).suffix!r}')
    try:
        Path(path).write_bytes(data.tobytes())
    except OSError as error:
        raise MediaError(f'{path}: cannot be written: {error.strerror}') from None


class VideoFile:
    """Writes (H, W, 3) uint8 RGB frames of one size as an MP4; a context manager. Raises MediaError."""

    def __init__(self, path, rate):
        self.path, self.rate, self.writer, self.size = Path(path), rate, None, None

    def write(self, image):
        size = (image.shape[1], image.shape[0])
        if self.writer is None:
            self.size = size
            self.writer = cv2.VideoWriter(str(self.path), cv2.VideoWriter_fourcc(*'mp4v'), self.rate, size)
            if not self.writer.isOpened():
                raise MediaError(f'{self.path}: cannot be written')
        if size != self.size:  # OpenCV would leave the frame out without a word
            raise MediaError(f'{self.path}: holds frames of {_by(self.size)}, got one of {_by(size)}')
        self.writer.write(np.ascontiguousarray(image[..., ::-1]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.writer is not None:
            self.writer.release()


def _by(size):
    return 'x'.join(map(str, size))
