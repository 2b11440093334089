"""What pyproject.toml cannot say: config/ with its folders goes to share/mesh_perception of the prefix."""

from pathlib import Path

from setuptools import setup

CONFIG = Path('config')


def data_files():
    """(folder under the prefix, files of the checkout), one for each folder of config/."""
    folders = {file.parent for file in CONFIG.rglob('*') if file.is_file()}
    return [
        (f'share/mesh_perception/{folder.as_posix()}', sorted(str(file) for file in folder.iterdir() if file.is_file()))
        for folder in sorted(folders)
    ]


setup(data_files=data_files())
