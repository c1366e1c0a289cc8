#!/usr/bin/env bash
# nbgrader 0.9.6: a test that passes earns no points if anything was printed on standard error while it ran.
#
# An autograded test cell has no error, so its two points should be given. `determine_grade` gives 0 of 2 as soon as the
# cell has a stream output named stderr, whatever it says: warnings go there. The same text on standard output costs nothing.
#
# Why it matters here: scores of detectors divide and take logarithms, and NumPy, torch and scikit-learn warn on standard
# error about what is legal, such as the logarithm of 0 that a score of minus infinity is. A right answer gets no point, and
# the message that explains it is in the cell's output, not beside the grade. Test cells have to silence warnings themselves.
#
# Exit status: 0 while this holds, 1 once it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet nbgrader==0.9.6
"$work/env/bin/python" - <<'PYTHON'
import sys

import nbgrader
from nbformat.v4 import new_code_cell, new_output
from nbgrader.utils import compute_checksum, determine_grade


def points(*outputs):
    """Of a test cell worth two points that ran without an error and left these outputs."""
    cell = new_code_cell("assert score([0.0, 0.5]) == expected")
    cell.metadata["nbgrader"] = {
        "cell_type": "code",
        "grade": True,
        "grade_id": "score",
        "locked": True,
        "points": 2,
        "schema_version": 3,
        "solution": False,
    }
    cell.metadata["nbgrader"]["checksum"] = compute_checksum(cell)
    cell.outputs = list(outputs)
    return determine_grade(cell)[0]


text = "RuntimeWarning: divide by zero encountered in log\n"
seen = {name: points(new_output("stream", name=name, text=text)) for name in ("stdout", "stderr")}
print(f"nbgrader {nbgrader.__version__}: points of a passed test that are worth 2")
print(f"  silent              {points():.0f}")
for name, found in seen.items():
    print(f"  text on {name}      expected 2, seen {found:.0f}")
sys.exit(0 if (points(), seen["stdout"], seen["stderr"]) == (2, 2, 0) else 1)
PYTHON
