"""Language models as towers: token ids and a mask in, one feature a text out."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from oodlib.cache import digest_of_tensors
from oodlib.errors import OodlibError
from oodlib.machine import cores
from oodlib.pocket.assemble import CONTENTS, FILES_SHA256, MODEL, assemble, text_tower_folder
from oodlib.pocket.sessions import Run, session

if TYPE_CHECKING:
    from torch import Tensor

PLACES = 512  # that MiniLM has


@dataclass(frozen=True)
class Tower:
    """What makes a feature of tokens.

    Parameters
    ----------
    tokens : callable
        From n texts and a length to the ids of each, cut to the length.
    run : callable
        From ids and mask, (n, L), to features (n, D), float32.
    longest : int
        Tokens that it can read.
    spec : dict
        What decides its features.
    pad : int
        The token that fills up.
    workers : int
        Batches at once that make it fastest.
    model : torch.nn.Module, optional
        What `run` reads, with `pooled`: changed weights change its features. None outside torch.
    """

    tokens: Callable[[Sequence[str], int], list[list[int]]]
    run: Run
    longest: int
    spec: dict[str, Any]
    pad: int = 0
    workers: int = 1
    model: Any = None


def minilm_by_onnx(home: Path | None = None) -> Tower:
    """The masked mean of all-MiniLM-L6-v2 in ONNX Runtime: no torch, and a batch on every core."""
    from tokenizers import Tokenizer

    folder = assemble(home)
    tokenizer, tower = Tokenizer.from_file(str(folder / "tokenizer.json")), session("text.onnx", folder)
    tokenizer.no_padding()

    def tokens(texts: Sequence[str], length: int) -> list[list[int]]:
        tokenizer.enable_truncation(length)
        return [row.ids for row in tokenizer.encode_batch([encodable(text) for text in texts])]

    def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return np.asarray(tower.run(None, {"input_ids": ids, "attention_mask": mask})[0])

    spec = {
        "weights_sha256": CONTENTS[MODEL],  # which `assemble` has seen to
        "files_sha256": FILES_SHA256,
        "runtime": "onnx",
        "versions": {"onnxruntime": version("onnxruntime"), "tokenizers": version("tokenizers")},
    }
    return Tower(tokens, run, PLACES, spec, workers=cores())


def named_tower(name: str, pooling: str, device: str) -> Tower:
    """A model of Hugging Face by its name or folder, in torch; `minilm` comes from its package.

    Raises
    ------
    OodlibError
        If it cannot be loaded, or is a pair of encoder and decoder.
    """
    import torch

    tokenizer, model = _loaded(str(text_tower_folder()) if name == "minilm" else name)
    if model.config.is_encoder_decoder:
        raise OodlibError(f"{name!r} is an encoder with a decoder: take a model that is one of them")
    try:
        model = model.eval().to(device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise OodlibError(f"the device {device!r} cannot be used ({_line(error)}): choose cpu") from error

    def tokens(texts: Sequence[str], length: int) -> list[list[int]]:
        readable = [encodable(text) for text in texts]
        ids: list[list[int]] = tokenizer(readable, truncation=True, max_length=length, verbose=False)["input_ids"]
        return ids

    def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        places = torch.from_numpy(mask).to(device)
        with torch.inference_mode():
            means: np.ndarray = pooled(model, torch.from_numpy(ids).to(device), places, pooling).cpu().numpy()
            return means

    # Of a name that a person or the hub may give other content.
    content = model.config.to_dict() | {"_name_or_path": None, "transformers_version": None}
    written = [json.dumps(content, sort_keys=True, default=str), _tokenizer_text(tokenizer)]
    spec = {
        "weights_sha256": digest_of_tensors(model.state_dict()),
        "files_sha256": hashlib.sha256(json.dumps(written).encode()).hexdigest(),
        "runtime": "torch",
        "versions": {"transformers": version("transformers"), "torch": torch.__version__.split("+")[0]},
    }
    pad = next(token for token in (tokenizer.pad_token_id, tokenizer.eos_token_id, 0) if token is not None)
    return Tower(tokens, run, _longest(tokenizer, model), spec, pad, model=model)


def pooled(model: Any, ids: Tensor, mask: Tensor, pooling: str) -> Tensor:
    """The mean of a model's last hidden states, float32 (n, D), with gradients; ids and mask are int64 (n, L)."""
    states: Tensor = model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
    weight = (mask if pooling == "masked" else mask.new_ones(mask.shape))[:, :, None].to(states)
    return (states * weight).sum(1) / weight.sum(1)


def encodable(text: str) -> str:
    """A text without the halves of characters that no encoding has, which tokenizers refuse; `?` stands for them."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _loaded(name: str) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    try:
        with _quiet():
            return AutoTokenizer.from_pretrained(name), AutoModel.from_pretrained(name)
    except Exception as error:  # transformers and the hub client raise many kinds
        raise OodlibError(
            f"the language model {name!r} cannot be loaded ({_line(error)}): check the name, the folder and the "
            "network, or take 'minilm', which needs no download"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No bar for weights that load in a second, and no word about a head that is not used."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _longest(tokenizer: Any, model: Any) -> int:
    """Tokens that fit: RoBERTa's kind counts places from behind the one of padding, so that its table has rows more."""
    places = int(getattr(model.config, "max_position_embeddings", None) or tokenizer.model_max_length)
    tables = (module for name, module in model.named_modules() if name.endswith("position_embeddings"))
    first = next((table.padding_idx for table in tables if getattr(table, "padding_idx", None) is not None), -1)
    return min(places - first - 1, int(tokenizer.model_max_length))


def _tokenizer_text(tokenizer: Any) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return str(backend.to_str()) if backend is not None else json.dumps(tokenizer.get_vocab(), sort_keys=True)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160].rstrip(".") or type(error).__name__
