"""The towers of PocketCLIP in ONNX Runtime, and the order in which texts go through one."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from oodlib.errors import OodlibError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# From token ids (n, L) and which of them are of the text, both int64, to features (n, D).
Run = Callable[[np.ndarray, np.ndarray], np.ndarray]


def by_length(
    rows: Sequence[Sequence[int]], run: Run, *, batch_size: int, workers: int, pad: int = 0, least: int = 0
) -> np.ndarray:
    """Features of texts, those of like length together, so that little of what is computed is padding.

    Parameters
    ----------
    rows : sequence of sequence of int
        The tokens of each text.
    run : callable
        The tower.
    batch_size : int
        Texts at once.
    workers : int
        Batches side by side.
    pad : int
        The token behind a text that is shorter than others of its batch.
    least : int
        Places that every batch has; its longest text may make it more.

    Returns
    -------
    array
        (N, D), in the order of `rows`.
    """
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]

    def one(batch: list[int]) -> np.ndarray:
        return run(*filled([rows[row] for row in batch], pad, least))

    with ThreadPoolExecutor(workers) as pool:
        # The longest first: a worker that got them last would keep the others waiting.
        found = np.concatenate(list(pool.map(one, batches[::-1]))[::-1])
    features = np.empty_like(found)
    features[order] = found
    return features


def filled(rows: Sequence[Sequence[int]], pad: int = 0, least: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Token ids of texts in one array, and which of them are of the text: both int64 (n, L), L at least `least`.

    >>> filled([[5, 6, 7], [8]])[0]
    array([[5, 6, 7],
           [8, 0, 0]])
    """
    ids = np.full((len(rows), max(least, *map(len, rows))), pad, np.int64)
    mask = np.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
        mask[place, : len(row)] = 1
    return ids, mask


def session(name: str, folder: Path) -> InferenceSession:
    """A tower; its weights are read from the assembled model in `folder`.

    One thread, because batches are worked on side by side: features then do not depend on the number of cores.

    Raises
    ------
    OodlibError
        If the graph or the weights cannot be read.
    """
    onnxruntime = runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # it would keep the memory of the largest batch
    options.log_severity_level = 3
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    graph = Path(__file__).with_name(name)
    try:
        return onnxruntime.InferenceSession(graph.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's errors share no base class
        line = str(error).strip().partition("\n")[0][:160]
        raise OodlibError(
            f"PocketCLIP's {graph.name} cannot be loaded with the weights in {folder} ({line}): delete "
            "that folder, or check the file out again"
        ) from error


def runtime() -> Any:
    """The package onnxruntime, told first that nobody is to hear what it runs.

    From 1.29 on its packages for Linux and macOS give the machine a number when they are imported, and collect what is
    run to send it to their makers (github.com/microsoft/onnxruntime/pull/27379). Only this variable keeps them from it,
    and only before that.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime
