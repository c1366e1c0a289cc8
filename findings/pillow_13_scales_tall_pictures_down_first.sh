#!/usr/bin/env bash
# Pillow 13.0.0: `Image.resize` gives a tall picture other pixels than Pillow 12.0.0 did, by several grey levels.
#
# Scaling is done along one axis and then along the other, and rounded to whole grey levels in between. Pillow 12 always
# goes along the rows first; Pillow 13 goes along the columns first where that is less work, as it is for a picture that is
# much taller than wide. Nothing asks for it and nothing tells: the same file, size and filter give other pixels. A picture
# as wide as tall, or wider, was scaled to the same pixels by both here.
#
# Why it matters here: encoders scale every picture with this function. Features that were kept under one version are not
# those of the other, on some pictures of a folder only, so that a parity test on square pictures sees nothing; and an
# implementation in another language has to know the rule. So our store of features has Pillow's version in its key.
#
# Exit status: 0 while this holds, 1 once it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for version in 12.0.0 13.0.0; do
  python3 -m venv "$work/$version"
  "$work/$version/bin/pip" install --quiet "pillow==$version"
  "$work/$version/bin/python" - "$work/$version.pixels" <<'PYTHON'
import random
import sys

from PIL import Image

SIZES = {"square": (300, 300), "wide": (500, 200), "tall": (200, 500)}
with open(sys.argv[1], "wb") as file:
    for width, height in SIZES.values():
        numbers = random.Random(width)
        picture = Image.frombytes("L", (width, height), bytes(numbers.randrange(256) for _ in range(width * height)))
        short = min(width, height)
        scaled = picture.resize((128 * width // short, 128 * height // short), Image.Resampling.BICUBIC)
        file.write(scaled.crop((0, 0, 128, 128)).tobytes())
PYTHON
done
python3 - "$work/12.0.0.pixels" "$work/13.0.0.pixels" <<'PYTHON'
import sys
from pathlib import Path

before, after = (Path(path).read_bytes() for path in sys.argv[1:])
seen = {}
for place, name in enumerate(("square", "wide", "tall")):
    part = slice(place * 128 * 128, (place + 1) * 128 * 128)
    seen[name] = [abs(a - b) for a, b in zip(before[part], after[part], strict=True)]
print("Pillow 12.0.0 and 13.0.0, grey levels between the same scaled picture; expected 0")
for name, differences in seen.items():
    print(f"  {name:6s}  largest {max(differences):3d}, pixels that differ {sum(d > 0 for d in differences):5d} of 16384")
sys.exit(0 if not any(seen["square"]) and not any(seen["wide"]) and max(seen["tall"]) > 1 else 1)
PYTHON
