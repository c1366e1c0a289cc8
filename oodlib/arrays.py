"""The few operations that NumPy and torch spell differently, so that one formula scores arrays and tensors alike.

What comes in as an array leaves as an array, and a tensor leaves as a tensor of the same device. torch is imported by
nothing here but `as_tensor`: whoever passes a tensor has it already, and whoever passes arrays is spared its seconds.
Functions of rows work on the last axis. Operators, slices, ``reshape``, ``argmax(-1)``, ``sum(-1)`` and ``mean(-1)``
are the same in both libraries and need no help; so are the functions of `namespace`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from oodlib.errors import OodlibError

# A NumPy array or a torch tensor. No static type names what both have in common.
Array: TypeAlias = Any


def is_tensor(values: Any) -> bool:
    """Tell a torch tensor from everything else, without torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(values, torch.Tensor)


def namespace(values: Array) -> Any:
    """The library that an array belongs to, for functions of one name in both: ``namespace(x).exp(x)``."""
    return sys.modules["torch"] if is_tensor(values) else np


def plain(values: Any, what: str) -> Array:
    """Numbers in whatever form libraries make them, as one that all formulas take.

    Parameters
    ----------
    values : array-like
        A tensor may want a gradient, be a view or a list of tensors; an array may be a matrix, a table of pandas, a
        memory map, big-endian or hold numbers as objects.
    what : str
        What an error calls them.

    Returns
    -------
    tensor or array
        A tensor without its gradient; everything else as an array of numbers in the machine's byte order, float64 at
        most. Copied only where that must be.

    Raises
    ------
    OodlibError
        If something is masked, sparse or without data, or these are no numbers.
    """
    if is_tensor(values):
        if values.layout != sys.modules["torch"].strided or values.device.type == "meta":
            kind = "sparse" if values.device.type != "meta" else "a tensor without data"
            raise OodlibError(f"{what} is {kind}: pass an ordinary tensor, such as tensor.to_dense()")
        return (values.detach() if values.requires_grad else values).resolve_conj().resolve_neg()
    if values is None:
        raise OodlibError(f"{what} must be numbers, in a tensor or an array, not None")
    if np.ma.is_masked(values):
        raise OodlibError(f"{what} has masked values: leave those out, or fill them in, as with array.filled(0)")
    try:
        if isinstance(values, list | tuple) and any(map(is_tensor, values)):
            values = [as_numpy(value) for value in values]
        numbers = np.asarray(values)
        if numbers.dtype.kind == "O":  # numbers of pandas that may be missing, or of Python
            numbers = _from_objects(values, numbers)
    except (TypeError, ValueError, RuntimeError) as error:
        raise OodlibError(f"{what} must be numbers, in a tensor or an array, not {_kind(values)} ({error})") from None
    if numbers.dtype.kind not in "biufc":
        raise OodlibError(f"{what} must be numbers, in a tensor or an array, not {_kind(values)}")
    widest = numbers.dtype.newbyteorder("=") if numbers.dtype != np.longdouble else np.dtype(np.float64)
    return numbers.astype(widest, copy=False)


def _from_objects(values: Any, numbers: np.ndarray) -> np.ndarray:
    if hasattr(values, "to_numpy"):
        return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
    if any(isinstance(value, str | bytes) for value in numbers.flat):  # "0.5" would be read as a number
        raise TypeError("there is text among them")
    return numbers.astype(np.float64)


def _kind(values: Any) -> str:
    dtype = getattr(values, "dtype", None)
    return type(values).__name__ if dtype is None else f"{type(values).__name__} of {dtype}"


def as_numpy(values: Array) -> np.ndarray:
    """The same numbers as a NumPy array, on the CPU; bfloat16, which NumPy lacks, becomes float32."""
    if not is_tensor(values):
        return np.asarray(values)
    values = values.detach().resolve_conj().resolve_neg().cpu()
    numbers: np.ndarray = (values.float() if values.dtype == sys.modules["torch"].bfloat16 else values).numpy()
    return numbers


def as_tensor(values: Array) -> Array:
    """The same numbers as a torch tensor."""
    if is_tensor(values):
        return values
    import torch

    # torch shares memory, and refuses some that NumPy allows: read-only or read backwards. That is copied.
    return torch.from_numpy(np.require(values, requirements=["C", "W"]))


def like(values: Array, other: Array) -> Array:
    """`values` as what `other` is: array or tensor, of its precision and on its device. Copied only if it differs.

    >>> like(np.eye(2), np.zeros(1, dtype=np.float32)).dtype
    dtype('float32')
    """
    if is_tensor(other):
        return as_tensor(values).to(other)
    return as_numpy(values).astype(other.dtype, copy=False)


def widen(values: Array) -> Array:
    """Half precision as float32; float32 and float64 as they are."""
    xp = namespace(values)
    return cast(values, xp.promote_types(values.dtype, xp.float32))


def cast(values: Array, dtype: Any) -> Array:
    """`values` in another precision."""
    return values.to(dtype) if is_tensor(values) else values.astype(dtype, copy=False)


def join(parts: Sequence[Array]) -> Array:
    """Put blocks of rows under each other."""
    return namespace(parts[0]).concatenate(parts)


def split(values: Array, rows: int) -> list[Array]:
    """Cut into blocks of at most `rows` rows: views, and at least one block."""
    return [values[start : start + rows] for start in range(0, len(values), rows)] or [values]


def largest(values: Array) -> Array:
    """The largest number of each row: (..., n) -> (...)."""
    return namespace(values).amax(values, -1)


def top_k(values: Array, k: int) -> tuple[Array, Array]:
    """The `k` largest numbers of each row, falling, and their places: (..., n) -> twice (..., k)."""
    if is_tensor(values):
        found = values.topk(k, dim=-1)
        return found.values, found.indices
    if k == 1:
        places = values.argmax(-1)[..., None]
    else:
        places = np.argpartition(-values, k - 1, axis=-1)[..., :k] if k < values.shape[-1] else np.argsort(-values)
        order = np.argsort(-np.take_along_axis(values, places, -1), stable=True)
        places = np.take_along_axis(places, order, -1)
    return np.take_along_axis(values, places, -1), places


def pick(values: Array, places: Array) -> Array:
    """One number of each row: (..., n), (...) of int -> (...)."""
    if is_tensor(values):
        return values.gather(-1, places[..., None])[..., 0]
    return np.take_along_axis(values, places[..., None], -1)[..., 0]


def quantile(values: Array, q: float) -> Array:
    """The quantile of each row, interpolated: (..., n) -> (...)."""
    return namespace(values).quantile(values, q, -1)


def normalize(values: Array) -> Array:
    """Divide each row by its length: (..., D) -> (..., D). A row of zeros stays."""
    if is_tensor(values):
        return sys.modules["torch"].nn.functional.normalize(values, dim=-1)
    return values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), 1e-12)


def softmax(logits: Array) -> Array:
    """The softmax of each row: (..., n) -> (..., n). As the two below, the largest logit is taken off first.

    >>> softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    if is_tensor(logits):
        return logits.softmax(-1)
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    powers /= powers.sum(-1, keepdims=True)
    return powers


def logsumexp(logits: Array) -> Array:
    """The logarithm of the sum of the exponentials of each row: (..., n) -> (...)."""
    if is_tensor(logits):
        return logits.logsumexp(-1)
    best = logits.max(-1, keepdims=True)
    best = np.where(np.isfinite(best), best, 0)  # of minus infinity alone the sum is 0
    with np.errstate(divide="ignore"):
        return best[..., 0] + np.log(np.exp(logits - best).sum(-1))


def log_softmax(logits: Array) -> Array:
    """The logarithm of the softmax of each row: (..., n) -> (..., n)."""
    if is_tensor(logits):
        return logits.log_softmax(-1)
    below = logits - logits.max(-1, keepdims=True)
    return below - np.log(np.exp(below).sum(-1, keepdims=True))


def sigmoid(logits: Array) -> Array:
    """The logistic function of each number, which cannot overflow and keeps small values exact."""
    if is_tensor(logits):
        return logits.sigmoid()
    power = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1, power) / (1 + power)


def log_sigmoid(logits: Array) -> Array:
    """The logarithm of the logistic function of each number, which neither overflows nor rounds to 0 too early."""
    if is_tensor(logits):
        return sys.modules["torch"].nn.functional.logsigmoid(logits)
    return np.minimum(logits, 0) - np.log1p(np.exp(-np.abs(logits)))


def permutation(n: int, seed: int) -> np.ndarray:
    """Shuffle 0 to n - 1: the permutation that torch.randperm draws on the CPU from `seed`, without torch.

    >>> permutation(5, seed=0)
    array([4, 0, 1, 3, 2])
    """
    rows = np.arange(n)
    # The 32-bit numbers of the Mersenne Twister, which NumPy's newer generators are not.
    draws = np.random.RandomState(seed % 2**32).randint(0, 2**32, size=n, dtype=np.uint32)
    for place, draw in enumerate(draws.tolist()[:-1]):
        other = place + draw % (n - place)
        rows[place], rows[other] = rows[other], rows[place]
    return rows
