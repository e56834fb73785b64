"""The order of samples: a pure function of (seed, epoch, index).  Nothing is drawn from a global generator."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from dougong.core.errors import ConfigError

__all__ = ["Shuffle", "check_shuffle", "mix", "permutation", "shuffle_into"]

Shuffle = bool | Literal["batch"]
_MASK = 2**64 - 1


def mix(seed: int, epoch: int) -> int:
    """A 32-bit seed from the two numbers (splitmix64), since neighbouring seeds must not give related orders.

    Ref: Steele, Lea, Flood 2014, doi:10.1145/2660193.2660195.

    >>> mix(0, 0), mix(0, 1), mix(1, 0)
    (4209842960, 2704831497, 3890710194)
    """
    state = (seed * 0x9E3779B97F4A7C15 + (epoch + 1) * 0xD1B54A32D192ED03) & _MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
    return (state ^ (state >> 31)) & 0xFFFFFFFF


def permutation(num_samples: int, seed: int, epoch: int) -> Tensor:
    """The order in which an epoch visits samples ``0 .. num_samples - 1``.   Shape: ``[num_samples]``, int64.

    >>> sorted(permutation(5, seed=1, epoch=0).tolist())
    [0, 1, 2, 3, 4]
    >>> torch.equal(permutation(100, 1, 7), permutation(100, 1, 7))
    True
    """
    order = torch.empty(num_samples, dtype=torch.int64)
    shuffle_into(order, torch.Generator(), seed, epoch)
    return order


def shuffle_into(
    order: Tensor, generator: torch.Generator, seed: int, epoch: int, *, within: int | None = None
) -> None:
    """Write an epoch's permutation into ``order``; ``within``: only inside consecutive blocks of that many.

    ``generator`` is reseeded, so its past does not matter: it is passed in to be made once.
    """
    generator.manual_seed(mix(seed, epoch))
    size = order.shape[0]
    if within is None:
        torch.randperm(size, generator=generator, out=order)
        return
    for start in range(0, size, within):
        stop = min(start + within, size)
        torch.add(torch.randperm(stop - start, generator=generator), start, out=order[start:stop])


def check_shuffle(shuffle: object) -> Shuffle:
    """The argument ``shuffle`` as fit takes it.   Raises: ConfigError unless True, False or "batch"."""
    if isinstance(shuffle, bool) or shuffle == "batch":
        return shuffle  # type: ignore[return-value]
    raise ConfigError(f"shuffle must be True, False or 'batch', got {shuffle!r}.")
