"""Pictures a second on one device: the model alone, and from JPEG files to kept features.

    python benchmarks/throughput.py [--device cuda] [--models ViT-B-16 ViT-L-14] [--precisions fp32 bf16 fp16]
        [--batches 64 256] [--seconds 5] [--files 8192] [--json FILE]

Weights are random: speed does not depend on them. "encode" is the model on pixels that lie on the device, features
back on the CPU. "end to end" is `oodlib.embeddings.embed` on JPEG files of 500 x 375 pixels, generated here, decoding
and the store included. "decode" is one core reading and preprocessing such files, "score" one picture against
1,000 class names alone (MCM) and with 70,000 words (one softmax), with all features on the device.

The file is what the page `notebooks/scale.ipynb` reads as `book/_data/h100.json`; `book/_data/README.md` names its
fields. Every rate is the median of five rounds, with the slowest and the fastest.
"""

import argparse
import json
import platform
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch.nn import functional as F

from oodlib.concepts import Concepts
from oodlib.datasets.base import Manifest
from oodlib.datasets.images import read_image
from oodlib.detectors import get_detector
from oodlib.embeddings import embed
from oodlib.embeddings.stream import crew_for
from oodlib.encoders import Encoder, load_encoder
from oodlib.machine import cores
from oodlib.provenance import file_sha256
from oodlib.report.scale import Slope, photographs, slope

SIZE = (500, 375)
DISTINCT = 64  # files that are generated; the others are copies
ROUNDS = 5
CLASSES, WORDS, PICTURES = 1000, 70_000, 2048


def rate(measured: Slope) -> dict[str, float]:
    """Pictures a second: median, slowest, fastest."""
    return {
        "images_per_second": 1 / measured.seconds,
        "low": 1 / measured.high,
        "high": 1 / measured.low,
    }


def encode_rate(encoder: Encoder, batch: int, seconds: float) -> Slope:
    """The model alone, as often as fills a fifth of the time in every round."""
    side = encoder.spec["preprocess"]["size"][0]
    pixels = torch.randn(batch, 3, side, side, device=encoder.device)
    once = slope(lambda: encoder.encode_images(pixels, batch_size=batch), batch, rounds=1).seconds * batch
    times = max(1, round(seconds / ROUNDS / once))
    work = lambda: [encoder.encode_images(pixels, batch_size=batch) for _ in range(times)]  # noqa: E731
    return slope(work, batch * times, ROUNDS)


def files(folder: Path, count: int) -> Manifest:
    """JPEG files as a data set."""
    paths = photographs(folder, min(count, DISTINCT), SIZE)
    for number in range(len(paths), count):
        paths.append(Path(shutil.copy(paths[number % DISTINCT], folder / f"copy-{number:05d}.jpg")))
    table = pd.DataFrame({"id": [path.stem for path in paths], "uri": [path.name for path in paths]})
    table["label"], table["split"], table["sha256"] = "", "test", [file_sha256(path) for path in paths]
    return Manifest(name="generated", root=folder, table=table)


def end_to_end(encoder: Encoder, manifest: Manifest) -> Slope:
    """From files to kept features, every round into an empty store."""

    def work() -> None:
        with tempfile.TemporaryDirectory() as home:
            embed(encoder, manifest, home=Path(home))

    return slope(work, len(manifest), rounds=3)


def score_slopes(device: str) -> list[dict[str, Any]]:
    """One picture against names, and against names and words."""
    draw = torch.Generator().manual_seed(0)
    width = 512
    text, words, pictures = (
        F.normalize(torch.randn(n, width, generator=draw), dim=-1).to(device) for n in (CLASSES, WORDS, PICTURES)
    )
    names = [f"class {n}" for n in range(CLASSES)]
    outliers = {"outlier_names": [f"word {n}" for n in range(WORDS)], "outlier_text": words}
    rows = []
    for detector, count, more in (("mcm", 0, {}), ("outlier_softmax", WORDS, outliers)):
        fitted = get_detector(detector).fit(Concepts(names=names, text=text, **more))
        measured = slope(lambda fitted=fitted: fitted.score_samples(pictures).cpu(), PICTURES, ROUNDS)
        rows.append({"detector": detector, "classes": CLASSES, "words": count, "width": width, **asdict(measured)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--models", nargs="+", help="ViT-B-16, and ViT-L-14 where the device is no CPU")
    parser.add_argument("--precisions", nargs="+", help="fp32 and bf16, and fp16 where the device is no CPU")
    parser.add_argument("--batches", nargs="+", type=int, help="16 on a CPU, else 64 and 256")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--files", type=int, help="64 on a CPU, else 8192: enough for processes to read")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    cpu = chosen.device == "cpu"
    models = chosen.models or ["ViT-B-16"] + ["ViT-L-14"] * (not cpu)
    precisions = chosen.precisions or ["fp32", "bf16"] + ["fp16"] * (not cpu)
    batches = chosen.batches or ([16] if cpu else [64, 256])
    name = platform.processor() or platform.machine() if cpu else torch.cuda.get_device_name(chosen.device)
    found: dict[str, Any] = {
        "device": name,
        "kind": chosen.device.split(":")[0],
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "jpeg": list(SIZE),
        "readers": "threads",
        "encode": [],
        "end_to_end": [],
        "score": score_slopes(chosen.device),
    }
    print(f"{name}, {found['cores']} cores, torch {torch.__version__}\n")
    print(f"{'':16s}{'precision':>10s}{'batch':>8s}{'images/s':>12s}{'slowest':>10s}{'fastest':>10s}")
    with tempfile.TemporaryDirectory() as folder:
        manifest = files(Path(folder), chosen.files or (64 if cpu else 8192))
        for model in models:
            for precision in precisions:
                encoder = load_encoder(model, "random", device=chosen.device, precision=precision)
                rows = [("encode", batch, encode_rate(encoder, batch, chosen.seconds)) for batch in batches]
                rows.append(("end_to_end", len(manifest), end_to_end(encoder, manifest)))
                if crew_for(encoder, len(manifest)).processes:
                    found["readers"] = "processes"
                for kind, size, measured in rows:
                    what = {"batch": size} if kind == "encode" else {"files": size}
                    found[kind].append({"model": model, "precision": precision, **what, **rate(measured)})
                    shown = str(size) if kind == "encode" else "files"
                    numbers = "".join(f"{v:{w}.1f}" for v, w in zip(rate(measured).values(), (12, 10, 10), strict=True))
                    print(f"{model:16s}{precision:>10s}{shown:>8s}{numbers}", flush=True)
        few = manifest.paths()[:DISTINCT]
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        decode = slope(lambda: encoder.prepare(map(read_image, few)), len(few), ROUNDS)
        torch.set_num_threads(threads)
    found["decode"] = asdict(decode)
    print(f"\none core decodes and preprocesses {1 / decode.seconds:.1f} files a second")
    for row in found["score"]:
        print(f"{row['detector']}: {row['classes']} + {row['words']} texts, {row['seconds'] * 1e6:.1f} µs a picture")
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
