"""Train the "no" head of PocketCLIP's shipped weights and keep it beside them: a few minutes.

    python tools/no_head.py [--out FILE]

It stands here and not in the package, because it needs an encoder, and the model lies below encoders.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from safetensors.torch import save_file

from oodlib.cache import write_atomically
from oodlib.encoders import load_encoder
from oodlib.errors import OodlibError
from oodlib.pocket.assemble import WEIGHTS
from oodlib.pocket.data import corpus
from oodlib.pocket.no_head import HEAD, NoRecipe, train


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=HEAD, help="where to write the head; by default the shipped one")
    chosen = parser.parse_args(arguments)
    console = Console(stderr=True)
    try:
        console.print("drawing the pretraining pictures and encoding them: a few minutes")
        recipe = NoRecipe()
        tensors, losses = train(load_encoder("pocket"), corpus(), recipe)
    except OodlibError as error:
        sys.exit(f"error: {error}")
    weights = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()  # a head fits the weights it was learned with
    about = {"recipe": json.dumps(asdict(recipe)), "weights_sha256": weights}
    write_atomically(chosen.out, lambda path: save_file(tensors, path, about))
    console.print(f"loss {losses[0]:.3f} at first, {losses[-1]:.3f} at the end; wrote {chosen.out.name}")


if __name__ == "__main__":
    main()
