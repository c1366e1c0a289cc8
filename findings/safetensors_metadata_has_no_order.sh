#!/usr/bin/env bash
# safetensors 0.8.0: the same tensors with the same two or more metadata entries give another file in every process.
#
# `save` is called with one small array and six metadata entries, in eight processes. A format made for storing weights,
# whose header the documentation describes byte by byte, is expected to give one file, as it does with one entry. Seen:
# the entries of `__metadata__` come in an order that changes from process to process, so the SHA-256 differs although
# every tensor and every entry is equal.
#
# Why it matters here: kept features and guards are compared by hash, "the same run gives the same bytes" is a promise of
# the store, and model hubs name a weight file by its SHA-256. Everything that is said about the tensors has to go into
# one entry, as JSON with sorted keys.
#
# Exit status: 0 while this holds, 1 once it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet safetensors==0.8.0 numpy==2.4.6
cat >"$work/write.py" <<'PYTHON'
import hashlib
import sys

import numpy as np
from safetensors.numpy import save

entries = {name: name.upper() for name in ("encoder", "labels", "method", "threshold", "templates", "notes")}
few = dict(list(entries.items())[: int(sys.argv[1])])
print(hashlib.sha256(save({"features": np.arange(6, dtype=np.float32)}, metadata=few)).hexdigest())
PYTHON
count() {
  for _ in 1 2 3 4 5 6 7 8; do "$work/env/bin/python" "$work/write.py" "$1"; done | sort -u | wc -l
}
one=$(count 1)
six=$(count 6)
echo "safetensors $("$work/env/bin/python" -c 'import safetensors; print(safetensors.__version__)'):" \
  "of 8 files, $one different with one metadata entry, $six different with six"
if [ "$one" -ne 1 ] || [ "$six" -lt 2 ]; then
  echo "this no longer holds: equal contents are written as equal bytes" >&2
  exit 1
fi
