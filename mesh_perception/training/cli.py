"""`mesh-perception train`: trains what a training file says, and goes on where it was stopped."""

import sys
from pathlib import Path


def register(subparsers):
    """Adds the command to the command line."""
    text = 'Trains networks. The same command goes on where it was stopped, by Ctrl-C or otherwise. Several GPUs or '
    text += 'machines: torchrun --nproc-per-node 4 -m mesh_perception.cli train paper'
    parser = subparsers.add_parser('train', help='train the networks of a model set', description=text)
    parser.add_argument('config', help='a training (paper, ...) or the path of a training file')
    parser.add_argument('--out', type=Path, metavar='DIR', help='where everything goes (default: out/train/NAME)')
    parser.add_argument('--device', default='auto', help='auto (the GPU where there is one), cpu, cuda or cuda:N')
    parser.add_argument('--steps', type=int, metavar='N', help='stop after N steps in all (default: all epochs)')
    parser.add_argument('--data', type=Path, metavar='DIR', help='where the data are, for trainings that need some')
    parser.set_defaults(handler=run)


def run(arguments):
    """Runs the command. -> exit code: 0 done, 130 stopped by Ctrl-C. Raises ValueError and OSError."""
    import torch

    from mesh_perception.pipeline import choose_device
    from mesh_perception.training.distributed import joined
    from mesh_perception.training.settings import load_training_config, task_module
    from mesh_perception.training.trainer import train

    if arguments.steps is not None and arguments.steps < 1:
        raise ValueError(f'--steps {arguments.steps}: expected at least 1')
    if arguments.data and not arguments.data.is_dir():
        raise ValueError(f'{arguments.data}: no such folder (--data)')
    config = load_training_config(arguments.config)
    out = arguments.out or Path('out/train') / config.name
    with joined(choose_device(arguments.device)) as process:
        torch.manual_seed(config.seed)
        task = task_module(config.task).make_task(config, arguments.data, process.device)
        try:
            done = train(config, task, out, process, arguments.steps)
        except torch.cuda.OutOfMemoryError:
            message = (
                f'{process.device} has not enough memory for batch_size {config.batch_size}: a smaller one needs less'
            )
            raise ValueError(message) from None
    if process.first:
        told = 'trained' if done else 'stopped and stored; the same command goes on from there'
        print(f'{out}: {told}', file=sys.stdout if done else sys.stderr)
    return 0 if done else 130
