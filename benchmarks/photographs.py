"""Time `oodlib.embeddings.embed` on JPEG files against CLIP_benchmark's loop: same files, same model, same run.

    python benchmarks/photographs.py [--encoder pocket] [--pretrained TAG] [--device cpu] [--rounds 3] [--json FILE]

The work is pictures per second from files to L2-normalised features. The peer is the loop of CLIP_benchmark
(github.com/LAION-AI/CLIP_benchmark, `clip_benchmark/cli.py` and `metrics/zeroshot_classification.py`), written anew
with its defaults: a `DataLoader` over an `ImageFolder` with open_clip's preprocessing, batches of 64 in order, 4 worker
processes, `torch.no_grad`, `torch.cuda.amp.autocast` (half precision on a GPU; without one it does nothing), encode and
normalise. Its product with the class names and its accuracy are left out, which favours it. Ours also writes its store
to a cold, temporary cache, hashes it and reads it back.

Pictures are generated: noise of every grain, at JPEG quality 90. The contenders take turns, and the median of the
rounds counts. Loading the model is not counted, and every file has been read once before. `scaled` is our
`decode="scaled"`; it is shown where it decodes anything smaller.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import PIL
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

from oodlib.datasets.folder import from_folder
from oodlib.embeddings.embedding import embed, reading
from oodlib.encoders import load_encoder
from oodlib.pocket.assemble import assemble
from oodlib.report.scale import photographs

OURS, SCALED, PEER = "oodlib", "oodlib, scaled", "CLIP_benchmark's loop"
SIZES = {"small, 96 to 256": None, "500 x 375": (500, 375), "1600 x 1200": (1600, 1200)}
TOLERANCE = {"fp32": 1e-5, "fp16": 1e-2, "bf16": 5e-2}  # largest difference of a feature's numbers
COSINE = 0.999  # of scaled decoding with full decoding, at least


def generate(folder: Path, size: tuple[int, int] | None, count: int) -> None:
    """Write about `count` JPEGs, in one class; without a size of sixteen sizes."""
    (folder / "class").mkdir(parents=True)
    sides = np.random.default_rng(0).integers(96, 257, (16, 2)).tolist()
    for seed, (width, height) in enumerate([size] if size else sides):
        photographs(folder / "class", count if size else count // len(sides), (width, height), seed)


def peers_loop(model: torch.nn.Module, preprocess: Callable, folder: Path, device: str) -> Callable[[], Tensor]:
    """CLIP_benchmark's loop over a folder."""
    model.to(device).eval()

    def loop() -> Tensor:
        parts = []
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that cuda's autocast does nothing without a GPU, and its new name
            for images, _ in DataLoader(ImageFolder(folder, transform=preprocess), 64, num_workers=4):
                on_device = images.to(device)
                with torch.cuda.amp.autocast():
                    parts.append(F.normalize(model.encode_image(on_device), dim=-1).float().cpu())
        return torch.cat(parts)

    return loop


def measure(chosen: argparse.Namespace, title: str, folder: Path) -> dict[str, object]:
    """Pictures per second of each contender on one folder."""
    encoder = load_encoder(
        chosen.encoder, chosen.pretrained, device=chosen.device, precision=chosen.precision, quick_gelu=False
    )
    source = f"local-dir:{assemble()}" if chosen.encoder == "pocket" else chosen.encoder
    model, _, preprocess = open_clip.create_model_and_transforms(source)
    if chosen.encoder != "pocket":
        model.load_state_dict(load_encoder(chosen.encoder, chosen.pretrained, quick_gelu=False).model.state_dict())
    manifest = from_folder(folder).manifest

    def ours(decode: str) -> Tensor:
        with tempfile.TemporaryDirectory() as home:
            return embed(encoder, manifest, home=Path(home), decode=decode).features  # type: ignore[arg-type]

    contenders = {PEER: peers_loop(model, preprocess, folder, chosen.device), OURS: lambda: ours("full")}
    some = manifest.paths()[0]
    if reading(encoder, "scaled")(some).size != reading(encoder)(some).size:
        contenders[SCALED] = lambda: ours("scaled")
    reference = contenders[PEER]()  # reads every file once, too
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    difference, cosine = 0.0, 1.0
    for _ in range(chosen.rounds):
        for name, work in contenders.items():
            start = time.perf_counter()
            features = work()
            seconds[name].append(time.perf_counter() - start)
            if name == SCALED:
                cosine = min(cosine, float((features * reference).sum(-1).min()))
            else:
                difference = max(difference, float((features - reference).abs().max()))
    if difference > TOLERANCE[chosen.precision] or cosine < COSINE:
        raise SystemExit(f"features differ: by {difference:.1e}, or to a cosine of {cosine:.5f} where scaled")
    rates = {name: len(manifest) / statistics.median(took) for name, took in seconds.items()}
    size = sum(path.stat().st_size for path in manifest.paths()) / len(manifest)
    return {"files": title, "pictures": len(manifest), "bytes": round(size), "pictures_per_second": rates} | {
        "largest_difference": difference,
        "smallest_cosine_scaled": cosine,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="pocket", help="pocket, or an architecture of open_clip")
    parser.add_argument("--pretrained", help="its weights; by default random ones")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", help="by default fp32 on a CPU and fp16 on a GPU, as the peer has it")
    parser.add_argument("--pictures", type=int, nargs=3, default=[1024, 512, 96], help="of each size")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file for the figures")
    chosen = parser.parse_args()
    if chosen.encoder != "pocket":
        chosen.pretrained = chosen.pretrained or "random"
    chosen.precision = chosen.precision or ("fp16" if chosen.device.startswith("cuda") else "fp32")
    found = []
    print(f"{'':20s}{'pictures':>10s}{'KB each':>9s}  {'':24s}{'pictures/s':>11s}{'times the loop':>16s}")
    for (title, size), count in zip(SIZES.items(), chosen.pictures, strict=True):
        with tempfile.TemporaryDirectory() as folder:
            generate(Path(folder) / "files", size, count)
            row = measure(chosen, title, Path(folder) / "files")
        found.append(row)
        rates: dict[str, float] = row["pictures_per_second"]  # type: ignore[assignment]
        for name, rate in rates.items():
            print(f"{title:20s}{count:10d}{row['bytes'] / 1000:9.1f}  {name:24s}{rate:11.1f}{rate / rates[PEER]:16.2f}")
        print(
            f"{'':20s}features differ by at most {row['largest_difference']:.1e}; "
            f"cosine of scaled at least {row['smallest_cosine_scaled']:.5f}",
            flush=True,
        )
    if chosen.json:
        machine = {
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "processor": platform.machine(),
            "accelerator": torch.cuda.get_device_name() if chosen.device.startswith("cuda") else None,
        }
        versions = {"torch": torch.__version__, "open_clip": open_clip.__version__, "pillow": PIL.__version__}
        about = {"encoder": chosen.encoder, "precision": chosen.precision, "machine": machine, "versions": versions}
        chosen.json.write_text(json.dumps(about | {"rows": found}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
