"""The workbench: use cases as plain functions, which the command line calls, and any other front end may.

Nothing here prints: what a user should see is returned, or passed to a function that the caller gives.
"""

from __future__ import annotations

from dougong.workbench.builtin import BUILT_IN, lenet5, mlp
from dougong.workbench.report import Report, render, write_report
from dougong.workbench.runs import Record, find_record
from dougong.workbench.train import TrainRequest, TrainResult, train
from dougong.workbench.use import Evaluation, Predictions, evaluate, predict, summary

__all__ = [
    "BUILT_IN",
    "Evaluation",
    "Predictions",
    "Record",
    "Report",
    "TrainRequest",
    "TrainResult",
    "evaluate",
    "find_record",
    "lenet5",
    "mlp",
    "predict",
    "render",
    "summary",
    "train",
    "write_report",
]
