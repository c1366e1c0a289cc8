#!/usr/bin/env bash
# safetensors 0.8.0: `safetensors.numpy.save` writes a view of an array with its numbers in another order, and says nothing.
#
# A NumPy array need not lie in memory in the order of its rows: a transpose, every second column and arrays
# in Fortran's order do not. safetensors' PyTorch functions refuse such a tensor with a ValueError that says "contiguous".
# Its NumPy functions take it, keep the shape, and write bytes as they lie in memory: what is read back has other
# numbers in most places. Copying first (numpy.ascontiguousarray) is enough.
#
# Why it matters here: kept features are safetensors. A matrix that somebody transposed or thinned before saving comes back
# as features of other pictures, of plausible size, so that every later score is wrong and none looks wrong.
#
# Exit status: 0 while this holds, 1 once it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet numpy==2.4.6 safetensors==0.8.0
"$work/env/bin/python" - <<'PYTHON'
import sys

import numpy as np
import safetensors
from safetensors.numpy import load, save

rows = np.arange(12, dtype=np.float32).reshape(3, 4)
views = {
    "as it is": rows,
    "transposed": rows.T,
    "every second column": rows[:, ::2],
    "Fortran's order": np.asfortranarray(rows),
}
same, mended = {}, {}
print(f"safetensors {safetensors.__version__}, expected: what is read back equals what was saved")
for name, view in views.items():
    same[name] = np.array_equal(load(save({"x": view}))["x"], view)
    mended[name] = np.array_equal(load(save({"x": np.ascontiguousarray(view)}))["x"], view)
    print(f"  {name:20s} seen: {'equal' if same[name] else 'other numbers':14s} copied first: {'equal' if mended[name] else 'other numbers'}")
holds = same.pop("as it is") and not any(same.values()) and all(mended.values())
sys.exit(0 if holds else 1)
PYTHON
