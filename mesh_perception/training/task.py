"""What the trainer asks of a task: the contract of `training/paper.py`, `training/embedded.py` and your own."""

from collections.abc import Iterator
from typing import Any, Protocol

from torch import Tensor, nn

from mesh_perception.checkpoints import Description


class Task(Protocol):
    """Networks, their data and their losses. A task's module has, beside this class,

    Settings: a frozen dataclass, what the training file holds under `settings`;
    make_task(config, data, device) -> Task: config is a TrainingConfig (its `settings` an instance of Settings), data
    the folder of --data or None, device a torch.device. The networks are on the device when it returns. torch's global
    generators are seeded before it is called, alike in every process. Raises ValueError or OSError, one line, where
    data are missing.

    Randomness. Before every step the trainer seeds torch's global generators (CPU and CUDA) from (seed, step, rank),
    so whatever a task draws from them inside `losses` and `discriminator_losses` is the same after a resume. `batches`
    draws from (config.seed, epoch, index of the sample) alone, with generators of its own.
    """

    modules: dict[str, nn.Module]  # everything trained, by name; also what is stored to go on later
    discriminators: tuple[str, ...]  # names of the modules that `discriminator_losses` trains; may be empty
    steps_per_epoch: int  # batches in an epoch, the same in every process
    data: list[str]  # names of the data, for the description of what was trained

    def parameter_groups(self, config) -> list[dict]:
        """The parameters of all modules but the discriminators, as torch.optim.Adam takes them: [{'params': [...],
        'lr': ...}]; the trainer multiplies every rate by config.decay each epoch. Groups keep their order."""

    def batches(self, epoch: int, start: int, rank: int, world: int) -> Iterator[Any]:
        """The batches of an epoch from number `start` on (a resume), on the task's device; a generator function, which
        is closed early when somebody stops. Each has config.batch_size / world samples: the part of process `rank` of
        `world`. Batch `i` of an epoch is the same whatever `start` was. Worker processes start inside
        `interrupt.deaf_to_ctrl_c`: the trainer wants to finish its step."""

    def losses(self, batch, step: int) -> tuple[dict[str, Tensor], Any]:
        """({name: scalar}, outputs). The sum of the scalars is minimised, so weights are in them; each is a mean over
        the batch. Every parameter takes part in every step. outputs: whatever `discriminator_losses` needs, detached;
        None without discriminators. Discriminators take no gradient here."""

    def discriminator_losses(self, batch, outputs) -> dict[str, Tensor]:
        """{name: scalar}, whose sum the discriminators minimise; runs after each step of the other networks."""

    def validate(self) -> dict[str, float]:
        """{name: figure}; modules are in eval mode (with their averages where config.ema), without gradients. May be
        empty. Draws from generators of its own, so that figures can be compared."""

    def descriptions(self) -> dict[str, Description]:
        """{name of a module: Description} of the networks to hand over at the end, in files NAME.safetensors, as
        parts.py expects them of a model set; the trainer fills in `training`."""


def refiner_sizes(settings) -> dict:
    """What a task's settings say of f^Ref's size, under the names of a model set and of Refiner."""
    names = ('people', 'width', 'heads', 'head_size', 'mlp')
    return {name: getattr(settings, name) for name in names} | {'depth': settings.blocks}


def refiner_and_rest(task: Task, config) -> list[dict]:
    """Adam's groups of Sec. 3.4, for a task with a `refiner`: the refiner, and all else but the discriminators."""
    apart = ('refiner', *task.discriminators)
    rest = [p for name, module in task.modules.items() if name not in apart for p in module.parameters()]
    return [
        {'params': list(task.modules['refiner'].parameters()), 'lr': config.refiner_learning_rate},
        {'params': rest, 'lr': config.learning_rate},
    ]
