"""Loading encoders: any open_clip model, by name, from a folder or with a weight file."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import nn

from oodlib.cache import sha256_of
from oodlib.encoders.encoder import Encoder
from oodlib.encoders.preprocessing import check_variant, preprocessing
from oodlib.encoders.torchscript import archived_weights
from oodlib.encoders.weights import RANDOM, check_tokenizer, fetch_weights
from oodlib.errors import OodlibError
from oodlib.machine import PRECISIONS
from oodlib.prompts.capabilities import Capabilities, read_capabilities

__all__ = ["PRECISIONS", "Encoder", "load_encoder"]

LOCAL = "local-dir:"


def load_encoder(
    name: str,
    pretrained: str | None = None,
    *,
    device: str = "cpu",
    precision: str = "fp32",
    quick_gelu: bool | None = None,
    preprocess: str | None = None,
    home: Path | None = None,
) -> Encoder:
    """Load an encoder by name.

    Parameters
    ----------
    name : str
        `pocket` (PocketCLIP, assembled on first use), an open_clip architecture such as `ViT-B-16`, or a name with
        open_clip's own prefix: `local-dir:FOLDER`, `hf-hub:ORG/REPO`. A folder may declare prompts and a "no" head in
        the way that `oodlib.prompts.capabilities` explains.
    pretrained : str, optional
        open_clip's tag of the weights (`openai`, `laion2b_s34b_b88k`) or a weight file, open_clip's or OpenAI's.
        Architectures need one. `random` gives random weights by a fixed seed: for tests and for measuring speed, its
        features mean nothing.
    device : str
        `cpu`, `cuda` or `mps`, as torch names them.
    precision : {"fp32", "bf16", "fp16"}
        Arithmetic inside the model; features are float32 in any case.
    quick_gelu : bool, optional
        Activation of an architecture loaded by name. By default the one its tag was trained with; a weight *file* does
        not say, so it must be given there. With random weights the architecture's own.
    preprocess : str, optional
        A key of `oodlib.encoders.preprocessing.VARIANTS`: how a paper scales and crops. By default as open_clip does
        for the weights.
    home : Path, optional
        Cache folder for `pocket`.

    Returns
    -------
    Encoder

    Raises
    ------
    OodlibError
        If the name, tag, device, precision or preprocessing is unknown, a tag is given to a name that brings its own
        weights, the weights cannot be had, or a folder declares what cannot be meant.

    Notes
    -----
    `oodlib.encoders.papers.ENCODERS` lists those of the papers; `oodlib.encoders.weights.weights_here` says, without a
    network, whether one can be loaded. Where it cannot, and its host cannot be reached, the error comes within seconds.
    """
    if precision not in PRECISIONS:
        raise OodlibError(f"there is no precision {precision!r}: choose one of {', '.join(PRECISIONS)}")
    _check_device(device)
    if preprocess is not None:
        check_variant(preprocess)
    source, capabilities = name, Capabilities()
    if name == "pocket":
        from oodlib.pocket.assemble import WEIGHTS, assemble

        source, capabilities = f"{LOCAL}{assemble(home)}", read_capabilities(WEIGHTS.parent)
    elif name.startswith(LOCAL):
        capabilities = read_capabilities(Path(name.removeprefix(LOCAL)))
    prefixed = source.startswith((LOCAL, "hf-hub:"))
    if prefixed and pretrained is not None:  # it would change nothing
        raise OodlibError(
            f"{name!r} brings its own weights: leave pretrained={pretrained!r} out, or name an architecture"
        )
    if not prefixed:
        quick_gelu = _check_architecture(name, pretrained, quick_gelu)
    file, own = _weight_file(name, pretrained) if not prefixed else (None, {})
    drawn = pretrained == RANDOM and not prefixed
    try:
        with _quiet(), _seeded(drawn):
            archive = archived_weights(str(file)) if file else None
            model, _, steps = open_clip.create_model_and_transforms(
                source,
                pretrained=None if archive or not file else str(file),
                force_quick_gelu=bool(quick_gelu),
                require_pretrained=not archive and not drawn,  # else a folder without weights gives random features
                pretrained_text=not drawn,
                **own,
            )
            if archive:
                model.load_state_dict(archive)
            tokenizer = open_clip.get_tokenizer(source)
    except Exception as error:  # open_clip and the hub client raise many kinds
        raise OodlibError(
            f"the encoder {name!r} (pretrained={pretrained!r}) cannot be loaded: {_one_line(error)}; "
            "check the name, the weight file and the network, or use 'pocket', which needs no download"
        ) from error
    spec = _spec(name, source, pretrained, file, device, precision, model)
    if preprocess is not None:
        steps, spec["preprocess"] = preprocessing(preprocess, model.visual.preprocess_cfg)
    return Encoder(model, steps, tokenizer, spec, device, capabilities)


def _weight_file(name: str, pretrained: str | None) -> tuple[Path | None, dict[str, Any]]:
    """The file of an architecture's weights, downloaded if it must be, and the preprocessing that its tag names."""
    config = open_clip.get_pretrained_cfg(name, pretrained or "")
    file = fetch_weights(name, pretrained) if pretrained and config else None
    check_tokenizer(name)
    if file is None:
        return Path(pretrained) if pretrained and pretrained != RANDOM else None, {}
    # Loaded as a file, so that a second run asks no network and the specification has the file's hash.
    own = {f"image_{key}": config[key] for key in ("mean", "std", "interpolation", "resize_mode") if key in config}
    return file, own


def _spec(
    name: str,
    source: str,
    pretrained: str | None,
    file: Path | None,
    device: str,
    precision: str,
    model: nn.Module,
) -> dict[str, Any]:
    pre = dict(getattr(model.visual, "preprocess_cfg", {}))
    quick = any(type(module).__name__ == "QuickGELU" for module in model.modules())
    folder = Path(source.removeprefix(LOCAL)) if source.startswith(LOCAL) else None
    if folder:
        found = open_clip.factory._find_checkpoint_in_dir(folder)
        file = Path(found) if found else None
    weights = file if file and file.is_file() else None
    by_path = pretrained and weights and Path(pretrained).is_file()
    return {
        "model": f"{LOCAL}{folder.name}" if folder and name.startswith(LOCAL) else name,
        "pretrained": Path(pretrained).name if pretrained and by_path else pretrained,
        "weights_sha256": sha256_of(weights) if weights else None,
        "quick_gelu": quick,
        "preprocess": {key: list(value) if isinstance(value, tuple) else value for key, value in sorted(pre.items())},
        "normalised": True,
        "precision": precision,
        "device": device.split(":")[0],
        "versions": {"open_clip": open_clip.__version__, "torch": torch.__version__.split("+")[0]},
    }


def _check_device(device: str) -> None:
    kind = device.split(":")[0]
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if kind not in there:
        raise OodlibError(f"there is no device {device!r}: choose one of {', '.join(there)}")
    if not there[kind]:
        raise OodlibError(f"this machine has no usable {kind} device: choose device='cpu'")


def _check_architecture(name: str, pretrained: str | None, quick_gelu: bool | None) -> bool:
    """Whether to use QuickGELU for an architecture that is loaded by name; refuses to guess."""
    if name not in open_clip.list_models():
        raise OodlibError(
            f"there is no encoder {name!r}: `open_clip.list_models()` lists the names, 'pocket' needs no download"
        )
    if pretrained is None:
        raise OodlibError(
            f"{name} without weights knows nothing: pass pretrained=..., a tag of open_clip or a weight file"
        )
    built_quick = bool(open_clip.get_model_config(name).get("quick_gelu"))
    if quick_gelu is False and built_quick:
        raise OodlibError(f"{name} is built with QuickGELU: take the architecture without '-quickgelu', or pass True")
    if pretrained == RANDOM:
        return built_quick if quick_gelu is None else quick_gelu
    trained = open_clip.get_pretrained_cfg(name, pretrained)
    if trained:
        return bool(trained.get("quick_gelu", False)) if quick_gelu is None else quick_gelu
    if not Path(pretrained).is_file():
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(name)) or "none"
        raise OodlibError(f"{name} has no weights {pretrained!r}: it is no file, and the tags are {tags}")
    if quick_gelu is None:
        raise OodlibError(
            f"the weight file {pretrained} does not say its activation: pass quick_gelu=True (OpenAI) or False"
        )
    return quick_gelu


@contextlib.contextmanager
def _seeded(wanted: bool) -> Iterator[None]:
    """The same random weights every time, and the caller's own random numbers as they were."""
    if not wanted:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep open_clip's progress notes off the root logger while it loads."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def _one_line(error: Exception) -> str:
    line = " ".join(str(error).split()) or type(error).__name__
    return (line if len(line) <= 200 else f"{line[:196]} ...").rstrip(".")
