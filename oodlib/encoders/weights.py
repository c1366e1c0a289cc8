"""Weights that are named by a tag: whether they are on this machine, and fetching them without waiting for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import open_clip
from huggingface_hub import get_session, hf_hub_url, try_to_load_from_cache
from open_clip.pretrained import download_pretrained
from timm.models import get_pretrained_cfg

from oodlib.encoders.papers import paper_encoder
from oodlib.errors import OodlibError

RANDOM = "random"
SECONDS = 5  # to wait for the host: its client tries again for most of a minute before it gives up


def weights_here(name: str, pretrained: str | None = None) -> bool:
    """Whether an encoder can be loaded without a network. Looks at this machine only.

    Parameters
    ----------
    name, pretrained
        As `oodlib.encoders.load_encoder` takes them. Names with a prefix of open_clip's are not looked into: `hf-hub:`
        counts as not here, `local-dir:` as here.
    """
    if name == "pocket" or name.startswith("local-dir:"):
        return True
    if name.startswith("timm:"):
        if pretrained is not None:
            return pretrained == RANDOM or Path(pretrained).is_file()
        hub = getattr(get_pretrained_cfg(name.removeprefix("timm:")), "hf_hub_id", None)
        return bool(hub) and isinstance(try_to_load_from_cache(hub, "model.safetensors"), str)
    if name.startswith("hf-hub:") or pretrained is None or any(True for _ in _missing_of_tokenizer(name)):
        return False
    return pretrained == RANDOM or Path(pretrained).is_file() or local_weights(name, pretrained) is not None


def download_of(name: str, pretrained: str) -> str:
    """What a person must download for a tag, in words: name, size where known, address.

    Examples
    --------
    >>> download_of("ViT-B-16", "openai")
    'ViT-B-16 (openai), about 598 MB from https://huggingface.co/timm/vit_base_patch16_clip_224.openai'
    """
    config = open_clip.get_pretrained_cfg(name, pretrained)
    hub = config.get("hf_hub", "")
    where = f"https://huggingface.co/{_repository(hub)[0]}" if hub else config.get("url", "")
    known = paper_encoder(name, pretrained)
    size = f"about {known.bytes / 1e6:,.0f} MB" if known else "size not known here"
    return f"{name} ({pretrained}), {size} from {where}"


def local_weights(name: str, pretrained: str) -> Path | None:
    """The weight file of a tag in the cache of Hugging Face or open_clip; None where it is not there."""
    config = open_clip.get_pretrained_cfg(name, pretrained)
    if config.get("hf_hub"):
        repository, file = _repository(config["hf_hub"])
        for candidate in _files(file):
            if isinstance(found := try_to_load_from_cache(repository, candidate), str):
                return Path(found)
        return None
    path = Path("~/.cache/clip").expanduser() / Path(config.get("url", "")).name
    return path if path.is_file() else None


def fetch_weights(name: str, pretrained: str) -> Path:
    """The weight file of a tag: from this machine, or downloaded.

    Raises
    ------
    OodlibError
        If it is not here and cannot be had; within seconds where there is no network.
    """
    found = local_weights(name, pretrained)
    if found is not None:
        return found
    config: dict[str, Any] = open_clip.get_pretrained_cfg(name, pretrained)
    wanted = f"the weights of {download_of(name, pretrained)} are not on this machine"
    _reach(config, wanted)
    try:
        return Path(download_pretrained(config))
    except Exception as error:  # the hub's client raises many kinds
        raise OodlibError(f"{wanted} and could not be downloaded ({_brief(error)}): try again") from error


def check_tokenizer(name: str) -> None:
    """See that what an architecture's tokenizer and text tower take from the hub is here or can be had.

    Raises
    ------
    OodlibError
        If it is not here and its host cannot be reached.
    """
    for repository, file in _missing_of_tokenizer(name):
        wanted = f"the tokenizer of {name}, from https://huggingface.co/{repository}, is not on this machine"
        _reach({"hf_hub": f"{repository}/{file}"}, wanted)


def _repository(hub: str) -> tuple[str, str]:
    """Repository and file of open_clip's `ORG/REPO/FILE`, the file being open_clip's own where none is named."""
    repository, _, file = hub.rpartition("/")
    return repository, file or "open_clip_pytorch_model.bin"


def _files(file: str) -> Iterator[str]:
    """Under which names open_clip looks for a file, in its order."""
    if file == "open_clip_pytorch_model.bin":
        yield "open_clip_model.safetensors"
    elif file.endswith((".bin", ".pth")):
        yield f"{file[:-4]}.safetensors"
    yield file


def _missing_of_tokenizer(name: str) -> Iterator[tuple[str, str]]:
    text_config = (open_clip.get_model_config(name) or {}).get("text_cfg", {})
    for key, file in (("hf_tokenizer_name", "tokenizer_config.json"), ("hf_model_name", "config.json")):
        repository = text_config.get(key)
        if repository and not isinstance(try_to_load_from_cache(repository, file), str):
            yield repository, file


def _reach(config: dict[str, Any], wanted: str) -> None:
    """Ask the host once, before its client asks again and again."""
    url = hf_hub_url(*_repository(config["hf_hub"])) if config.get("hf_hub") else config["url"]
    try:
        get_session().head(url, timeout=SECONDS)
    except Exception as error:  # requests, httpx and the client's own offline mode raise different kinds
        raise OodlibError(
            f"{wanted} and the host cannot be reached ({_brief(error)}): load the encoder once with a "
            "network, copy the hub's cache folder from a machine that did, or use 'pocket', which needs no download"
        ) from None


def _brief(error: Exception) -> str:
    line = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {line[:120]}" if line else type(error).__name__
