"""What is in-distribution: a set of named concepts in the encoder's feature space."""

import math
from collections.abc import Callable, Iterable, KeysView, Sequence, Set
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import numpy as np

from oodlib.arrays import Array, as_numpy, as_tensor, cast, is_tensor, namespace, normalize, plain, widen
from oodlib.errors import OodlibError

NORM_TOLERANCE = 1e-3  # generous: features kept in float16 still pass; `norm_tolerance` knows of bfloat16
_REMEDY = {
    "outlier_text": ("outlier labels", "Concepts(outlier_names=..., outlier_text=...)"),
    "no_text": ('the "no" feature of each name', "Concepts(no_text=...)"),
    "shots": ("labelled pictures", "Concepts(shots=..., shot_labels=...)"),
    "shot_labels": ("labelled pictures", "Concepts(shots=..., shot_labels=...)"),
    "encode": ("the model's text tower", "Concepts(encode=...)"),
}


class MissingPartError(OodlibError):
    """Concepts lack what a method needs; `part` is the field of `Concepts` that would hold it."""

    def __init__(self, message: str, part: str):
        super().__init__(message)
        self.part = part


class EncodesNames(Protocol):
    """The part of an encoder that concepts are made with."""

    @property
    def logit_scale(self) -> float: ...

    def encode_texts(self, texts: list[str], templates: Sequence[str] | None = None) -> Array: ...


@dataclass(frozen=True, eq=False)
class Concepts:
    """Class names and their text features; where there are any, outlier labels and labelled pictures.

    All features live in one space of D dimensions, are L2-normalised and are stored as float32: as
    tensors where `text` is a tensor, else as NumPy arrays. Other sequences become tuples. Two `Concepts` are equal only
    if they are the same object.

    Parameters
    ----------
    names : sequence of str, length C
        Names of the in-distribution classes, in label order.
    text : tensor or array, shape (C, D)
        Text feature of each class.
    outlier_names : sequence of str, length K
        Labels of things that are *not* in-distribution.
    outlier_text : tensor or array, shape (K, D)
        Text feature of each outlier label.
    outlier_kinds : sequence of str, length K, optional
        What kind of word each outlier label is, such as "noun" or "adjective", for methods that treat kinds apart.
    no_text : tensor or array, shape (C, D), optional
        What a "no" text tower makes of each name: the feature of "no <name>".
    shots : tensor or array, shape (M, D)
        Image features of a few labelled in-distribution pictures.
    shot_labels : tensor or array of int, shape (M,)
        The class of each shot, as a place in `names`.
    logit_scale : float
        What the model multiplies cosines by before a softmax: 100 for CLIP, that is a temperature of 0.01.
    match : callable, optional
        How image features, a tensor (n, D), match the classes, (n, C), on the scale of a cosine, where that is not the
        cosine with `text`: a method of `oodlib.tuning` may match with few labelled pictures, too. Detectors use it for
        the classes.
    encode : callable, optional
        The model's text tower, for methods that make texts while they score: from n texts to their features (n, D),
        L2-normalised.

    Raises
    ------
    OodlibError
        If shapes, counts, labels or norms do not fit together.

    Examples
    --------
    >>> concepts = Concepts(names=["cat", "dog"], text=np.eye(2))
    >>> concepts.text.dtype
    dtype('float32')
    >>> concepts.require("outlier_text", by="OLE")
    Traceback (most recent call last):
    ...
    oodlib.concepts.MissingPartError: OLE needs outlier labels: pass Concepts(outlier_names=..., outlier_text=...)
    """

    names: tuple[str, ...]
    text: Array
    outlier_names: tuple[str, ...] = ()
    outlier_text: Array | None = None
    outlier_kinds: tuple[str, ...] = ()
    no_text: Array | None = None
    shots: Array | None = None
    shot_labels: Array | None = None
    logit_scale: float = 100.0
    match: Callable[[Array], Array] | None = None
    encode: Callable[[Sequence[str]], Array] | None = None

    def __post_init__(self) -> None:
        """Convert and check every field."""
        names, text = _names(self.names, "names"), _features(self.text, "text")
        kind = as_tensor if is_tensor(text) else as_numpy
        if not names:
            raise OodlibError("names is empty: pass the name of at least one class.")
        _match(text, len(names), text.shape[1], "text", "names")
        outlier_names, outlier_text = _names(self.outlier_names, "outlier_names"), None
        if self.outlier_text is not None:
            outlier_text = kind(_features(self.outlier_text, "outlier_text"))
            _match(outlier_text, len(outlier_names), text.shape[1], "outlier_text", "outlier_names")
        elif outlier_names:
            raise OodlibError("outlier_names is given without outlier_text: pass the text feature of each.")
        kinds = _names(self.outlier_kinds, "outlier_kinds")
        if kinds and len(kinds) != len(outlier_names):
            raise OodlibError(f"outlier_kinds has {len(kinds)} entries for {len(outlier_names)} outlier labels.")
        no_text = None if self.no_text is None else kind(_features(self.no_text, "no_text"))
        if no_text is not None:
            _match(no_text, len(names), text.shape[1], "no_text", "names")
        shots, labels = self.shots, self.shot_labels
        if (shots is None) != (labels is None):
            raise OodlibError("shots and shot_labels belong together: pass both or neither.")
        if shots is not None:
            shots = kind(_features(shots, "shots"))
            labels = plain(labels, "shot_labels")
            _match(shots, as_numpy(labels).size, text.shape[1], "shots", "shot_labels")
            labels = _places(labels, len(names), tensor=is_tensor(text))
        if not (math.isfinite(self.logit_scale) and self.logit_scale > 0):
            raise OodlibError(f"logit_scale is {self.logit_scale}: pass the factor on the cosine, 100 for CLIP.")
        fields = (names, text, outlier_names, outlier_text, kinds, no_text, shots, labels, float(self.logit_scale))
        for field, value in zip(self.__dataclass_fields__, (*fields, self.match, self.encode), strict=True):
            object.__setattr__(self, field, value)  # the way to set a field of a frozen dataclass

    @classmethod
    def from_encoder(
        cls,
        encoder: EncodesNames,
        names: Sequence[str],
        *,
        templates: Sequence[str] | None = None,
        outlier_names: Sequence[str] = (),
    ) -> Self:
        """Encode class names, and outlier labels if any, with the same templates.

        Parameters
        ----------
        encoder
            Anything with ``encode_texts(texts, templates) -> (C, D)`` and ``logit_scale``.
        names, outlier_names : sequence of str
            What to encode.
        templates : sequence of str, optional
            Sentences in which ``{}`` stands for the name; without them, what the encoder does by default.
        """
        names, outlier_names = _names(names, "names"), _names(outlier_names, "outlier_names")
        outlier_text = encoder.encode_texts(list(outlier_names), templates=templates) if outlier_names else None
        return cls(
            names=names,
            text=encoder.encode_texts(list(names), templates=templates),
            outlier_names=outlier_names,
            outlier_text=outlier_text,
            logit_scale=float(encoder.logit_scale),
            encode=lambda texts: encoder.encode_texts(list(texts), templates=templates),
        )

    def require(self, field: Literal["outlier_text", "no_text", "shots", "shot_labels", "encode"], *, by: str) -> Any:
        """Return a field that not every set of concepts has, or say what to pass; `by` names who needs it."""
        value = getattr(self, field)
        if value is None or (not callable(value) and not len(value)):
            what, remedy = _REMEDY[field]
            raise MissingPartError(f"{by} needs {what}: pass {remedy}", field)
        return value


def _features(values: Any, what: str) -> Array:
    matrix = as_matrix(values, what)
    check_normalised(matrix, what)
    exact = norm_tolerance(matrix) <= NORM_TOLERANCE
    matrix = cast(matrix, namespace(matrix).float32)
    return matrix if exact else normalize(matrix)  # as float32 it must pass, too, when concepts are made of concepts


def _places(labels: Array, n_classes: int, *, tensor: bool) -> Array:
    """Labels of shots as int64, a tensor or an array; a tensor stays on its device."""
    numbers = as_numpy(labels)
    whole = numbers.ndim == 1 and numbers.dtype.kind in "biu"
    if not whole or (numbers.size and (numbers.min() < 0 or numbers.max() >= n_classes)):
        raise OodlibError(f"shot_labels must be whole numbers from 0 to {n_classes - 1}, shape (M,).")
    if tensor and is_tensor(labels):
        return cast(labels, namespace(labels).int64)
    numbers = numbers.astype(np.int64)
    return as_tensor(numbers) if tensor else numbers


def _names(names: Iterable[str], what: str) -> tuple[str, ...]:
    listed = as_list(names, what)
    if not all(isinstance(name, str) for name in listed):
        raise OodlibError(f"{what} must be a sequence of strings such as ['cat', 'dog'].")
    return tuple(listed)


def as_list(values: Any, what: str) -> list[Any]:
    """Values in their order: of a list, a generator, or a column of NumPy, pandas, pyarrow or polars.

    A column's own places are not asked for: those of a part of a table begin anywhere.

    Raises
    ------
    OodlibError
        If it is a single value, a set, which has no order, or a table.

    Examples
    --------
    >>> as_list(np.array(["cat", "dog"]), "names")
    ['cat', 'dog']
    """
    single = isinstance(values, str | bytes | Set) and not isinstance(values, KeysView)
    if single or not isinstance(values, Iterable) or getattr(values, "ndim", 1) != 1:
        raise OodlibError(f"{what} must be a sequence of strings such as ['cat', 'dog'].")
    for method in ("to_pylist", "to_list", "tolist"):
        if hasattr(values, method):
            return list(getattr(values, method)())
    return list(values)


def _match(matrix: Array, rows: int, columns: int, what: str, counted_by: str) -> None:
    if tuple(matrix.shape) != (rows, columns):
        raise OodlibError(
            f"{what} has shape {tuple(matrix.shape)} but should have {(rows, columns)}: one row for each of "
            f"{counted_by}, and as many columns as text."
        )


def as_matrix(values: Any, what: str) -> Array:
    """Return `values` as floating-point numbers of shape (N, D), or say what is wrong with them.

    A tensor stays a tensor; everything else, such as a list of rows, becomes a NumPy array.
    """
    matrix = plain(values, what)
    if matrix.ndim != 2:
        raise OodlibError(f"{what} has shape {tuple(matrix.shape)}: pass a matrix of shape (N, D), one feature a row.")
    if not (matrix.is_floating_point() if is_tensor(matrix) else matrix.dtype.kind == "f"):
        raise OodlibError(f"{what} holds {str(matrix.dtype).removeprefix('torch.')}: pass floating-point features.")
    return matrix


def check_normalised(features: Array, what: str) -> None:
    """Raise unless every row of `features` (N, D) is finite and has length 1, to within `norm_tolerance`."""
    norms = as_numpy(lengths(features))
    bad = np.flatnonzero(~np.isfinite(norms))
    if len(bad):
        raise OodlibError(
            f"{what} has NaN or infinite values in {len(bad)} rows, the first is row {bad[0]}: leave those rows "
            "out or encode them again."
        )
    if len(norms) and np.abs(norms - 1).max() > norm_tolerance(features):
        raise OodlibError(
            f"{what} is not L2-normalised (lengths {norms.min():.4g} to {norms.max():.4g}): divide each "
            "row by its length, as torch.nn.functional.normalize does."
        )


def norm_tolerance(features: Array) -> float:
    """How far from 1 the length of a row may be in the precision of `features`: two roundings of it, or 0.001.

    One rounding is that of the numbers, the other that of the length they were divided by. In few dimensions roundings
    do not average out.
    """
    return max(NORM_TOLERANCE, float(namespace(features).finfo(features.dtype).eps))


def lengths(features: Array) -> Array:
    """The length of each row, in float32 at least: (N, D) -> (N,)."""
    xp = namespace(features)
    if is_tensor(features):  # without a wider copy of half precision
        return xp.linalg.vector_norm(features, dim=1, dtype=xp.promote_types(features.dtype, xp.float32))
    return xp.linalg.norm(widen(features), axis=1)
