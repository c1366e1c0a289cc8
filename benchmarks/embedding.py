"""Time `oodlib.embeddings.embed` against plain open_clip loops on the same files, in one run; features must agree.

    python benchmarks/embedding.py [--pictures 1024] [--threads 2] [--rounds 3]

The work is pictures per second from PNG files to L2-normalised float32 features, with PocketCLIP. The peers are what
one writes by hand with open_clip: a loop (open, preprocess, stack 64, encode), and the same with a `DataLoader` of two
worker processes. Ours also writes its store to a cold, temporary cache, hashes it and reads it back. All take turns,
and the median of the rounds counts. Loading the model is not counted, and every file has been read once before.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from _common import TOLERANCE, Files, choose, encode, plain_open_clip, take_turns
from torch import Tensor

from oodlib.embeddings import embed
from oodlib.encoders import load_encoder

OURS = "oodlib.embeddings.embed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, default in (("pictures", 1024), ("threads", 2), ("rounds", 3)):
        parser.add_argument(f"--{option}", type=int, default=default)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    manifest = choose(chosen.pictures)
    encoder = load_encoder("pocket")
    model, preprocess = plain_open_clip()
    files = Files(manifest.paths(), preprocess)

    def ours() -> Tensor:
        with tempfile.TemporaryDirectory() as home:
            return embed(encoder, manifest, home=Path(home)).features

    contenders: dict[str, Callable[[], Tensor]] = {
        OURS: ours,
        "open_clip, plain loop": lambda: torch.cat([encode(model, batch) for batch in files.one_by_one()]),
        "open_clip, DataLoader with 2 workers": lambda: torch.cat([encode(model, b) for b in files.by_workers()]),
    }
    reference = contenders["open_clip, plain loop"]()  # reads every file once, too

    def agree(name: str, features: Tensor) -> None:
        torch.testing.assert_close(features, reference, atol=TOLERANCE, rtol=0, msg=f"features of {name} differ")

    median = take_turns(contenders, chosen.rounds, agree)
    print(
        f"{len(manifest)} PNG files to features, float32, {chosen.threads} threads, median of {chosen.rounds}; "
        f"features agree to {TOLERANCE:g}\n"
    )
    print(f"{'':40s}{'images/s':>10s}{'ours is faster by':>20s}")
    for name, took in median.items():
        print(f"{name:40s}{len(manifest) / took:10.1f}{took / median[OURS]:20.2f}")


if __name__ == "__main__":
    main()
