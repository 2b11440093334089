"""Crossing between the CPU and the device in one piece: many small copies cost more than one."""

from dataclasses import fields, is_dataclass

import torch


def _tensors(value):
    if is_dataclass(value):
        for f in fields(value):
            yield from _tensors(getattr(value, f.name))
    else:
        yield value


def _rebuild(value, tensors):
    if is_dataclass(value):
        return type(value)(**{f.name: _rebuild(getattr(value, f.name), tensors) for f in fields(value)})
    return next(tensors)


def move(batches, device):
    """Tensors and dataclasses of tensors onto another device with a single copy, whatever their types.

    batches: a sequence, returned as a list. What is there already is not copied; the rest lies on one other device.
    """
    tensors = [t for batch in batches for t in _tensors(batch)]
    away = [i for i, t in enumerate(tensors) if t.device != torch.device(device)]
    if away:
        # As bytes; the widest numbers first, so that every tensor begins at a multiple of its numbers' width.
        away.sort(key=lambda i: -tensors[i].element_size())
        parts = [tensors[i].reshape(-1).view(torch.uint8) for i in away]
        moved = torch.cat(parts).to(device).split([len(part) for part in parts])
        for i, part in zip(away, moved, strict=True):
            tensors[i] = part.view(tensors[i].dtype).view(tensors[i].shape)
    left = iter(tensors)
    return [_rebuild(batch, left) for batch in batches]
