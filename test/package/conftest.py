"""A copy of the checkout, so that builds leave nothing in it."""

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What .gitignore names, and what no build reads.
LEFT_OUT = ('.git', '.venv', 'out', 'build', 'install', 'log', '__pycache__', '.*_cache', '*.egg-info')


@pytest.fixture(scope='session')
def checkout(tmp_path_factory) -> Path:
    """A clean copy of the checkout."""
    folder = tmp_path_factory.mktemp('checkout') / 'mesh_perception'
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
    return folder
