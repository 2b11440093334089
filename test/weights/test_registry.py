from pathlib import PurePosixPath

from mesh_perception.weights.registry import ARCHIVES, BY_NAME, ENTRIES


def test_names_are_unique_relative_paths():
    assert len(BY_NAME) == len(ENTRIES)
    for entry in ENTRIES:
        path = PurePosixPath(entry.name)
        assert not path.is_absolute() and '..' not in path.parts and str(path) == entry.name


def test_every_entry_is_complete_and_belongs_to_a_pinned_archive():
    for entry in ENTRIES:
        assert len(bytes.fromhex(entry.sha256)) == 32 and 0 < entry.size < entry.archive.size
        assert entry.licence and entry.use and entry.version == entry.archive.version
    for archive in ARCHIVES.values():
        assert archive.ecosystem in ('pypi', 'npm') and len(bytes.fromhex(archive.sha256)) == 32
        assert any(entry.archive == archive for entry in ENTRIES)
