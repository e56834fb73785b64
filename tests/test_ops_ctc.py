"""Connectionist temporal classification against the real Keras and against all paths, counted one by one."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closeness import close
from dougong.core.errors import ConfigError, ShapeError, UnknownNameError
from dougong.core.symbol import Input
from dougong.ops.connectionist import ctc_decode, ctc_loss
from ops_twins import Case, numbers, same_gradients, same_on_symbols, same_values

LOGITS = numbers(3, 7, 4)
LABELS, LENGTHS = np.array([[1, 2, 2], [3, 1, 0], [1, 0, 0]]), np.array([3, 2, 1])
STEPS = np.array([7, 5, 2])


@pytest.mark.parametrize("mask_index", [0, 3])
def test_the_loss_is_kerass(mask_index: int) -> None:
    labels = np.where(mask_index == LABELS, 1, LABELS)
    case = Case("ctc_loss", (labels, LOGITS, LENGTHS, STEPS, mask_index), batched=(0, 1, 2, 3))
    same_values(case, ctc_loss, keras.ops.ctc_loss)
    same_gradients(case, ctc_loss, keras.ops.ctc_loss)
    same_on_symbols(case, ctc_loss)


def _spelling(path: tuple[int, ...], blank: int) -> tuple[int, ...]:
    return tuple(label for label, _ in itertools.groupby(path) if label != blank)


def _all_spellings(logits: np.ndarray, blank: int) -> dict[tuple[int, ...], float]:
    """The probability of every label sequence, by adding up every path."""
    odds = torch.softmax(torch.from_numpy(logits), -1).numpy()
    found: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(logits.shape[1]), repeat=logits.shape[0]):
        spelling = _spelling(path, blank)
        found[spelling] = found.get(spelling, 0.0) + float(np.prod([odds[t, c] for t, c in enumerate(path)]))
    return found


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.integers(2, 3), st.integers(0, 2), st.integers(0, 1000))
def test_loss_and_wide_beams_count_every_path(steps: int, classes: int, blank: int, seed: int) -> None:
    blank = min(blank, classes - 1)
    logits = numbers(steps, classes, seed=seed, dtype="float64")
    spellings = _all_spellings(logits, blank)
    ranked = sorted(spellings.items(), key=lambda item: -item[1])
    top = min(3, len(ranked))
    paths, scores = ctc_decode(logits[None], [steps], "beam_search", 40, top, mask_index=blank)
    for path, score, (want, odds) in zip(paths[:, 0].tolist(), scores[0].exp().tolist(), ranked):
        assert tuple(label for label in path if label >= 0) == want
        close(score, odds, because="probability of a label sequence")
    want, odds = ranked[0]
    if want:
        loss = ctc_loss(torch.tensor([want]), logits[None], [len(want)], [steps], blank)
        close(loss.exp() ** -1, [odds], because="loss of the best sequence")


@pytest.mark.parametrize("merge_repeated", [True, False])
@pytest.mark.parametrize("mask_index", [0, 2, None])
def test_greedy_decoding_is_kerass(merge_repeated: bool, mask_index: int | None) -> None:
    case = Case(
        "ctc_decode",
        (numbers(4, 30, 3), np.array([30, 17, 1, 0])),
        {"merge_repeated": merge_repeated, "mask_index": mask_index},
        batched=(0, 1),
    )
    same_values(case, ctc_decode, keras.ops.ctc_decode)
    same_on_symbols(case, ctc_decode)


@pytest.mark.parametrize(("width", "top", "mask_index"), [(4, 2, 0), (20, 5, 3), (1, 1, None), (100, 1, 1)])
def test_beam_search_is_kerass(width: int, top: int, mask_index: int | None) -> None:
    logits = 2 * numbers(3, 12, 5, seed=width, dtype="float64")
    options = {"beam_width": width, "top_paths": top, "mask_index": mask_index}
    case = Case("ctc_decode", (logits, np.array([12, 7, 1]), "beam_search"), options, batched=(0, 1))
    got, want = ([part.numpy() for part in function(logits, [12, 7, 1], "beam_search", **options)]
                 for function in (ctc_decode, keras.ops.ctc_decode))  # fmt: skip
    finite = np.isfinite(want[1]).T  # of a sequence of one step there are fewer paths than asked for
    close(got[0][finite], want[0][finite], because=str(case))
    assert got[0].dtype == want[0].dtype and got[0].shape == want[0].shape
    close(got[1][finite.T], want[1][finite.T], because=str(case), tolerance=1e-5)
    same_on_symbols(case, ctc_decode)


def test_a_sequence_without_steps_spells_nothing() -> None:
    """Keras's beam search reads the first step all the same."""
    paths, scores = ctc_decode(numbers(1, 3, 4), [0], "beam_search", 5)
    assert (paths.tolist(), scores.tolist()) == ([[[-1, -1, -1]]], [[0.0]])
    assert ctc_decode(torch.empty(0, 3, 4), torch.empty(0))[0].shape == (1, 0, 3)


def test_refusals() -> None:
    with pytest.raises(UnknownNameError, match="beam_search"):
        ctc_decode(LOGITS, STEPS, "beam")
    with pytest.raises(ConfigError, match="top_paths"):
        ctc_decode(LOGITS, STEPS, "beam_search", 3, 4)
    with pytest.raises(ShapeError, match="steps"):
        ctc_loss(LABELS, LOGITS[0], LENGTHS, STEPS)
    with pytest.raises(ShapeError, match="classes"):
        ctc_decode(LOGITS[0], STEPS)
    symbol = ctc_loss(Input((3,), dtype="int32"), Input((7, 4)), Input((), dtype="int32"), Input((), dtype="int32"))
    assert symbol.shape == (None,)
