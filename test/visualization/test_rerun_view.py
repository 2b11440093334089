"""What is written for rerun's viewer, read back from its file."""

import numpy as np
import pytest

rr = pytest.importorskip('rerun', reason='needs the extra `view`')
chunks = pytest.importorskip('rerun.chunk', reason='needs rerun-sdk 0.41 to read files')

from mesh_perception.visualization.rerun_view import OPACITY, RerunView, weld

TETRAHEDRON = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)], np.float32)
FACES = np.array([(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)])
BONES = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
K = np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]])


def person(color, shift=0.0):
    return color, (TETRAHEDRON + shift)[FACES.reshape(-1)], BONES + shift, np.full(3, shift)


def columns(path):
    """{entity: {column: its values, row by row}} of a recording."""
    found = {}
    for chunk in chunks.RrdReader(str(path)).stream():
        for name, values in chunk.to_record_batch().to_pydict().items():
            found.setdefault(str(chunk.entity_path), {}).setdefault(name, []).extend(values)
    return found


@pytest.fixture
def written(tmp_path):
    """written(function of a RerunView, ...): the columns of what it wrote."""

    def write(act, **options):
        recording = rr.RecordingStream('test')
        recording.save(tmp_path / 'test.rrd')
        act(RerunView(recording, **options))
        recording.flush(timeout_sec=10)
        recording.disconnect()
        return columns(tmp_path / 'test.rrd')

    return write


def test_welded_triangles_are_the_same_with_smooth_normals_to_the_outside():
    vertices, faces, normals = weld(TETRAHEDRON[FACES.reshape(-1)])
    assert len(vertices) == 4
    np.testing.assert_array_equal(vertices[faces], TETRAHEDRON[FACES])
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-6)
    assert ((vertices - TETRAHEDRON.mean(0)) * normals).sum(1).min() > 0


def test_nothing_and_flat_triangles_have_finite_normals():
    assert [len(part) for part in weld(np.zeros((0, 3)))] == [0, 0, 0]
    assert np.isfinite(weld(np.zeros((3, 3)))[2]).all()


def test_a_person_is_a_mesh_a_skeleton_and_a_name_in_one_colour(written):
    found = written(lambda view: view.people(12.5, {'abcde': person((10, 20, 30), 2.0)}))
    mesh, skeleton, name = (found[f'/people/abcde/{part}'] for part in ('mesh', 'skeleton', 'name'))
    positions = np.array(mesh['Mesh3D:vertex_positions'][0])
    indices = np.array(mesh['Mesh3D:triangle_indices'][0])
    np.testing.assert_allclose(positions[indices], (TETRAHEDRON + 2)[FACES])
    np.testing.assert_allclose(skeleton['LineStrips3D:strips'][0], BONES + 2)
    assert name['Points3D:labels'] == [['abcde']] and name['Points3D:positions'] == [[[2.0, 2.0, 2.0]]]
    color = 10 << 24 | 20 << 16 | 30 << 8
    assert mesh['Mesh3D:albedo_factor'] == [[color | OPACITY]]
    assert skeleton['LineStrips3D:colors'] == name['Points3D:colors'] == [[color | 255]]
    assert mesh['stamp'][0].timestamp() == 12.5


def test_who_leaves_is_cleared_once(written):
    def act(view):
        view.people(1, {'a': person((1, 2, 3)), 'b': person((4, 5, 6))})
        view.people(2, {'b': person((4, 5, 6))})
        view.people(3, {})
        view.people(4, {})

    found = written(act)
    cleared = {entity: data['stamp'] for entity, data in found.items() if 'Clear:is_recursive' in data}
    assert {entity: [s.timestamp() for s in stamps] for entity, stamps in cleared.items()} == {
        '/people/a': [2],
        '/people/b': [3],
    }
    assert len(found['/people/b/mesh']['Mesh3D:vertex_positions']) == 2


def test_names_from_the_network_are_no_paths(written):
    found = written(lambda view: view.people(1, {'../a b/c': person((1, 2, 3))}))
    assert [entity for entity in found if entity.startswith('/people/')] and all(
        entity.replace('\\/', '').count('/') == 3 for entity in found if entity.startswith('/people/')
    )


def test_the_camera_is_written_when_it_changes_and_its_picture_each_time(written):
    picture = np.zeros((48, 64, 3), np.uint8)

    def act(view):
        for stamp in (1, 2):
            view.camera(K, 64, 48)
            view.overlay(stamp, picture)
        view.camera(2 * K, 64, 48)

    found = written(act)
    matrices = found['/camera/lens']['Pinhole:image_from_camera']
    assert len(matrices) <= 2 and matrices[-1] == [list((2 * K).T.reshape(-1))]
    blobs = found['/camera/lens/overlay']['EncodedImage:blob']
    assert len(blobs) == 2 and bytes(blobs[0][0][:2]) == b'\xff\xd8', 'JPEG'


@pytest.mark.parametrize('fixed', [False, True])
def test_up_is_up_in_the_cameras_frame_and_in_a_fixed_one(written, fixed):
    pose = (np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]), np.array([1.0, 2, 3])) if fixed else None
    found = written(lambda view: view.people(1, {'a': person((1, 2, 3))}, pose), fixed=fixed)
    # Right 3, left 4, forward 5, back 6, up 1, down 2: each axis' direction.
    up = found['/']['ViewCoordinates:xyz'][0]
    assert up == ([[3, 5, 1]] if fixed else [[3, 2, 5]])
    assert ('/people' in found) == fixed
    if fixed:
        assert found['/people']['Transform3D:translation'] == [[[1.0, 2.0, 3.0]]]
