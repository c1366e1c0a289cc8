"""Kernels that are forked from the process that executes several notebooks."""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

from oodlib.book import chapters
from oodlib.book.side_by_side import execute_all
from oodlib.errors import OodlibError
from oodlib.experiments.profiles import load_profile

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux alone")

TELLS = """
import os, sys
print("torch", "torch" in sys.modules, "run", bool(os.environ["OODLIB_RUN"]))
print("here", os.getcwd())
"""
DIES = "import os; os._exit(9)"


@pytest.fixture
def three(project, tmp_path):
    """Write three pages, more than the two processes that execute them; returns what `execute_all` takes."""

    def written(*sources: str) -> list:
        entries = []
        for name, source in zip("abc", sources, strict=True):
            project(source, name=name)
            entries.append({"file": f"notebooks/{name}"})
        toc = {"format": "jb-book", "root": "book/index", "parts": [{"caption": "x", "chapters": entries}]}
        (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
        return chapters.jobs_of([], load_profile("pocket"))

    return written


def test_a_kernel_has_its_libraries_and_an_environment_of_its_own_and_may_die(three, tmp_path):
    with pytest.raises(OodlibError, match=r"notebooks/c.ipynb: its Python process died"):
        list(execute_all(three(TELLS, TELLS, DIES), at_once=2))
    for name in "ab":
        page = json.loads((tmp_path / "_build" / "pocket" / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
        text = "".join("".join(output["text"]) for cell in page["cells"] for output in cell["outputs"][:1])
        assert "torch True run True" in text
        assert f"here {tmp_path}" in text


def test_a_forked_kernel_ends_with_the_process_that_it_was_forked_from(three, tmp_path):
    """One that is killed cannot end what it started."""
    waits = f"""
import os, time
from pathlib import Path
Path({str(tmp_path / "here")!r}).write_text(f"{{os.getppid()}} {{os.getpid()}}")
time.sleep(120)
"""

    def end() -> None:
        while not (tmp_path / "here").exists() or not (tmp_path / "here").read_text():
            time.sleep(0.1)
        os.kill(int((tmp_path / "here").read_text().split()[0]), signal.SIGKILL)

    threading.Thread(target=end, daemon=True).start()
    with pytest.raises(OodlibError, match="ended from outside"):
        list(execute_all(three(waits, "1", "1"), at_once=2))
    kernel = int((tmp_path / "here").read_text().split()[1])
    until = time.monotonic() + 20
    while _runs(kernel) and time.monotonic() < until:
        time.sleep(0.2)
    assert not _runs(kernel)


def _runs(pid: int) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
