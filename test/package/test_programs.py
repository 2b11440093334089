"""The programs in scripts/, as they are installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SMALL = {'depth': 18, 'hidden': 32, 'width': 32, 'mlp': 32, 'blocks': 1, 'discriminator': 16, 'size': 64}


def run(*command, seconds):
    environment = {**os.environ, 'PYTHONPATH': f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'}
    return subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, timeout=seconds)


@pytest.mark.parametrize('program', sorted(path.name for path in (ROOT / 'scripts').iterdir()))
def test_a_worker_process_that_imports_the_program_does_not_run_it(program):
    script = f"import runpy; runpy.run_path({str(ROOT / 'scripts' / program)!r}, run_name='__mp_main__'); print('idle')"
    done = run('-c', script, seconds=60)
    assert (done.returncode, done.stdout) == (0, 'idle\n'), done.stderr


@pytest.mark.slow
def test_the_installed_command_trains_with_workers(tmp_path):
    recipe = {
        'task': 'paper',
        'batch_size': 4,
        'validate_every': 0,
        'settings': {**SMALL, 'workers': 1, 'epoch_samples': 8, 'validation_scenes': 1},
    }
    (tmp_path / 'recipe.yaml').write_text(yaml.safe_dump(recipe))
    options = '--steps', '1', '--out', tmp_path / 'out', '--device', 'cpu'
    done = run(ROOT / 'scripts' / 'mesh-perception', 'train', tmp_path / 'recipe.yaml', *options, seconds=300)
    assert done.returncode == 0, done.stderr
    assert 'trained' in done.stdout + done.stderr and (tmp_path / 'out' / 'refiner.safetensors').is_file()
