#!/usr/bin/env bash
# papermill 2.7.0: what it says of a notebook's parameters is read by a pattern from the text, not from the Python in it.
#
# A cell tagged `parameters` holds valid assignments. `inspect_notebook` (and `papermill --help-notebook`, which shows it)
# should name all of them with their defaults. A text with `#` in it ends at that sign, and the rest becomes the help text;
# one with `=` in it cannot be parsed, a warning says so, and the parameter is missing from the answer.
#
# Why it matters here: runs of an experiment are checked against this answer, so that a mistyped parameter is refused. A
# correct one is then refused as well, or its default is recorded wrong; a prompt or a label may well hold these signs.
# Reading the cell with `ast` has neither fault.
#
# Exit status: 0 while this holds, 1 once it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet papermill==2.7.0
"$work/env/bin/python" - "$work/notebook.ipynb" <<'PYTHON'
import ast
import sys

import nbformat
import papermill

cell = nbformat.v4.new_code_cell('title = "cats # and dogs"\nrule = "score=cosine"\nrate: float = 1e-2  # step size')
cell.metadata["tags"] = ["parameters"]
notebook = nbformat.v4.new_notebook(cells=[cell])
notebook.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
nbformat.write(notebook, sys.argv[1])

seen = {name: about["default"] for name, about in papermill.inspect_notebook(sys.argv[1]).items()}
expected = {
    node.targets[0].id if isinstance(node, ast.Assign) else node.target.id: ast.get_source_segment(cell.source, node.value)
    for node in ast.parse(cell.source).body
}
print(f"papermill {papermill.__version__}")
for name, default in expected.items():
    print(f"  {name}: expected {default}, seen {seen.get(name, 'no such parameter')}")
sys.exit(0 if seen == {"title": '"cats', "rate": "1e-2"} else 1)
PYTHON
