"""PocketCLIP as ONNX files, for use where there is no torch: in a browser, on a phone, from another language.

Both towers compute in float32. Only their weights are stored small, and the runtime widens them when it loads a file:
those of the image tower from half precision, those of the text tower from eight bits with a scale for each row or
column. Rounding activations as well (dynamic quantisation) made no smaller file, took the lowest cosine with the torch
model from 0.999 to 0.98 over 272 names of EmojiShift (with the first weights), and let a text's feature depend on its
neighbours.
"""

from __future__ import annotations

import argparse
import json
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from oodlib.cache import write_atomically, write_text
from oodlib.errors import OodlibError
from oodlib.pocket.assemble import assemble
from oodlib.pocket.light import LightEncoder
from oodlib.pocket.sessions import runtime
from oodlib.pocket.small_weights import package, shrink

FILES = {
    "image": "image.onnx",
    "text": "text.onnx",
    "tokenizer": "tokenizer.json",
    "preprocessing": "preprocessing.json",
}
CONTEXT = 77
PAD = 0  # the token behind a text that is shorter than others


def export(folder: Path | str, home: Path | None = None) -> dict[str, Path]:
    """Write both towers, the tokenizer and the preprocessing into a folder.

    Parameters
    ----------
    folder : Path or str
        Created if need be; files of the same names are replaced, each in one step.
    home : Path, optional
        Cache folder that PocketCLIP is assembled in.

    Returns
    -------
    dict of str to Path
        `image`: `pixels` (N, 3, 128, 128) float32 to `features` (N, 256) float32, L2-normalised.
        `text`: `input_ids` and `attention_mask` (N, L) int64 to `features` (N, 256), L2-normalised; N and L are free.
        `tokenizer`: the tokenizer in the format of Hugging Face's `tokenizers`.
        `preprocessing`: what to do to a picture and a text first, and the logit scale, as JSON.

    Raises
    ------
    OodlibError
        If a package for the export is missing, or the folder cannot be written.
    """
    onnx = package("onnx")
    package("onnxscript")
    model: Any = open_clip.create_model(f"local-dir:{assemble(home)}").eval()
    # The plain form of attention gives a graph of common operators.
    model.text.transformer.set_attn_implementation("eager")
    pixels, free = torch.zeros(2, 3, *model.visual.image_size), {0: "batch", 1: "sequence"}
    # Two tensors: the exporter takes one tensor in two places for one input.
    ids, mask = torch.ones(2, 8, dtype=torch.int64), torch.ones(2, 8, dtype=torch.int64)
    image = graph_of(_Image(model.visual), {"pixels": pixels}, {"pixels": {0: "batch"}})
    text = graph_of(
        _Text(model.text), {"input_ids": ids, "attention_mask": mask}, {"input_ids": free, "attention_mask": free}
    )
    shrink(image, eight_bits=False)
    shrink(text, eight_bits=True)

    paths = {part: Path(folder) / name for part, name in FILES.items()}
    write_atomically(paths["image"], lambda path: onnx.save(image, path))
    write_atomically(paths["text"], lambda path: onnx.save(text, path))
    write_atomically(paths["tokenizer"], lambda path: shutil.copy(assemble(home) / "tokenizer.json", path))
    facts = json.dumps(_preprocessing(LightEncoder(home)), indent=2)
    write_text(paths["preprocessing"], facts + "\n")
    return paths


def parity(
    folder: Path | str, pictures: Sequence[Image.Image], texts: Sequence[str], home: Path | None = None
) -> dict[str, float]:
    """Compare exported towers, run by onnxruntime, with the encoder whose weights are not rounded.

    Returns
    -------
    dict of str to float
        For `image` and `text` the smallest cosine between a feature of the file and the same feature of `LightEncoder`.
    """
    from tokenizers import Tokenizer

    folder, encoder = Path(folder), LightEncoder(home)
    tokenizer = Tokenizer.from_file(str(folder / FILES["tokenizer"]))
    tokenizer.enable_truncation(CONTEXT)
    tokenizer.enable_padding()
    rows = tokenizer.encode_batch(list(texts))
    inputs = {
        "image": {"pixels": encoder.normal(encoder.pixels(pictures))},
        "text": {
            "input_ids": np.array([r.ids for r in rows]),
            "attention_mask": np.array([r.attention_mask for r in rows]),
        },
    }
    expected = {"image": encoder.encode_images(pictures), "text": encoder.encode_texts(texts)}
    cosines = {}
    for part, given in inputs.items():
        session = runtime().InferenceSession(str(folder / FILES[part]), providers=["CPUExecutionProvider"])
        cosines[part] = float((session.run(None, given)[0] * expected[part]).sum(1).min())
    return cosines


class _Image(nn.Module):
    def __init__(self, tower: nn.Module):
        super().__init__()
        self.tower = tower

    def forward(self, pixels: Tensor) -> Tensor:
        return F.normalize(self.tower(pixels), dim=-1)


class _Text(nn.Module):
    """open_clip's text tower with the mask as an input: it would take it from the ids, which not every runtime can."""

    def __init__(self, tower: nn.Module):
        super().__init__()
        self.tower = tower

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states = self.tower.transformer(input_ids=input_ids, attention_mask=attention_mask)
        return F.normalize(self.tower.proj(self.tower.pooler(states, attention_mask)), dim=-1)


def graph_of(
    module: nn.Module, inputs: dict[str, Tensor], dynamic: dict[str, dict[int, str]], *, optimize: bool = True
) -> Any:
    """An ONNX model of `module` with named inputs and the output `features`.

    Without `optimize` its weights are the module's own, none of them folded or turned.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter reports on itself
        program = torch.onnx.export(
            module.eval(),
            kwargs=inputs,
            input_names=list(inputs),
            output_names=["features"],
            dynamic_shapes=dynamic,
            dynamo=True,
            optimize=optimize,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    # Notes of the exporter: where on this machine the code lies, and shapes from before it moved constants.
    for node in model.graph.node:
        del node.metadata_props[:]
    del model.graph.value_info[:]
    return model


def _preprocessing(encoder: LightEncoder) -> dict[str, Any]:
    picture = encoder.spec["preprocess"]
    size = picture["size"]
    return {
        "model": "PocketCLIP",
        "weights_sha256": encoder.spec["weights_sha256"],
        "logit_scale": encoder.logit_scale,
        "image": {
            "transparency": "on white",
            "resize": f"{picture['resize_mode']} side to {size[0]}, {picture['interpolation']}, then centre crop",
            "size": size,
            "range": [0, 1],
            "mean": picture["mean"],
            "std": picture["std"],
            "layout": "NCHW, RGB",
        },
        "text": {"truncate": CONTEXT, "pad_id": PAD},
    }


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m oodlib.pocket.export", description="Write PocketCLIP as ONNX.")
    parser.add_argument("folder", type=Path)
    try:
        from sklearn.datasets import load_sample_images

        paths = export(parser.parse_args().folder)
        photographs = [Image.fromarray(pixels) for pixels in load_sample_images().images]
        crops = [photo.crop((x, y, x + 200, y + 200)) for photo in photographs for x in (0, 200, 400) for y in (0, 200)]
        texts = ["cat", "a photo of a temple in the hills", "an emoji of a flower", "ice hockey"]
        cosines = parity(paths["image"].parent, crops, texts)
    except OodlibError as error:
        raise SystemExit(str(error)) from None
    for part, path in paths.items():
        against = f"  cosine with the unrounded model at least {cosines[part]:.5f}" if part in cosines else ""
        print(f"{path.name:20}{path.stat().st_size / 1e6:6.2f} MB{against}")


if __name__ == "__main__":
    _main()
