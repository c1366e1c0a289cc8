"""Loading encoders: any open_clip model, by name, from a folder or with a weight file."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import nn

from oodlib.cache import check_source, sha256_of
from oodlib.encoders.beside_weights import beside_weights
from oodlib.encoders.checkpoints import load_weights, read_weights
from oodlib.encoders.encoder import Encoder
from oodlib.encoders.moved import own_text_tower
from oodlib.encoders.preprocessing import check_variant, preprocessing
from oodlib.encoders.weight_files import check_stated, how_trained, tags_of
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
    like: str | None = None,
    preprocess: str | Mapping[str, Any] | None = None,
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
        not say, so it must be given there, unless `like` or an `open_clip_config.json` beside the file says it. With
        random weights the architecture's own.
    like : str, optional
        The tag whose activation and preprocessing are those of a weight file, too.
    preprocess : str or mapping, optional
        A key of `oodlib.encoders.preprocessing.VARIANTS`: how a paper scales and crops. Or `mean` and `std` (three
        numbers each, of pixels from 0 to 1), `interpolation` ("bicubic", "bilinear") and `resize_mode` ("shortest",
        "longest", "squash"). By default as open_clip does for the weights; of a weight *file*, what
        `oodlib.encoders.weight_files.how_trained` finds.
    home : Path, optional
        Cache folder for `pocket`.

    Returns
    -------
    Encoder

    Raises
    ------
    OodlibError
        If the name, tag, device, precision or preprocessing is unknown, a tag or an activation is given to a name that
        brings its own weights, the weights cannot be had, it cannot be known how a weight file was trained, or a folder
        declares what cannot be meant.

    Notes
    -----
    `oodlib.encoders.papers.ENCODERS` lists those of the papers; `oodlib.encoders.weights.weights_here` says, without a
    network, whether one can be loaded. Where it cannot, and its host cannot be reached, the error comes within seconds.
    """
    if precision not in PRECISIONS:
        raise OodlibError(f"there is no precision {precision!r}: choose one of {', '.join(PRECISIONS)}")
    _check_device(device)
    variant, stated = _check_preprocess(preprocess)
    if name == "pocket" or name.startswith((LOCAL, "hf-hub:")):
        _check_no_weights(name, pretrained=pretrained, quick_gelu=quick_gelu, like=like)
    source, capabilities = name, Capabilities()
    if name == "pocket":
        from oodlib.pocket.assemble import FILES_SHA256, WEIGHTS, assemble

        source, capabilities = f"{LOCAL}{assemble(home)}", read_capabilities(WEIGHTS.parent)
    elif name.startswith(LOCAL):
        capabilities = read_capabilities(_plain(Path(name.removeprefix(LOCAL))))
    own: dict[str, Any] = {}
    if source.startswith((LOCAL, "hf-hub:")):
        file = _file_in(Path(source.removeprefix(LOCAL))) if source.startswith(LOCAL) else None
    else:
        quick_gelu, own = _check_architecture(name, pretrained, quick_gelu, like, stated)
        file = _weight_file(name, str(pretrained))
    try:
        with _quiet(), _seeded(pretrained == RANDOM):
            model, steps = _built(source, file, bool(quick_gelu), own | (stated or {}), drawn=pretrained == RANDOM)
            tokenizer = open_clip.get_tokenizer(source)
    except OodlibError:
        raise
    except Exception as error:  # open_clip and the hub client raise many kinds
        weights = f" with the weights {pretrained!r}" if pretrained else ""
        if name == "pocket":
            remedy = f"delete the folder {source.removeprefix(LOCAL)}, from which it was read, and run it again"
        else:
            remedy = "check the name, the weight file and the network, or use 'pocket', which needs no download"
        raise OodlibError(f"the encoder {name!r}{weights} cannot be loaded: {_one_line(error)}; {remedy}") from error
    files = FILES_SHA256 if name == "pocket" else beside_weights(source)
    spec = _spec(name, source, pretrained, file, files, device, precision, model)
    if variant is not None:
        steps, spec["preprocess"] = preprocessing(variant, model.visual.preprocess_cfg)
    return Encoder(model, steps, tokenizer, spec, device, capabilities)


def _built(
    source: str, file: Path | None, quick_gelu: bool, own: Mapping[str, Any], *, drawn: bool
) -> tuple[nn.Module, Any]:
    """The model with its weights, and the steps of its preprocessing.

    What is in a file is read here; open_clip reads what it takes from the hub, and weights of NumPy.
    """
    weights = read_weights(file) if file and file.suffix not in (".npz", ".npy") else None
    model, _, steps = open_clip.create_model_and_transforms(
        source,
        pretrained=str(file) if file and weights is None else None,
        load_weights=weights is None,
        force_quick_gelu=quick_gelu,
        require_pretrained=weights is None and not drawn,  # else a folder without weights gives random features
        pretrained_text=weights is None and not drawn,
        **{f"image_{key}": value for key, value in own.items()},
        # An architecture may have been trained pair by pair, as SigLIP was, though its configuration has no such shift.
        **({"init_logit_bias": 0.0} if weights and "logit_bias" in weights else {}),
        **(own_text_tower(Path(source.removeprefix(LOCAL))) if source.startswith(LOCAL) else {}),
    )
    if weights is not None:
        load_weights(model, weights)
    return model, steps


def _check_no_weights(name: str, **given: str | bool | None) -> None:
    """Refuse what is said of weights to a name that brings its own: it would change nothing."""
    for option, value in given.items():
        if value is not None:
            typed = f"--{'no-' if value is False else ''}{option.replace('_', '-')}"
            raise OodlibError(
                f"{name!r} brings its own weights: leave {option}={value!r} ({typed}) out, or name an architecture"
            )


def _plain(folder: Path) -> Path:
    """A model's folder without pipes and devices, for whose writers open_clip and transformers would wait."""
    for inside in sorted(folder.iterdir()) if folder.is_dir() else ():
        check_source(inside)
    return folder


def _file_in(folder: Path) -> Path | None:
    """The weight file of a model's folder."""
    found = open_clip.factory._find_checkpoint_in_dir(folder)
    return Path(found) if found else None


def _check_preprocess(preprocess: str | Mapping[str, Any] | None) -> tuple[str | None, dict[str, Any] | None]:
    """A named variant or statistics, of which one at most is given."""
    if preprocess is None or isinstance(preprocess, Mapping):
        return None, None if preprocess is None else check_stated(preprocess)
    check_variant(preprocess)
    return preprocess, None


def _weight_file(name: str, pretrained: str) -> Path | None:
    """The file of an architecture's weights, downloaded if it must be.

    A tag is loaded as a file, too, so that a second run asks no network and the specification has the file's hash.
    """
    file = fetch_weights(name, pretrained) if open_clip.get_pretrained_cfg(name, pretrained) else Path(pretrained)
    check_tokenizer(name)
    return None if pretrained == RANDOM else file


def _spec(
    name: str,
    source: str,
    pretrained: str | None,
    file: Path | None,
    files_sha256: str | None,
    device: str,
    precision: str,
    model: nn.Module,
) -> dict[str, Any]:
    pre = dict(getattr(model.visual, "preprocess_cfg", {}))
    quick = any(type(module).__name__ == "QuickGELU" for module in model.modules())
    folder = Path(source.removeprefix(LOCAL)) if source.startswith(LOCAL) else None
    weights = file if file and file.is_file() else None
    by_path = pretrained and weights and Path(pretrained).is_file()
    return {
        "model": f"{LOCAL}{folder.name}" if folder and name.startswith(LOCAL) else name,
        "pretrained": Path(pretrained).name if pretrained and by_path else pretrained,
        "weights_sha256": sha256_of(weights) if weights else None,
        "files_sha256": files_sha256,
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
        raise OodlibError(f"this machine has no usable {kind} device: choose cpu (device='cpu', --device cpu)")


def _check_architecture(
    name: str, pretrained: str | None, quick_gelu: bool | None, like: str | None, stated: Mapping[str, Any] | None
) -> tuple[bool, dict[str, Any]]:
    """Whether to use QuickGELU for an architecture that is loaded by name, and its preprocessing; refuses to guess."""
    if name not in open_clip.list_models():
        raise OodlibError(
            f"there is no encoder {name!r}: `open_clip.list_models()` lists the names, 'pocket' needs no download"
        )
    if pretrained is None:
        raise OodlibError(
            f"{name} without weights knows nothing: pass a tag of open_clip or a weight file "
            "(pretrained=..., --pretrained)"
        )
    built_quick = bool(open_clip.get_model_config(name).get("quick_gelu"))
    if quick_gelu is False and built_quick:
        raise OodlibError(
            f"{name} is built with QuickGELU: take the architecture without '-quickgelu', or pass True (--quick-gelu)"
        )
    tagged = bool(open_clip.get_pretrained_cfg(name, pretrained))
    if like is not None and (pretrained == RANDOM or tagged):
        raise OodlibError(
            f"the weights {pretrained!r} say themselves how they were trained: leave like={like!r} (--like) out"
        )
    if like is not None and quick_gelu is not None and stated is not None:
        raise OodlibError(f"quick_gelu and preprocess say all that a tag would: leave like={like!r} out")
    if pretrained == RANDOM:
        return (built_quick if quick_gelu is None else quick_gelu), {}
    if tagged:
        return how_trained(name, Path(pretrained), quick_gelu=quick_gelu, like=pretrained, stated=stated)
    if not Path(pretrained).is_file():
        tags = ", ".join(tags_of(name)) or "none"
        raise OodlibError(f"{name} has no weights {pretrained!r}: it is no file, and the tags are {tags}")
    return how_trained(name, Path(pretrained), quick_gelu=quick_gelu, like=like, stated=stated)


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
