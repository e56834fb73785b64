"""`SeedGenerator`: a stream of random numbers that a layer can hold and a state dict can save."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Generator, Tensor, nn

from dougong.core.config import Configurable
from dougong.core.errors import ConfigError
from dougong.core.names import unique_name
from dougong.core.seeds import default_seed

__all__ = ["SeedGenerator", "generator_of"]


class SeedGenerator(Configurable, nn.Module):
    """Where random functions that are given it as ``seed=`` take their next numbers from.

    Two generators with one seed give the same sequence; without a seed one is drawn.  ``state`` is Keras's
    ``[seed, how many were taken by next()]``; what is drawn comes from one `torch.Generator` a device, whose state
    stands in the `state_dict` beside it.  A layer that has a generator as attribute saves both, and counts neither
    among its weights.   Keras: ``keras.random.SeedGenerator``; the first numbers are those of its torch backend, the
    later ones are other numbers, because this stream goes on where Keras's is seeded anew at each call.

    >>> seeds = SeedGenerator(3)
    >>> seeds.next().tolist(), seeds.next().tolist()
    ([3, 0], [3, 1])
    """

    keras_module: ClassVar[str] = "keras.random"
    counts_as_weights: ClassVar[bool] = False

    def __init__(self, seed: int | None = None, name: str | None = None) -> None:
        nn.Module.__init__(self)
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int | np.integer)):
            raise ConfigError(f"seed must be an int or None, got {seed!r}")
        self.name = name or unique_name("seed_generator")
        self.seed = None if seed is None else int(seed)
        first = default_seed() if seed is None else int(seed)
        self.state = nn.Buffer(torch.tensor([_wrapped(first), 0], dtype=torch.int32))
        self._generators: dict[str, Generator] = {}

    def next(self, ordered: bool = True) -> Tensor:
        """The state, which then counts one further; not ``ordered``, it becomes near-unique numbers below a million."""
        taken = self.state.clone()
        self.state.copy_(taken + torch.tensor([0, 1], dtype=torch.int32) if ordered else (taken + 1) * 5387 % 933199)
        return taken

    def generator(self, device: torch.device | str) -> Generator:
        """The stream of numbers on a device."""
        key = str(torch.device(device))
        if key not in self._generators:
            self._generators[key] = Generator(key).manual_seed(int(self.state.sum()) & 0xFFFFFFFF)
        return self._generators[key]

    def get_extra_state(self) -> dict[str, Tensor]:
        """How far each stream has been drawn, for `state_dict`."""
        return {device: generator.get_state() for device, generator in self._generators.items()}

    def set_extra_state(self, state: Mapping[str, Tensor]) -> None:
        """What `get_extra_state` gave; streams on devices that are not here are left out."""
        self._generators.clear()
        for device, one in state.items():
            if device.partition(":")[0] != "cuda" or torch.cuda.is_available():
                self._generators[device] = Generator(device)
                self._generators[device].set_state(one.cpu())

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        """The state stays where it is: it is read by the host, and a GPU would have to be waited for."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> SeedGenerator:
        copied = SeedGenerator(self.seed, self.name)
        memo[id(self)] = copied
        copied.load_state_dict(self.state_dict())
        return copied

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_generators": {}, "_streams": self.get_extra_state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        streams = state.pop("_streams")
        super().__setstate__(state)
        self.set_extra_state(streams)


def generator_of(seed: Any, device: torch.device | str) -> Generator | None:
    """The source of random numbers that a ``seed=`` argument means: None is torch's own generator.

    An int is a new generator at each call, so the same numbers; a `SeedGenerator` and a `torch.Generator` go on.

    >>> torch.rand(1, generator=generator_of(1, "cpu")) == torch.rand(1, generator=generator_of(1, "cpu"))
    tensor([True])
    """
    if torch.device(device).type == "meta" or seed is None or isinstance(seed, Generator):
        return None if torch.device(device).type == "meta" else seed
    if isinstance(seed, SeedGenerator):
        return seed.generator(device)
    if isinstance(seed, Mapping):  # as a file has it
        return generator_of(seed.get("config", {}).get("seed"), device)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise ConfigError(f"seed must be an int, a SeedGenerator, a torch.Generator or None; got {seed!r}")
    return Generator(device).manual_seed(int(seed) & 0xFFFFFFFF)


def _wrapped(seed: int) -> int:
    """The low 32 bits as an int32."""
    return (seed & 0xFFFFFFFF ^ 0x80000000) - 0x80000000
