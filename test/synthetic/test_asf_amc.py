"""Small skeletons and motions in Acclaim's format, with places worked out by hand."""

import math

import pytest
import torch
from scipy.spatial.transform import Rotation

from mesh_perception.synthetic.asf_amc import AcclaimError, load_asf_amc, read_asf

# An arm: root, upper arm of 2 units to the left, forearm of 1 unit; a unit is a metre. The forearm's frame has its
# x along the world's -y, so that rx bends it about -y: forwards for a left arm.
ASF = """# made by hand
:version 1.10
:name arm
:units
  mass 1.0
  length 0.0254
  angle deg
:documentation
   length of nothing
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name upper
     direction 3 0 0
     length 2
     axis 0 0 0  XYZ
     dof rx ry rz
     limits (-160.0 20.0)
            (-70.0 70.0)
            (-60.0 70.0)
  end
  begin
     id 2
     name fore
     direction 1 0 0
     length 1
     axis 0 0 -90  XYZ
    dof rx
    limits (-10.0 170.0)
  end
:hierarchy
  begin
    root upper
    upper fore
  end
"""
AMC = """#!OML:ASF arm.asf
:FULLY-SPECIFIED
:DEGREES
1
root 0 0 0 0 0 0
upper 0 0 0
fore 0
2
root 1 2 3 0 0 0
upper 0 0 90
fore 90
3
root 0 0 0 0 90 0
upper 90 0 90
fore 0
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / 'arm.asf').write_text(ASF)
    (tmp_path / 'arm.amc').write_text(AMC)
    return tmp_path / 'arm.asf', tmp_path / 'arm.amc'


def places(clip):
    return {name: clip.world()[1][:, j] for j, name in enumerate(clip.names)}


def test_places_worked_out_by_hand(files):
    clip = load_asf_amc(*files)
    assert (clip.names, clip.parents, clip.rate, len(clip)) == (
        ('root', 'upper', 'fore', 'fore_end'),
        (-1, 0, 1, 2),
        120,
        3,
    )
    where = places(clip)
    expected = {
        'upper': [(0, 0, 0), (1, 2, 3), (0, 0, 0)],
        # second: up. third: rx first (nothing for a bone along x), then rz (up), then the root's ry (nothing again)
        'fore': [(2, 0, 0), (1, 4, 3), (0, 2, 0)],
        # second: bent forwards before the upper arm went up; third: straight
        'fore_end': [(3, 0, 0), (1, 4, 4), (0, 3, 0)],
    }
    for name, rows in expected.items():
        torch.testing.assert_close(where[name], torch.tensor(rows, dtype=torch.float32), atol=1e-6, rtol=0)


def test_angles_apply_in_the_written_order_about_fixed_axes(files):
    asf, amc = files
    asf.write_text(ASF.replace('axis 0 0 0  XYZ', 'axis 10 20 30 ZXY').replace('dof rx ry rz', 'dof rz rx ry'))
    amc.write_text('1\nroot 0 0 0 15 25 35\nupper 40 50 60\nfore 0\n')
    clip = load_asf_amc(asf, amc)
    axes = Rotation.from_euler('zxy', [30, 10, 20], degrees=True)
    expected = axes * Rotation.from_euler('zxy', [40, 50, 60], degrees=True) * axes.inv()
    torch.testing.assert_close(clip.rotations[0, 1].double(), torch.from_numpy(expected.as_matrix()), atol=1e-6, rtol=0)
    expected = Rotation.from_euler('xyz', [15, 25, 35], degrees=True).as_matrix()
    torch.testing.assert_close(clip.rotations[0, 0].double(), torch.from_numpy(expected), atol=1e-6, rtol=0)


def test_units_and_radians(files):
    asf, amc = files
    asf.write_text(ASF.replace('length 0.0254', 'length 0.45').replace('angle deg', 'angle rad'))
    asf.write_text(asf.read_text().replace('axis 0 0 -90', f'axis 0 0 {-math.pi / 2}'))
    amc.write_text(f':RADIANS\n1\nroot 1 0 0 0 0 0\nupper 0 0 0\nfore {math.pi / 2}\n')
    unit = 0.0254 / 0.45  # CMU's
    end = places(load_asf_amc(asf, amc))['fore_end'][0]
    torch.testing.assert_close(end, torch.tensor((3 * unit, 0, unit)), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    'old, new, message',
    [
        ('direction 3 0 0', 'direction 3 0', ":19: '3 0', expected 3 numbers"),
        ('direction 3 0 0', 'direction nan 0 0', ':19: '),
        ('length 2', 'length 1e999', ':20: '),
        ('length 2', 'length -2', ":26: bone 'upper' has no direction or a negative length"),
        ('     length 2\n', '', ':25: a bone without length'),
        ('axis 0 0 0  XYZ', 'axis 0 0 0 XXZ', ":21: axis order 'XXZ'"),
        ('dof rx ry rz', 'dof rx l', ":22: channels 'rx l'"),
        ('dof rx ry rz', 'dof rx rx', ":22: channels 'rx rx'"),
        ('name fore', 'name upper', ":35: bone 'upper' twice"),
        ('length 0.0254', 'length 0', ':6: length 0, expected a positive number'),
        ('angle deg', 'angle turns', ":7: 'turns', expected deg or rad"),
        ('root upper', 'root lower', ":38: bone 'lower' is not in :bonedata"),
        ('upper fore\n', '\n', ":40: bone 'fore' is not in :hierarchy"),
        ('upper fore\n', 'upper fore upper\n', ":39: bone 'upper' has two parents"),
        ('root upper\n', 'fore upper\n', ":38: bone 'fore' before its parent"),
        ('orientation 0 0 0', 'orientation 0 90 0', ':14: a root orientation other than 0 0 0 is not supported'),
        ('order TX', 'odor TX', ':40: :root with its order'),
        ('  end\n:hierarchy', ':hierarchy', ':35: a bone without end'),
    ],
)
def test_a_bad_skeleton_is_refused_by_line(files, old, new, message):
    asf, _ = files
    assert old in ASF
    asf.write_text(ASF.replace(old, new, 1))
    with pytest.raises(AcclaimError) as error:
        read_asf(asf)
    assert str(error.value).startswith(f'{asf}{message}') and '\n' not in str(error.value)


@pytest.mark.parametrize(
    'old, new, message',
    [
        ('fore 90', 'fore ninety', ":11: 'ninety', expected 1 number"),
        ('fore 90', 'fore 90 0', ":11: '90 0', expected 1 number"),
        ('fore 90', 'fore inf', ":11: 'inf'"),
        ('fore 90', 'hand 90', ":11: bone 'hand', expected one that moves in the skeleton"),
        ('fore 90', 'upper 0 0 0', ':11: upper twice in a frame'),
        ('fore 90\n', '', ':11: frame 2 ends without fore'),
        ('1\nroot', 'root', ':4: root before the first frame'),
        (AMC, ':DEGREES\n', ':1: no frame in it'),
        (AMC, '\0\xff binary', ":1: bone '\\x00\xff'"),
    ],
)
def test_a_bad_motion_is_refused_by_line(files, old, new, message):
    asf, amc = files
    amc.write_text(AMC.replace(old, new, 1), encoding='latin-1')
    with pytest.raises(AcclaimError) as error:
        load_asf_amc(asf, amc)
    assert str(error.value).startswith(f'{amc}{message}') and '\n' not in str(error.value)


def test_missing_and_oversized_files_are_refused(files, tmp_path):
    asf, amc = files
    with pytest.raises(AcclaimError, match=r'none\.amc: no such file'):
        load_asf_amc(asf, tmp_path / 'none.amc')
    asf.write_bytes(b'#' * (2 << 20))
    with pytest.raises(AcclaimError, match='expected at most'):
        load_asf_amc(asf, amc)
