"""A notebook in a kernel of its own: what the kernel sees, a failing cell in one sentence, and a tidy result."""

from __future__ import annotations

import contextlib
import json
import logging
import multiprocessing
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from oodlib.errors import OodlibError
from oodlib.experiments.profiles import project_root

# Threads that wait awake burn CPU: torch's sleep, and NumPy's, which cannot, are not started. k-means over 1,000 words
# takes a tenth of the CPU seconds and a fifth of the time.
THREADS = {"OMP_WAIT_POLICY": "passive", "OPENBLAS_NUM_THREADS": "1"}


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the kernel that is started meanwhile, then put them back."""
    before = {name: os.environ[name] for name in variables if name in os.environ}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            os.environ.pop(name, None)
        os.environ.update(before)


def run_papermill(source: Path, output: Path, parameters: dict[str, Any], log: Path) -> dict[str, Any]:
    """Execute from the stripped source to a fresh path; a failing cell becomes one sentence, its traceback a log."""
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError
    from papermill.translators import PythonTranslator, papermill_translators

    class Python(PythonTranslator):  # type: ignore[misc]  # papermill has no types
        """Values as Python writes them; papermill's own would hand a notebook a tuple as text."""

        @classmethod
        def translate(cls, val: Any) -> str:
            return str(super().translate(val)) if isinstance(val, str) else repr(val)

    papermill_translators.register("python", Python)
    # It warns of parameters that its pattern does not find; their names have been checked.
    logging.getLogger("papermill").setLevel(logging.ERROR)
    log.unlink(missing_ok=True)
    try:
        papermill.execute_notebook(
            str(source),
            str(output),
            parameters=parameters,
            kernel_name="python3",
            cwd=str(project_root()),
            # One at a time can be shown.
            progress_bar=sys.stderr.isatty() and multiprocessing.parent_process() is None,
            # Else all pictures so far are written twice a cell, to a folder that nobody reads before the end.
            request_save_on_cell_execute=False,
            autosave_cell_every=0,
            extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
        )
    except PapermillExecutionError as error:
        log.parent.mkdir(parents=True, exist_ok=True)
        plain = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))  # without colours
        log.write_text(plain + "\n", encoding="utf-8")
        reason = f"{error.ename}: {error.evalue}".strip().splitlines()[0]
        raise OodlibError(
            f"notebooks/{source.name} failed in code cell {error.exec_count}: {reason} (the full traceback is in {log})"
        ) from error
    except DeadKernelError as error:
        raise OodlibError(
            f"notebooks/{source.name}: its Python process died, as it does when memory runs out: close other programs "
            "and try again"
        ) from error
    executed: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
    return executed


def move_warnings(notebook: dict[str, Any], log: Path) -> None:
    """Take what was written to standard error off the page and into the log: it names folders of this machine."""
    written = []
    for cell in notebook["cells"]:
        outputs = cell.get("outputs", [])
        written += ["".join(output["text"]) for output in outputs if output.get("name") == "stderr"]
        if outputs:
            cell["outputs"] = [output for output in outputs if output.get("name") != "stderr"]
    if written:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("".join(written), encoding="utf-8")


def tidy(notebook: dict[str, Any]) -> dict[str, Any]:
    """Take out what differs between two equal runs: papermill's clock and paths, and the injected cell's random id."""
    notebook["metadata"].pop("papermill", None)
    for cell in notebook["cells"]:
        for volatile in ("papermill", "execution"):
            cell["metadata"].pop(volatile, None)
        tags = cell["metadata"].get("tags", [])
        if "injected-parameters" in tags:
            cell["id"] = "injected-parameters"
            cell["metadata"]["tags"] = [*tags, "hide-input"]
    return notebook
