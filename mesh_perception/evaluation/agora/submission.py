"""The zip that AGORA's server takes: predictions/IMAGE_personId_K.pkl, one pickle a person.

From docs/prediction_format.md, agora_evaluation/check_pred_format.py and load_predictions.py. A pickle holds `joints`
(24, 2) px of 3840 x 2160, `pose2rot` False, and `params`: transl (1, 3), betas (1, 10), global_orient (1, 1, 3, 3) and
body_pose (1, 23, 3, 3) as rotation matrices, with which the server poses the neutral SMPL. IMAGE is the image's file
name without .png, whatever it is. A kid would need `kid_flag` and an eleventh shape coefficient (the documents speak of
`age`, which the code does not read); nobody is said to be one here.
"""

import io
import os
import pickle
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from mesh_perception.evaluation.agora.cameras import to_agora
from mesh_perception.evaluation.agora.images import ImagesError, frame_of, image_files, image_of, test_images
from mesh_perception.evaluation.agora.truth import read_truth, truth_files
from mesh_perception.evaluation.predictions import Frame, predict
from mesh_perception.types import People

_FOLDER = 'predictions'
_PROTOCOL = 4  # of the samples that AGORA publishes
_BETAS = 10


class _Pickler(pickle.Pickler):
    """Writes arrays as calls of numpy.ndarray.

    Under numpy 2 an array's own pickle names numpy._core, which the server's numpy does not have: its evaluation fails
    on such files (agora_evaluation's issue 31).
    """

    def reducer_override(self, value):
        if isinstance(value, np.ndarray):
            return np.ndarray, (value.shape, value.dtype.str, bytearray(value.tobytes()))
        return NotImplemented


class Submission:
    """Writes the zip, person after person; a context manager. The file is there only once all of it is."""

    def __init__(self, path):
        self.path = Path(path)
        self.people = 0

    def __enter__(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, self._temporary = tempfile.mkstemp(dir=self.path.parent, prefix=f'.{self.path.name}.')
        self._zip = zipfile.ZipFile(os.fdopen(handle, 'wb'), 'w', zipfile.ZIP_DEFLATED)
        return self

    def add(self, image: str, people: People, joints_2d):
        """The people of one image, by its file's name, with their joints (P, 24, 2) float64 in AGORA's pixels.

        Who is not finite is left out: such a person could not be matched.
        """
        stem = image.removesuffix('.png')
        number = 0
        for person, joints in enumerate(joints_2d.numpy()):
            content = _content(people, person, joints)
            if all(np.isfinite(array).all() for array in (content['joints'], *content['params'].values())):
                self._zip.writestr(f'{_FOLDER}/{stem}_personId_{number}.pkl', _pickled(content))
                number += 1
        self.people += number

    def __exit__(self, kind, error, trace):
        file = self._zip.fp
        self._zip.close()
        file.close()
        if kind is None:
            os.chmod(self._temporary, 0o644)
            os.replace(self._temporary, self.path)
        else:
            os.unlink(self._temporary)


def frames_to_submit(data, split: str, boxes: str) -> list[tuple[str, Frame]]:
    """Images with the names that they have in the zip: the test images' own, the validation images' as in the truth.

    Raises ValueError, one line, where images or truth are not as expected.
    """
    if split == 'test':
        if boxes == 'truth':
            raise ImagesError('--boxes truth: the test images have no truth; expected --boxes detector')
        return [(path.name, frame_of(path)) for path in test_images(data)]
    files = image_files(data)
    images = [image for path in truth_files(data) for image in read_truth(path, vertices=False)]
    return [(image.name, frame_of(image_of(files, image.name, data), image)) for image in images]


def submit(pipeline, named: list[tuple[str, Frame]], folder, boxes: str, path) -> int:
    """Predicts all frames and writes the zip. -> the number of people in it."""
    frames = [frame for _, frame in named]
    with Submission(path) as submission:
        for (name, _), (frame, people) in zip(named, predict(pipeline, frames, folder, boxes), strict=True):
            submission.add(name, people, to_agora(people.joints_2d.double(), frame.camera.width))
    return submission.people


def _content(people, person, joints):
    rotations = people.rotations[person].float().numpy()
    betas = np.zeros((1, _BETAS), np.float32)
    given = people.betas[person, :_BETAS].float().numpy()
    betas[0, : len(given)] = given
    params = {
        'transl': people.translation[person].float().numpy()[None],
        'betas': betas,
        'global_orient': rotations[None, :1],
        'body_pose': rotations[None, 1:],
    }
    return {'joints': joints, 'pose2rot': False, 'params': params}


def _pickled(content):
    stream = io.BytesIO()
    _Pickler(stream, protocol=_PROTOCOL).dump(content)
    return stream.getvalue()
