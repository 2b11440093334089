"""The cache, and carrying it elsewhere, on the real files of the default cache copied into temporary ones."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile

import pytest

from mesh_perception.weights import carry, store
from mesh_perception.weights.registry import BY_NAME, ENTRIES
from mesh_perception.weights.store import WeightsError

SMALL = 'pose2sim/multi/Calib.qca.txt'
OTHER = 'nanodet.json'


@pytest.fixture(scope='module')
def originals():
    return {name: store.path_of(name) for name in (SMALL, OTHER)}


@pytest.fixture
def cache(originals, tmp_path, monkeypatch):
    """A cache that holds the two small files, both whole."""
    monkeypatch.setenv('MESH_PERCEPTION_CACHE', str(tmp_path / 'cache'))
    for name, path in originals.items():
        target = store.location(BY_NAME[name])
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return tmp_path / 'cache'


@pytest.fixture
def empty(cache, tmp_path, monkeypatch):
    """Switches to an empty cache."""

    def switch():
        monkeypatch.setenv('MESH_PERCEPTION_CACHE', str(tmp_path / 'robot'))
        return tmp_path / 'robot'

    return switch


def tar_of(path, *members):
    with tarfile.open(path, 'w') as archive:
        for member, data in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv('MESH_PERCEPTION_CACHE', str(tmp_path / 'own'))
    assert store.cache_directory() == tmp_path / 'own'
    monkeypatch.delenv('MESH_PERCEPTION_CACHE')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert store.cache_directory() == tmp_path / 'mesh_perception'
    monkeypatch.delenv('XDG_CACHE_HOME')
    monkeypatch.setenv('HOME', str(tmp_path))
    assert store.cache_directory() == tmp_path / '.cache/mesh_perception'


def test_a_whole_file_is_given_by_path(cache):
    assert store.path_of(SMALL).read_bytes().startswith(b'<?xml')
    assert store.path_of(SMALL) == cache / 'files' / SMALL


def test_missing_and_unknown_files_are_named_with_the_command(cache):
    with pytest.raises(WeightsError, match=r'nanodet\.bin is missing .*mesh-perception weights fetch'):
        store.path_of('nanodet.bin')
    with pytest.raises(WeightsError, match='nonsense'):
        store.path_of('nonsense')


@pytest.mark.parametrize('damage', ['flipped byte', 'truncated', 'longer', 'folder'])
def test_a_damaged_file_is_refused_by_name_even_after_it_was_used(cache, damage):
    path = store.path_of(SMALL)
    data = path.read_bytes()
    path.unlink()
    if damage == 'folder':
        path.mkdir()
    else:
        path.write_bytes({'flipped byte': b'!' + data[1:], 'truncated': data[:-1], 'longer': data + b'!'}[damage])
    with pytest.raises(WeightsError, match=r'pose2sim/multi/Calib\.qca\.txt is damaged'):
        store.path_of(SMALL)
    assert store.state(BY_NAME[SMALL]) == 'damaged'


def test_the_hash_is_taken_once_a_process(cache, monkeypatch):
    store.path_of(OTHER)
    monkeypatch.setattr(store, '_sha256', lambda path: pytest.fail('hashed again'))
    store.path_of(OTHER)


def test_put_takes_only_the_file_expected_and_leaves_nothing_else(cache, empty):
    data = store.path_of(SMALL).read_bytes()
    robot = empty()
    entry = BY_NAME[SMALL]
    for wrong in (b'', data[:-1], data + b'!', b'!' + data[1:]):
        with pytest.raises(WeightsError, match=r'Calib\.qca\.txt in here'), store.writing() as unfinished:
            store.put(entry, io.BytesIO(wrong), unfinished, 'here')
        assert store.state(entry) == 'missing'
    with store.writing() as unfinished:
        store.put(entry, io.BytesIO(data), unfinished, 'here')
    assert store.state(entry) == 'present'
    assert sorted(p.name for p in robot.iterdir()) == ['files', 'lock']


def test_an_endless_stream_is_cut_off(cache):
    class Endless:
        taken = 0

        def read(self, size):
            self.taken += size
            return bytes(size)

    stream = Endless()
    with pytest.raises(WeightsError), store.writing() as unfinished:
        store.put(BY_NAME[SMALL], stream, unfinished, 'here')
    assert stream.taken == BY_NAME[SMALL].size + 1


def test_what_a_killed_writer_left_is_removed_and_is_never_a_file(cache):
    script = (
        'import os\nfrom mesh_perception.weights import store\n'
        'from mesh_perception.weights.registry import BY_NAME\n'
        'class Dies:\n'
        '    n = 0\n'
        '    def read(self, size):\n'
        '        self.n += 1\n'
        '        return b"x" * 100 if self.n < 3 else os._exit(9)\n'
        'with store.writing() as unfinished:\n'
        '    store.put(BY_NAME["nanodet.bin"], Dies(), unfinished, "here")\n'
    )
    assert subprocess.run([sys.executable, '-c', script]).returncode == 9
    assert list((cache / 'unfinished').iterdir()) and store.state(BY_NAME['nanodet.bin']) == 'missing'
    with store.writing() as unfinished:
        assert not list(unfinished.iterdir())
    assert not (cache / 'unfinished').exists()


def test_a_second_writer_waits_for_the_first(cache):
    script = (
        'import sys\nfrom mesh_perception.weights import store\n'
        'with store.writing(lambda: print("waiting", flush=True)):\n    print("in", flush=True)\n'
    )
    with store.writing():
        other = subprocess.Popen([sys.executable, '-c', script], stdout=subprocess.PIPE, text=True)
        assert other.stdout.readline() == 'waiting\n'
        assert other.poll() is None
    assert other.communicate(timeout=20)[0] == 'in\n'


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('MESH_PERCEPTION_CACHE', str(tmp_path / 'file' / 'cache'))
    with pytest.raises(WeightsError, match='cannot be written'), store.writing():
        pass
    assert store.state(ENTRIES[0]) == 'missing'


@pytest.mark.parametrize('target', ['folder', 'files.tar'])
def test_export_and_import_carry_the_files(cache, empty, tmp_path, target):
    assert carry.export_files(tmp_path / target, [SMALL, OTHER]) == 2
    robot = empty()
    assert carry.import_files(tmp_path / target) == 2
    assert store.path_of(SMALL).is_relative_to(robot) and store.path_of(OTHER)


def test_export_refuses_what_is_not_whole(cache, tmp_path):
    with pytest.raises(WeightsError, match='is missing'):
        carry.export_files(tmp_path / 'all.tar')
    assert not list(tmp_path.glob('all.tar*'))


def test_import_refuses_a_damaged_file_by_name(cache, empty, tmp_path):
    data = store.path_of(SMALL).read_bytes()
    empty()
    tar_of(tmp_path / 'bad.tar', (SMALL, b'!' + data[1:]))
    (tmp_path / 'bad' / SMALL).parent.mkdir(parents=True)
    (tmp_path / 'bad' / SMALL).write_bytes(data[1:])
    for source in ('bad.tar', 'bad'):
        with pytest.raises(WeightsError, match=r'Calib\.qca\.txt in .* not the file expected'):
            carry.import_files(tmp_path / source)
        assert store.state(BY_NAME[SMALL]) == 'missing'


@pytest.mark.parametrize('name', ['../evil', '/tmp/evil', f'./{SMALL}', f'pose2sim/../{OTHER}', 'unknown'])
def test_a_tar_with_other_names_is_refused_and_writes_nothing(cache, empty, tmp_path, name):
    robot = empty()
    tar_of(tmp_path / 'evil.tar', (name, b'evil'))
    with pytest.raises(WeightsError, match='is not a file of the registry'):
        carry.import_files(tmp_path / 'evil.tar')
    assert [p.name for p in robot.iterdir()] == ['lock'] and not list(tmp_path.rglob('evil'))


@pytest.mark.parametrize('kind', [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_tar_with_links_or_devices_is_refused(cache, empty, tmp_path, kind):
    empty()
    info = tarfile.TarInfo(SMALL)
    info.type, info.linkname = kind, '/etc/passwd'
    tar_of(tmp_path / 'link.tar', (info, b''))
    with pytest.raises(WeightsError, match='is not a file of the registry'):
        carry.import_files(tmp_path / 'link.tar')


def test_a_tar_that_repeats_a_file_is_refused(cache, empty, tmp_path):
    data = store.path_of(SMALL).read_bytes()
    empty()
    with pytest.raises(WeightsError, match='is not a file of the registry'):
        carry.import_files(tar_of(tmp_path / 'twice.tar', (SMALL, data), (SMALL, data)))


def test_what_is_not_a_tar_is_one_line(cache, tmp_path):
    (tmp_path / 'text.tar').write_bytes(b'not a tar at all' * 100)
    carry.export_files(tmp_path / 'whole.tar', [OTHER])
    (tmp_path / 'half.tar').write_bytes((tmp_path / 'whole.tar').read_bytes()[:50000])
    (tmp_path / 'nothing').mkdir()
    for name, line in (
        ('text.tar', 'not a readable .tar'),
        ('half.tar', 'half.tar'),
        ('none.tar', 'No such file'),
        ('nothing', 'none of the registered'),
    ):
        with pytest.raises(WeightsError, match=line):
            carry.import_files(tmp_path / name)


def test_list_shows_every_file_and_its_state(cache, capsys):
    import argparse

    from mesh_perception.weights import cli

    parser = argparse.ArgumentParser()
    cli.register(parser.add_subparsers())
    arguments = parser.parse_args(['weights', 'list', '--json'])
    assert arguments.handler(arguments) == 0
    rows = {row['name']: row for row in json.loads(capsys.readouterr().out)}
    assert rows.keys() == BY_NAME.keys()
    assert rows[SMALL]['state'] == 'present' and rows['nanodet.bin']['state'] == 'missing'
    assert {'licence', 'size', 'version', 'use'} <= rows[SMALL].keys()
    arguments = parser.parse_args(['weights', 'list'])
    assert arguments.handler(arguments) == 0 and str(os.environ['MESH_PERCEPTION_CACHE']) in capsys.readouterr().out
