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
    """Dataclasses of float32 tensors, all on one device, onto another with a single copy.

    batches: a sequence, returned as a list. Nothing is copied where they already are.
    """
    tensors = [t for batch in batches for t in _tensors(batch)]
    if not tensors or tensors[0].device == torch.device(device):
        return list(batches)
    flat = torch.cat([t.reshape(-1) for t in tensors]).to(device)
    parts = iter(
        part.reshape(t.shape) for part, t in zip(flat.split([t.numel() for t in tensors]), tensors, strict=True)
    )
    return [_rebuild(batch, parts) for batch in batches]
