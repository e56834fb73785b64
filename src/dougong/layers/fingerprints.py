"""64-bit fingerprints of byte strings: FarmHash64 and SipHash-2-4, as TensorFlow buckets strings by.

Strings of one length are hashed together: the rows of a byte matrix ``[n, length]``, in uint64 arithmetic that wraps.
Ref: Pike and Alakuijala 2014, github.com/google/farmhash (farmhashna); Aumasson and Bernstein 2012, "SipHash".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

__all__ = ["buckets", "farmhash64", "siphash64"]

_Words = np.ndarray  # uint64, one for each string
_K0, _K1, _K2 = np.uint64(0xC3A5C85C97CB3127), np.uint64(0xB492B66FBE98F273), np.uint64(0x9AE16A3B2F90404F)


def buckets(texts: Sequence[bytes], count: int, key: Sequence[int] | None = None) -> np.ndarray:
    """The bucket of each text: FarmHash64, or SipHash with a ``key`` of two numbers, modulo ``count``; int64.

    TensorFlow: ``tf.strings.to_hash_bucket_fast`` and ``to_hash_bucket_strong``.

    >>> buckets([b"A", b"B", b"C"], 3)
    array([1, 0, 1])
    """
    hashes = farmhash64(texts) if key is None else siphash64(texts, key)
    return (hashes % np.uint64(count)).astype(np.int64)


def farmhash64(texts: Sequence[bytes]) -> np.ndarray:
    """FarmHash's portable 64-bit fingerprint of each text.

    >>> hex(farmhash64([b"hello"])[0])
    '0xb48be5a931380ce8'
    """
    return _by_length(texts, _farm)


def siphash64(texts: Sequence[bytes], key: Sequence[int]) -> np.ndarray:
    """SipHash-2-4 of each text under a key of two 64-bit numbers.

    >>> hex(siphash64([bytes(range(15))], (0x0706050403020100, 0x0F0E0D0C0B0A0908))[0])  # the paper's own example
    '0xa129ca6149be45e5'
    """
    first, second = (np.uint64(part & 0xFFFFFFFFFFFFFFFF) for part in key)
    return _by_length(texts, lambda rows: _sip(rows, first, second))


def _by_length(texts: Sequence[bytes], hashed: Callable[[np.ndarray], _Words]) -> np.ndarray:
    """``hashed`` of the byte matrix of each length, put back in order."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    found = np.empty(len(texts), np.uint64)
    for length in np.unique(lengths):
        places = np.flatnonzero(lengths == length)
        whole = np.frombuffer(b"".join([texts[place] for place in places.tolist()]), np.uint8)
        found[places] = hashed(whole.reshape(len(places), length))
    return found


def _fetch(rows: np.ndarray, start: int, size: int = 8) -> _Words:
    """The little-endian number in ``size`` bytes from ``start`` on; from the end where negative."""
    start = start % rows.shape[1]
    kind = {8: "<u8", 4: "<u4"}[size]
    return np.ascontiguousarray(rows[:, start : start + size]).view(kind)[:, 0].astype(np.uint64)


def _rotate(words: _Words, by: int) -> _Words:
    """The bits of each word, moved right around the circle."""
    return (words >> np.uint64(by)) | (words << np.uint64(64 - by))


# ── FarmHash ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _farm(rows: np.ndarray) -> _Words:
    length = rows.shape[1]
    if length <= 16:
        return _farm_16(rows)
    if length <= 32:
        return _farm_32(rows)
    return _farm_64(rows) if length <= 64 else _farm_long(rows)


def _mix(words: _Words) -> _Words:
    return words ^ (words >> np.uint64(47))


def _join(u: _Words, v: _Words, factor: _Words | np.uint64) -> _Words:
    """Two words into one."""
    return _mix((v ^ _mix((u ^ v) * factor)) * factor) * factor


def _factor(length: int) -> np.uint64:
    return np.uint64((int(_K2) + 2 * length) & 0xFFFFFFFFFFFFFFFF)


def _farm_16(rows: np.ndarray) -> _Words:
    length = rows.shape[1]
    factor = _factor(length)
    if length >= 8:
        a, b = _fetch(rows, 0) + _K2, _fetch(rows, -8)
        return _join(_rotate(b, 37) * factor + a, (_rotate(a, 25) + b) * factor, factor)
    if length >= 4:
        return _join(np.uint64(length) + (_fetch(rows, 0, 4) << np.uint64(3)), _fetch(rows, -4, 4), factor)
    if length == 0:
        return np.full(len(rows), _K2)
    a, b, c = (rows[:, at].astype(np.uint64) for at in (0, length >> 1, length - 1))
    y, z = a + (b << np.uint64(8)), np.uint64(length) + (c << np.uint64(2))
    return _mix(y * _K2 ^ z * _K0) * _K2


def _farm_32(rows: np.ndarray) -> _Words:
    factor = _factor(rows.shape[1])
    a, b = _fetch(rows, 0) * _K1, _fetch(rows, 8)
    c, d = _fetch(rows, -8) * factor, _fetch(rows, -16) * _K2
    return _join(_rotate(a + b, 43) + _rotate(c, 30) + d, a + _rotate(b + _K2, 18) + c, factor)


def _farm_64(rows: np.ndarray) -> _Words:
    factor = _factor(rows.shape[1])
    a, b = _fetch(rows, 0) * _K2, _fetch(rows, 8)
    c, d = _fetch(rows, -8) * factor, _fetch(rows, -16) * _K2
    y = _rotate(a + b, 43) + _rotate(c, 30) + d
    z = _join(y, a + _rotate(b + _K2, 18) + c, factor)
    e, f = _fetch(rows, 16) * factor, _fetch(rows, 24)
    g, h = (y + _fetch(rows, -32)) * factor, (z + _fetch(rows, -24)) * factor
    return _join(_rotate(e + f, 43) + _rotate(g, 30) + h, e + _rotate(f + a, 18) + g, factor)


def _weak_32(rows: np.ndarray, start: int, a: _Words, b: _Words) -> tuple[_Words, _Words]:
    """Two words that stand for 32 bytes from ``start`` on and two seeds."""
    w, x, y, z = (_fetch(rows, start + 8 * part) for part in range(4))
    a = a + w
    b = _rotate(b + a + z, 21)
    total = a + x + y
    return total + z, b + _rotate(total, 44) + a


def _farm_long(rows: np.ndarray) -> _Words:
    length, nothing = rows.shape[1], np.zeros(len(rows), np.uint64)
    seed, extra = np.uint64(81), np.uint64(113)
    x, y = nothing + seed, seed * (nothing + _K1) + extra
    z = _mix(y * _K2 + extra) * _K2
    v, w = (nothing, nothing), (nothing, nothing)
    x = x * _K2 + _fetch(rows, 0)

    def turn(start: int, factor: _Words | np.uint64, weight: np.uint64) -> None:
        """Take in 64 bytes."""
        nonlocal x, y, z, v, w
        x = _rotate(x + y + v[0] + _fetch(rows, start + 8), 37) * factor
        y = _rotate(y + v[1] + _fetch(rows, start + 48), 42) * factor
        x = x ^ w[1] * weight
        y = y + v[0] * weight + _fetch(rows, start + 40)
        z = _rotate(z + w[0], 33) * factor
        v = _weak_32(rows, start, v[1] * factor, x + w[0])
        w = _weak_32(rows, start + 32, z + w[1], y + _fetch(rows, start + 16))
        x, z = z, x

    for start in range(0, (length - 1) // 64 * 64, 64):
        turn(start, _K1, np.uint64(1))
    factor = _K1 + ((z & np.uint64(0xFF)) << np.uint64(1))
    w = (w[0] + np.uint64((length - 1) & 63), w[1])
    v = (v[0] + w[0], v[1])
    w = (w[0] + v[0], w[1])
    turn(length - 64, factor, np.uint64(9))
    return _join(_join(v[0], w[0], factor) + _mix(y) * _K0 + z, _join(v[1], w[1], factor) + x, factor)


# ── SipHash ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_START = tuple(map(np.uint64, (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)))


def _sip(rows: np.ndarray, first: np.uint64, second: np.uint64) -> _Words:
    count, length = rows.shape
    padded = np.zeros((count, length // 8 * 8 + 8), np.uint8)
    padded[:, :length] = rows
    padded[:, -1] = length & 0xFF
    state = [np.full(count, start ^ key) for start, key in zip(_START, (first, second, first, second))]
    for word in padded.view("<u8").T.astype(np.uint64):
        state[3] = state[3] ^ word
        state = _round(_round(state))
        state[0] = state[0] ^ word
    state[2] = state[2] ^ np.uint64(0xFF)
    for _ in range(4):
        state = _round(state)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _round(state: list[_Words]) -> list[_Words]:
    v0, v1, v2, v3 = state
    v0, v2 = v0 + v1, v2 + v3
    v1, v3 = _rotate(v1, 64 - 13) ^ v0, _rotate(v3, 64 - 16) ^ v2
    v0, v2 = _rotate(v0, 32) + v3, v2 + v1
    v1, v3 = _rotate(v1, 64 - 17) ^ v2, _rotate(v3, 64 - 21) ^ v0
    return [v0, v1, _rotate(v2, 32), v3]
