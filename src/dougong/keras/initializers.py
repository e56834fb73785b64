"""``keras.initializers``."""

from dougong.core.names import snake_case
from dougong.keras.facade import Facade
from dougong.ops import initializers

_SNAKE_CASE = """
Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal LecunUniform Ones Orthogonal RandomNormal
RandomUniform TruncatedNormal VarianceScaling Zeros
""".split()

_AT = "dougong.ops.initializers:"

__all__, __getattr__, __dir__ = Facade(
    "keras.initializers",
    initializers,
    also={
        **{snake_case(name): f"{_AT}{name}" for name in _SNAKE_CASE},
        "IdentityInitializer": f"{_AT}Identity",
        "OrthogonalInitializer": f"{_AT}Orthogonal",
        **dict.fromkeys(("STFT", "STFTInitializer", "stft"), "dougong.ops.fourier_initializer:STFT"),
    },
).of()
