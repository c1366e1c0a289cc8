"""What bfloat16 and float16 change: cosines, AUROC and FPR95 of PocketCLIP on EmojiShift, and the speed of the model.

    python benchmarks/precision.py [--device cpu] [--precisions bf16 fp16] [--pictures 200] [--json FILE]
    python benchmarks/precision.py --export FOLDER
    python benchmarks/precision.py --from FOLDER --device cuda

Each set gives at most `--pictures`, those whose hashes come first. Pictures are preprocessed once, and every batch goes
through the model in float32 and in each other precision in turn. Differences are paired, with 95 % bootstrap intervals.

`--export` writes the pictures, a table of their sets and the names' features (some megabytes). `--from` reads such a
folder and builds the image tower alone from the weights in this checkout: for a machine that has an accelerator but
neither the drawings nor the text tower.
"""

import argparse
import json
import platform
import shutil
import statistics
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import open_clip
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from oodlib.concepts import Concepts
from oodlib.datasets.images import read_image
from oodlib.encoders import Encoder, load_encoder
from oodlib.encoders.preprocessing import preprocessing
from oodlib.experiments.precision import cosine_change, metric_change
from oodlib.machine import warning
from oodlib.pocket.assemble import IMAGE_SIZE, MEAN, STD, WEIGHTS, config

TEMPLATES = "drawings"
ID_SET = "animals-food"
BATCH = {"cpu": 32, "cuda": 256}


class ImageTower(nn.Module):
    """PocketCLIP without its text tower."""

    def __init__(self) -> None:
        super().__init__()
        parts = config(Path("none"))["model_cfg"]
        vision = {name: value for name, value in parts["vision_cfg"].items() if name.startswith("timm_model")}
        self.visual = open_clip.timm_model.TimmModel(
            vision["timm_model_name"],
            parts["embed_dim"],
            image_size=IMAGE_SIZE,
            pool=parts["vision_cfg"]["timm_pool"],
            proj=parts["vision_cfg"]["timm_proj"],
        )
        shipped = {
            name: value.float() if value.is_floating_point() else value for name, value in load_file(WEIGHTS).items()
        }
        self.logit_scale = nn.Parameter(shipped["logit_scale"])
        self.visual.load_state_dict(
            {k.removeprefix("visual."): v for k, v in shipped.items() if k.startswith("visual.")}
        )

    def encode_image(self, pixels: Tensor) -> Tensor:
        """As open_clip's models have it."""
        return self.visual(pixels)


def image_encoder(device: str, precision: str) -> Encoder:
    """The image tower alone, as an encoder."""
    steps, preprocess = preprocessing("openai", {"size": IMAGE_SIZE, "mean": MEAN, "std": STD})
    spec = {"model": "pocket, image tower", "pretrained": None, "preprocess": preprocess, "precision": precision}
    return Encoder(ImageTower(), steps, None, {**spec, "device": device.split(":")[0]})


def chosen_sets(limit: int) -> tuple[dict[str, list[Path]], Concepts]:
    """Pictures of the benchmark by set, the ID set first, and its names."""
    from oodlib.datasets import emojishift
    from oodlib.prompts import templates

    benchmark = emojishift.benchmarks(emojishift.load())[ID_SET]
    encoder = load_encoder("pocket")
    text = encoder.encode_texts(benchmark.names, templates(TEMPLATES))
    sets = {}
    for name, manifest in {ID_SET: benchmark.id, **benchmark.ood}.items():
        few = manifest.table["sha256"].rank(method="first") <= limit
        sets[name] = manifest.select(few).paths()
    return sets, Concepts(names=benchmark.names, text=text, logit_scale=encoder.logit_scale)


def export(folder: Path, sets: dict[str, list[Path]], concepts: Concepts) -> None:
    """Pictures, a table of their sets, and the names' features."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, paths in sets.items():
        for number, path in enumerate(paths):
            file = f"{name}-{number:04d}.png"
            shutil.copy(path, folder / file)
            rows.append({"file": file, "set": name})
    pd.DataFrame(rows).to_csv(folder / "sets.csv", index=False)
    metadata = {"names": json.dumps(concepts.names), "logit_scale": str(concepts.logit_scale)}
    save_file({"text": concepts.text.contiguous()}, folder / "text.safetensors", metadata=metadata)
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{len(rows)} pictures, {size / 1e6:.1f} MB in {folder}")


def read_folder(folder: Path) -> tuple[dict[str, list[Path]], Concepts]:
    """What `export` wrote."""
    from safetensors import safe_open

    with safe_open(folder / "text.safetensors", framework="pt") as file:
        metadata, text = file.metadata(), file.get_tensor("text")
    table = pd.read_csv(folder / "sets.csv")
    sets = {str(name): [folder / file for file in rows["file"]] for name, rows in table.groupby("set", sort=False)}
    return sets, Concepts(names=json.loads(metadata["names"]), text=text, logit_scale=float(metadata["logit_scale"]))


def encode_in_turns(
    encoders: dict[str, Encoder], sets: dict[str, list[Path]], batch: int
) -> tuple[dict[str, dict[str, Tensor]], dict[str, float]]:
    """Features by precision and set, and each precision's median seconds a picture, over whole batches."""
    first = next(iter(encoders.values()))
    paths = [path for group in sets.values() for path in group]
    parts: dict[str, list[Tensor]] = {name: [] for name in encoders}
    took: dict[str, list[float]] = defaultdict(list)
    for start in range(0, len(paths), batch):
        some = paths[start : start + batch]
        pixels = first.prepare(map(read_image, some))
        for name, encoder in encoders.items():
            begin = time.perf_counter()
            parts[name].append(encoder.encode_images(pixels, batch_size=batch))
            if len(some) == batch and start:  # the first batch warms up
                took[name].append((time.perf_counter() - begin) / batch)
    lengths = [len(group) for group in sets.values()]
    features = {name: dict(zip(sets, torch.cat(rows).split(lengths), strict=True)) for name, rows in parts.items()}
    return features, {name: statistics.median(values) for name, values in took.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precisions", nargs="+", default=["bf16", "fp16"])
    parser.add_argument("--pictures", type=int, default=200, help="at most so many of each set")
    parser.add_argument("--boot", type=int, default=200)
    parser.add_argument("--from", dest="folder", type=Path)
    parser.add_argument("--export", type=Path)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    sets, concepts = read_folder(chosen.folder) if chosen.folder else chosen_sets(chosen.pictures)
    if chosen.export:
        export(chosen.export, sets, concepts)
        return
    kinds = ["fp32", *chosen.precisions]
    make = (
        image_encoder if chosen.folder else lambda device, kind: load_encoder("pocket", device=device, precision=kind)
    )
    encoders = {kind: make(chosen.device, kind) for kind in kinds}
    batch = BATCH.get(chosen.device.split(":")[0], 32)
    features, seconds = encode_in_turns(encoders, sets, batch)
    cpu = chosen.device == "cpu"
    device = platform.processor() or platform.machine() if cpu else torch.cuda.get_device_name(chosen.device)
    count = sum(map(len, sets.values()))
    print(f"PocketCLIP, {count} pictures of {len(sets)} sets, {device}, torch {torch.__version__}\n")
    found: dict[str, Any] = {"device": device, "torch": torch.__version__, "pictures": count, "precisions": {}}
    for kind in chosen.precisions:
        exact, rough = (torch.cat(list(features[name].values())) for name in ("fp32", kind))
        cosines = cosine_change(exact, rough, concepts.text)
        table = metric_change(features["fp32"], features[kind], concepts, n_boot=chosen.boot)
        faster = seconds["fp32"] / seconds[kind] if seconds else float("nan")
        found["precisions"][kind] = {"faster": faster, **cosines, "metrics": table.to_dict("records")}
        print(f"{kind}: {faster:.2f} times the speed of float32; {warning(kind, chosen.device)}".rstrip("; "))
        print("  " + ", ".join(f"{name} {value:.5f}" for name, value in cosines.items()))
        shown = table.assign(
            **{name: (100 * table[name]).round(2) for name in ("exact", "rough", "difference", "low", "high")}
        )
        print(shown.to_string(index=False), "\n")
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
