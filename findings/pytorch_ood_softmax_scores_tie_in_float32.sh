#!/usr/bin/env bash
# pytorch-ood 0.4.0: the softmax score of confident pictures is 1 for all of them in float32, so that their order is lost.
#
# `MaxSoftmax` returns the largest probability itself. Two logits of a CLIP-like model, 100 times a cosine, are easily 17 apart,
# and from there on 1 minus the rest rounds to 1 in float32: in-distribution pictures and confident outliers get one score.
# Expected: the order that the same formula has in float64, since the logits still tell it in float32 (the log of p / (1 - p)
# is best logit minus the log-sum-exp of the others). Seen: most scores are ties and the AUROC falls towards a half.
#
# Why it matters here: "maximum softmax probability" is the baseline of every table, models compute in float32 or less, and
# a baseline that is lost to rounding makes any other score look good. Nothing warns: a tie is a number like others.
#
# Installs PyTorch (some gigabytes) into a temporary folder. Exit status: 0 while this holds, 1 once it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --no-cache-dir torch==2.14.1 torchvision==0.29.1 pytorch-ood==0.4.0
cd "$work"
"$work/env/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from pytorch_ood.detector import MaxSoftmax

N, CLASSES, SCALE = 2000, 20, 100.0  # pictures of each kind, names, and CLIP's factor on the cosine
draw = torch.Generator().manual_seed(0)


def logits(low, high):
    """Cosines of 0.10 to 0.18 with all names but one, and of `low` to `high` with that one; times the scale."""
    cosines = 0.10 + 0.08 * torch.rand(N, CLASSES, generator=draw)
    cosines[:, 0] = low + (high - low) * torch.rand(N, generator=draw)
    return (SCALE * cosines).float()


def auroc(inside, outside):
    """The share of pairs in which the outlier's score is larger; a tie counts half. Outliers score higher here."""
    gap = outside.double()[:, None] - inside.double()[None]
    return float((gap > 0).double().mean() + 0.5 * (gap == 0).double().mean())


def odds(rows):
    return rows[:, 1:].logsumexp(1) - rows[:, 0]


inside, outside = logits(0.34, 0.42), logits(0.32, 0.40)
single = [MaxSoftmax.score(rows) for rows in (inside, outside)]
double = [MaxSoftmax.score(rows.double()) for rows in (inside, outside)]
found = {"float32": auroc(*single), "float64": auroc(*double), "odds": auroc(odds(inside), odds(outside))}
distinct = len(torch.cat(single).unique())
print(f"pytorch-ood {version('pytorch-ood')}, torch {version('torch')}: MaxSoftmax on the same {2 * N} float32 logits")
print(f"  AUROC in float64, expected      {found['float64']:.3f}")
print(f"  AUROC in float32, seen          {found['float32']:.3f} ({distinct} distinct scores)")
print(f"  AUROC of log-odds in float32    {found['odds']:.3f}: the order is in the logits")
holds = found["float64"] - found["float32"] > 0.05 and abs(found["odds"] - found["float64"]) < 0.001
sys.exit(0 if holds and distinct < N else 1)
PYTHON
