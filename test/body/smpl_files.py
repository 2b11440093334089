"""Makes small SMPL files in the true formats: what Python 2 with chumpy wrote, and what newer tools write."""

import io
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import scipy.sparse

from mesh_perception.joints import SMPL_PARENTS

# Classes with chumpy's names and its pickled attributes; chumpy itself is not installed, nor needed.
FAKE_CHUMPY = {
    '__init__.py': '',
    'ch.py': """
class Ch(object):
    def __init__(self, **state):
        self.__dict__.update(state, _dirty_vars=set(['x']), _itr=None, _depends_on_deps={'r': {'deps': 'x'}})
    def __getstate__(self):
        return dict(self.__dict__)
""",
    'reordering.py': 'from chumpy.ch import Ch\nclass Select(Ch):\n    pass\n',
}


def body_arrays(vertices=40, seed=0, betas=10):
    """A random body's arrays by SMPL's names and dtypes."""
    rng = np.random.default_rng(seed)
    weights = rng.random((vertices, 24)) * (rng.random((vertices, 24)) < 0.2) + 1e-3
    regressor = rng.random((24, vertices)) * (rng.random((24, vertices)) < 0.3) + 1e-4 * np.eye(24, vertices)
    parents = np.array(SMPL_PARENTS) % 2**32
    return {
        'v_template': rng.normal(size=(vertices, 3)),
        'shapedirs': rng.normal(size=(vertices, 3, betas)) * 0.1,
        'posedirs': rng.normal(size=(vertices, 3, 207)) * 0.01,
        'J_regressor': regressor / regressor.sum(1, keepdims=True),
        'weights': weights / weights.sum(1, keepdims=True),
        'f': rng.integers(0, vertices, (60, 3)).astype(np.uint32),
        'kintree_table': np.stack([parents, np.arange(24)]).astype(np.uint32),
    }


class Python2Pickler(pickle._Pickler):
    """Writes byte strings and text as Python 2 did: raw, without telling one from the other."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_string(self, value):
        data = value if isinstance(value, bytes) else value.encode('latin1')
        self.write(b'T' + struct.pack('<i', len(data)) + data)
        self.memoize(value)

    dispatch[bytes] = dispatch[str] = save_string


def python2_pickle(content):
    """content pickled with protocol 2 under the names of Python 2's numpy and scipy."""
    stream = io.BytesIO()
    Python2Pickler(stream, protocol=2).dump(content)
    data = stream.getvalue()
    for new, old in ((b'numpy._core.', b'numpy.core.'), (b'scipy.sparse._csc\n', b'scipy.sparse.csc\n')):
        data = data.replace(b'c' + new, b'c' + old)
    return data


def chumpy_pickles(folder, arrays):
    """Pickles with chumpy arrays inside, body0.pkl to body5.pkl by protocol and python2.pkl, written by another process
    that has the classes; this one never sees them.
    """
    package = folder / 'with_chumpy' / 'chumpy'
    package.mkdir(parents=True)
    for name, text in FAKE_CHUMPY.items():
        (package / name).write_text(text)
    np.savez(folder / 'arrays.npz', **arrays)
    script = f"""
import pickle, sys
sys.path[:0] = [{str(package.parent)!r}, {str(Path(__file__).parent)!r}]
import numpy as np, scipy.sparse
from chumpy.ch import Ch
from chumpy.reordering import Select
from smpl_files import python2_pickle
content = dict(np.load('arrays.npz'))
shapes = content['shapedirs']
content['v_template'] = Ch(x=content['v_template'])
content['posedirs'] = Ch(x=content['posedirs'])
wide = np.concatenate([shapes, shapes], -1)
places = np.arange(wide.size).reshape(wide.shape)[:, :, :shapes.shape[2]]
content['shapedirs'] = Select(a=Ch(x=wide), idxs=places.ravel(), preferred_shape=shapes.shape)
content['J_regressor'] = scipy.sparse.csc_matrix(content['J_regressor'])
content['bs_style'] = 'lbs'
content['J'] = Ch(x=np.zeros((24, 3)))
for protocol in range(6):
    open(f'body{{protocol}}.pkl', 'wb').write(pickle.dumps(content, protocol=protocol))
open('python2.pkl', 'wb').write(python2_pickle(content))
"""
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(path for path in sys.path if path)}
    subprocess.run([sys.executable, '-c', script], check=True, cwd=folder, env=environment)


def write_pickle(path, arrays, protocol=2, sparse='csc'):
    content = dict(arrays)
    if sparse:
        content['J_regressor'] = getattr(scipy.sparse, f'{sparse}_matrix')(content['J_regressor'])
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path
