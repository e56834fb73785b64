"""What all optimizers share: flat parameters, gradients, clipping, weight decay, averaging, accumulation, state.

A step, in this order: accumulate, clip, decay the weights, update, average, apply constraints.   Ref: Keras 3 semantics.
"""

from __future__ import annotations

import math
import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from dougong.core.config import Configurable
from dougong.core.errors import BuildError, ConfigError, ShapeError, near_names
from dougong.core.names import snake_case, unique_name
from dougong.optimizers import clipping, schedules
from dougong.optimizers.flat import FlatGroup, flatten
from dougong.optimizers.schedules import LearningRateSchedule

__all__ = ["Constraint", "LearningRate", "Optimizer", "OptimizerVariable"]

type_LearningRate = float
