"""Where the files that come with the package lie: in a source checkout, a colcon install and a pip install."""

from pathlib import Path

_PACKAGE = Path(__file__).absolute().parent


def config_directory() -> Path:
    """The folder of mesh_perception.yaml, models/ and the other files that users may read and copy.

    In a checkout it is `config` beside the package. An install has it under its prefix as
    `share/mesh_perception/config`, and the prefix is one of the package's parents: `lib/python3.x/site-packages`
    (colcon, pip), `local/lib/python3.x/dist-packages` (Debian's pip) or the folder itself (`pip --target`).

    Raises FileNotFoundError where neither exists.
    """
    checkout = _PACKAGE.parent
    if (checkout / 'package.xml').is_file():
        return checkout / 'config'
    for prefix in list(_PACKAGE.parents)[:5]:
        candidate = prefix / 'share' / 'mesh_perception' / 'config'
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f'no share/mesh_perception/config beside the package in {_PACKAGE}: install it again')


def data_folder() -> Path:
    """The folder of the files that are committed inside the package."""
    return _PACKAGE / 'data'


def data_file(name: str) -> Path:
    """The path of a file that is committed inside the package, in mesh_perception/data.

    Raises FileNotFoundError naming it where there is no such file.
    """
    path = data_folder() / name
    if not path.is_file():
        raise FileNotFoundError(f'{name} is not among the data files of mesh_perception ({path.parent})')
    return path
