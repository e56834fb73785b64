"""The settings of the process that Keras users know: fuzz, data format, limits of a run, how talkative `fit` is."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SETTINGS", "Settings"]


@dataclass
class Settings:
    """What functions take where their arguments leave it open; `dougong.config` changes it.

    - ``epsilon``: the fuzz added before a division or a logarithm;
    - ``image_data_format``: ``channels_last`` or ``channels_first``;
    - ``max_epochs``, ``max_steps_per_epoch``: what `fit` never exceeds, for trying a long script quickly;
    - ``interactive``: whether ``verbose="auto"`` draws a bar or writes a line an epoch;
    - ``filters_tracebacks``: remembered only: Dougong's tracebacks are never cut.
    """

    epsilon: float = 1e-7
    image_data_format: str = "channels_last"
    max_epochs: int | None = None
    max_steps_per_epoch: int | None = None
    interactive: bool = True
    filters_tracebacks: bool = True


SETTINGS = Settings()
