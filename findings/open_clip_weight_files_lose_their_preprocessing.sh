#!/usr/bin/env bash
# open_clip 3.3.0: the same weights, loaded from a file instead of by their tag, are shown other pixels, without a word.
#
# A tag knows how its weights were trained: MobileCLIP-S1 `datacompdr` wants pixels from 0 to 1 (mean 0, std 1) and bilinear
# scaling, and `create_model_and_transforms(name, pretrained=TAG)` follows it. The same call with the path of the downloaded
# file, which is how one works without a network, gives OpenAI's mean and std and bicubic scaling: nothing in the file says
# otherwise, and no warning is given. More than a quarter of all tags have a preprocessing of their own.
#
# Why it matters here: out-of-distribution scores compare cosines with a threshold. Features of wrongly scaled pixels still
# look like features, so that every number of a benchmark changes and nothing fails.
#
# Installs PyTorch (some gigabytes) into a temporary folder. Exit status: 0 while this holds, 1 once it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --no-cache-dir torch==2.14.1 torchvision==0.29.1 timm==1.0.31 open_clip_torch==3.3.0
cd "$work"
"$work/env/bin/python" - <<'PYTHON'
import logging
import sys

import open_clip
import torch

logging.disable(logging.WARNING)  # that the weights made here are random
NAME, TAG = "MobileCLIP-S1", "datacompdr"
KEYS = ("mean", "std", "interpolation", "resize_mode")
tag = {key: open_clip.get_pretrained_cfg(NAME, TAG)[key] for key in KEYS}
torch.save(open_clip.create_model(NAME).state_dict(), "weights.pt")  # stands in for the tag's own file: same names and shapes
logging.disable(logging.NOTSET)
heard = []
handler = logging.Handler()
handler.emit = lambda record: heard.append(record.getMessage())
logging.getLogger().addHandler(handler)
model, _, _ = open_clip.create_model_and_transforms(NAME, pretrained="weights.pt")
file = {key: model.visual.preprocess_cfg[key] for key in KEYS}
warned = [line for line in heard if "mean" in line or "preprocess" in line.lower()]
usual = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
usual |= {"interpolation": "bicubic", "resize_mode": "shortest"}
tags = open_clip.list_pretrained()
own = [pair for pair in tags if any((open_clip.get_pretrained_cfg(*pair).get(key) or usual[key]) != usual[key] for key in KEYS)]
print(f"open_clip {open_clip.__version__}, {NAME}\n  expected, as the tag {TAG} has it: {tag}\n  seen, from a file: {file}")
print(f"  warnings about it: {len(warned)}; tags with a preprocessing of their own: {len(own)} of {len(tags)}")
sys.exit(0 if tag != file and not warned and file["mean"] == usual["mean"] and len(own) > len(tags) / 4 else 1)
PYTHON
