"""``keras.config``: settings of the process."""

from __future__ import annotations

import torch

from dougong.core.arithmetic import data_format_of
from dougong.core.dtypes import default_policy, dtype_name, set_default_policy, torch_dtype
from dougong.core.errors import ConfigError, NotOfferedError
from dougong.core.names import reset_names as clear_session
from dougong.core.settings import SETTINGS

__all__ = [
    "backend",
    "clear_session",
    "disable_flash_attention",
    "disable_interactive_logging",
    "disable_traceback_filtering",
    "dtype_policy",
    "enable_flash_attention",
    "enable_interactive_logging",
    "enable_traceback_filtering",
    "enable_unsafe_deserialization",
    "epsilon",
    "floatx",
    "image_data_format",
    "is_flash_attention_enabled",
    "is_interactive_logging_enabled",
    "is_nnx_enabled",
    "is_traceback_filtering_enabled",
    "max_epochs",
    "max_steps_per_epoch",
    "set_backend",
    "set_dtype_policy",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "set_max_epochs",
    "set_max_steps_per_epoch",
]

dtype_policy = default_policy
set_dtype_policy = set_default_policy


def backend() -> str:
    """The engine: always ``torch``."""
    return "torch"


def set_backend(backend: str) -> None:
    """Takes ``torch`` only.   Raises: ConfigError for another engine."""
    if backend != "torch":
        raise ConfigError(f"Dougong runs on PyTorch only; {backend!r} is not offered")


def floatx() -> str:
    """The dtype of weights and of Python's numbers, as in ``float32``."""
    return dtype_name(torch_dtype(None))


def set_floatx(value: str) -> None:
    """Set `floatx`.   Raises: ConfigError for anything but float16, bfloat16, float32 and float64."""
    if value not in ("float16", "bfloat16", "float32", "float64"):
        raise ConfigError(f"floatx is one of float16, bfloat16, float32 and float64; got {value!r}")
    set_default_policy(value)


def epsilon() -> float:
    """The fuzz added before a division or a logarithm."""
    return SETTINGS.epsilon


def set_epsilon(value: float) -> None:
    """Set `epsilon`; steps that are captured already keep the one they were traced with."""
    SETTINGS.epsilon = float(value)


def image_data_format() -> str:
    """``channels_last`` or ``channels_first``: what layers take where they are not told."""
    return SETTINGS.image_data_format


def set_image_data_format(data_format: str) -> None:
    """Set `image_data_format`.   Raises: ConfigError."""
    SETTINGS.image_data_format = data_format_of(data_format)


def max_epochs() -> int | None:
    """The number of epochs that `fit` never exceeds, or None."""
    return SETTINGS.max_epochs


def set_max_epochs(max_epochs: int | None) -> None:
    """Set `max_epochs`, to try a long script quickly."""
    SETTINGS.max_epochs = max_epochs


def max_steps_per_epoch() -> int | None:
    """The number of steps that an epoch of `fit` never exceeds, or None."""
    return SETTINGS.max_steps_per_epoch


def set_max_steps_per_epoch(max_steps_per_epoch: int | None) -> None:
    """Set `max_steps_per_epoch`."""
    SETTINGS.max_steps_per_epoch = max_steps_per_epoch


def enable_interactive_logging() -> None:
    """Let ``verbose="auto"`` draw a moving bar where there is a terminal."""
    SETTINGS.interactive = True


def disable_interactive_logging() -> None:
    """Let `fit` write plain lines, as to a log file."""
    SETTINGS.interactive = False


def is_interactive_logging_enabled() -> bool:
    return SETTINGS.interactive


def enable_traceback_filtering() -> None:
    """Remembered only: Dougong's tracebacks are short, and never cut."""
    SETTINGS.filters_tracebacks = True


def disable_traceback_filtering() -> None:
    """Remembered only: Dougong's tracebacks are never cut."""
    SETTINGS.filters_tracebacks = False


def is_traceback_filtering_enabled() -> bool:
    return SETTINGS.filters_tracebacks


def enable_flash_attention() -> None:
    """Let torch use its flash attention kernels."""
    torch.backends.cuda.enable_flash_sdp(True)


def disable_flash_attention() -> None:
    """Keep torch from its flash attention kernels."""
    torch.backends.cuda.enable_flash_sdp(False)


def is_flash_attention_enabled() -> bool:
    return torch.backends.cuda.flash_sdp_enabled()


def is_nnx_enabled() -> bool:
    """Flax NNX is another engine's: always False."""
    return False


def enable_unsafe_deserialization() -> None:
    """Refused: raises NotOfferedError."""
    raise NotOfferedError("Dougong never runs code from a file: register your classes and functions instead")
