"""Connectionist temporal classification: the loss of a label sequence, and the best sequences.

Shapes: N batch, T steps, C classes (one of them, ``mask_index``, is the blank), L labels, W beams, P paths.
Ref: Graves 2006, doi:10.1145/1143844.1143891; prefix search as in Hannun 2014, arXiv:1408.2873.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.errors import ConfigError, ShapeError, UnknownNameError
from dougong.ops.op import floating, op, tensor

__all__ = ["ctc_decode", "ctc_loss"]

_NEVER = float("-inf")
_MIX = 6364136223846793005  # Knuth's multiplier: prefixes are told apart by a 64-bit hash


@op
def ctc_loss(target: Any, output: Any, target_length: Any, output_length: Any, mask_index: int = 0) -> Tensor:
    r""":math:`-\ln \sum_\pi \prod_t p_t(\pi_t)` over all paths π that spell the target; one value a sample.

    ``output`` holds logits; a path spells a target when repeats are merged and blanks, ``mask_index``, dropped.
    Shapes: ``[N, L], [N, T, C], [N], [N] -> [N]``.   Keras: equals its namesake.

    >>> ctc_loss([[1]], [[[0.0, 0.0]]], [1], [1])
    tensor([0.6931])
    """
    logits = _wide(floating(output))
    if logits.ndim != 3:
        raise ShapeError(f"ctc_loss takes outputs [batch, steps, classes], got shape {tuple(logits.shape)}")
    logs = torch.log_softmax(logits, -1).transpose(0, 1)
    lengths = tensor(output_length), tensor(target_length)
    return F.ctc_loss(logs, tensor(target), *lengths, blank=mask_index, reduction="none")


@op
def ctc_decode(
    inputs: Any,
    sequence_lengths: Any,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int | None = 0,
) -> tuple[Tensor, Tensor]:
    """The likeliest label sequences of ``inputs``, padded with -1, and their scores.

    "greedy" takes the best class of every step; its score is minus the sum of these inputs.  "beam_search" keeps the
    ``beam_width`` likeliest prefixes, each with the probability of all its paths; its scores are log-probabilities.
    ``mask_index`` None means the last class.
    Shapes: ``[N, T, C], [N] -> [1, N, T], [N, 1]``, and ``[P, N, T], [N, P]`` for beams.   Keras: equals its namesake.

    >>> steps = torch.tensor([[[0.1, 0.9], [0.2, 0.8], [0.7, 0.3]]])
    >>> ctc_decode(steps, [3])[0].tolist()
    [[[1, -1, -1]]]
    """
    x = _wide(floating(inputs))
    if x.ndim != 3:
        raise ShapeError(f"ctc_decode takes inputs [batch, steps, classes], got shape {tuple(x.shape)}")
    lengths = tensor(sequence_lengths, torch.int64)
    blank = x.shape[-1] - 1 if mask_index is None else mask_index
    if strategy == "greedy":
        return _greedy(x, lengths, merge_repeated, blank)
    if strategy != "beam_search":
        raise UnknownNameError("decoding strategy", strategy, ["greedy", "beam_search"])
    if not 1 <= top_paths <= beam_width:
        raise ConfigError(f"top_paths must be between 1 and beam_width={beam_width}, got {top_paths}")
    return _beam_search(x, lengths, beam_width, top_paths, blank)


def _greedy(x: Tensor, lengths: Tensor, merge_repeated: bool, blank: int) -> tuple[Tensor, Tensor]:
    steps = torch.arange(x.shape[1], device=x.device)
    over = steps >= lengths[:, None]
    best, classes = x.max(-1)
    classes = classes.masked_fill(over, blank)
    dropped = classes == blank
    if merge_repeated:
        dropped[:, 1:] |= classes[:, 1:] == classes[:, :-1]
    # A stable sort by "dropped" moves what is kept to the front, in order.
    kept = classes.masked_fill(dropped, -1).gather(1, dropped.to(torch.int8).argsort(dim=1, stable=True))
    return kept.to(torch.int32)[None], -best.masked_fill(over, 0.0).sum(1, keepdim=True)


class _Beams(NamedTuple):
    """The prefixes kept.  ``own`` and ``parent`` are hashes of the prefix and of the prefix without its last label."""

    paths: Tensor  # [N, W, T], padded with -1
    size: Tensor  # [N, W]
    own: Tensor
    parent: Tensor
    last: Tensor  # the last label, or the blank's number where there is none
    ends_blank: Tensor  # log-probability of the paths that end in a blank
    ends_label: Tensor  # and of those that end in the last label

    def score(self) -> Tensor:
        return torch.logaddexp(self.ends_blank, self.ends_label)


def _beam_search(x: Tensor, lengths: Tensor, width: int, top: int, blank: int) -> tuple[Tensor, Tensor]:
    logs = torch.log_softmax(x, -1)
    beams = _no_labels(logs, width, blank)
    for step in range(x.shape[1]):
        grown = _step(beams, logs[:, step], step, blank)
        goes_on = step < lengths
        beams = _Beams(
            *(torch.where(goes_on.reshape(-1, *[1] * (new.ndim - 1)), new, old) for new, old in zip(grown, beams))
        )
    scores, order = beams.score().topk(top)
    paths = beams.paths.gather(1, order[..., None].expand(-1, -1, x.shape[1]))
    paths = paths.masked_fill((scores == _NEVER)[..., None], -1)
    return paths.transpose(0, 1).to(torch.int32), scores


def _no_labels(logs: Tensor, width: int, blank: int) -> _Beams:
    """One empty prefix of probability 1, and places for others."""
    batch, steps, _ = logs.shape
    whole = torch.zeros(batch, width, dtype=torch.int64, device=logs.device)
    ends_blank = logs.new_full((batch, width), _NEVER)
    ends_blank[:, 0] = 0.0
    paths = whole.new_full((batch, width, steps), -1)
    return _Beams(paths, whole, whole, whole - 1, whole + blank, ends_blank, torch.full_like(ends_blank, _NEVER))


def _step(beams: _Beams, logs: Tensor, step: int, blank: int) -> _Beams:
    """The likeliest prefixes after one more step, whose log-probabilities are ``logs`` [N, C]."""
    classes, width = logs.shape[-1], beams.own.shape[1]
    score = beams.score()
    label = beams.last[..., None]
    again = torch.where(beams.last == blank, _NEVER, logs.gather(1, beams.last))
    # A label that follows itself is a new label only after a blank.
    longer = (score[..., None] + logs[:, None]).scatter(2, label, (beams.ends_blank + again)[..., None])
    longer[..., blank] = _NEVER
    stays_blank, stays_label = score + logs[:, blank, None], beams.ends_label + again
    # A prefix grown from another one that is kept is one and the same: their probabilities add.
    alive = score > _NEVER
    same = (beams.parent[:, :, None] == beams.own[:, None]) & alive[:, :, None] & alive[:, None]  # [N, child, parent]
    found, parent = same.any(2), same.to(torch.int8).argmax(2)
    place = parent * classes + beams.last
    merged = torch.where(found, longer.flatten(1).gather(1, place), _NEVER)
    stays_label = torch.logaddexp(stays_label, merged)
    flat = torch.cat([longer.flatten(1), longer.new_zeros(longer.shape[0], 1)], 1)
    flat = flat.scatter(1, torch.where(found, place, width * classes), _NEVER)[:, :-1]
    chosen = torch.cat([torch.logaddexp(stays_blank, stays_label), flat], 1).topk(width).indices
    return _taken(beams, chosen, stays_blank, stays_label, flat, step, classes)


def _taken(
    beams: _Beams, chosen: Tensor, stays_blank: Tensor, stays_label: Tensor, longer: Tensor, step: int, classes: int
) -> _Beams:
    """The beams at ``chosen``: the first W are the prefixes as they were, the rest prefix times class."""
    width = beams.own.shape[1]
    grows = chosen >= width
    index = torch.where(grows, chosen - width, 0)
    origin = torch.where(grows, index // classes, chosen)
    new = index % classes

    def take(values: Tensor) -> Tensor:
        return values.gather(1, origin)

    size, own = take(beams.size), take(beams.own)
    paths = beams.paths.gather(1, origin[..., None].expand(-1, -1, beams.paths.shape[2]))
    at = size.clamp_max(step)[..., None]
    paths = paths.scatter(2, at, torch.where(grows[..., None], new[..., None], paths.gather(2, at)))
    never = torch.full_like(stays_blank, _NEVER)
    return _Beams(
        paths,
        size + grows,
        torch.where(grows, (own + new + 1) * _MIX, own),
        torch.where(grows, own, take(beams.parent)),
        torch.where(grows, new, take(beams.last)),
        torch.where(grows, never, take(stays_blank)),
        torch.where(grows, longer.gather(1, index), take(stays_label)),
    )


def _wide(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
