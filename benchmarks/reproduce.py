"""Count the CPU seconds of the whole book, from nothing kept, and notebook by notebook; compare with an earlier run.

    python benchmarks/reproduce.py [--revision HEAD] [--profile pocket] [--against EARLIER.json]

A clone of the revision is made in a temporary folder, and `oodlib run` and `oodlib book` are called there with this
environment, as `make reproduce` calls them, with a cache and a build folder of its own, so that nothing kept from other
runs helps and two revisions can be compared on one machine, in turn. With `--against` the pages that the earlier book
has come first, by themselves: what several pages need is made for the first of them, and a new page would pay for it.
CPU seconds (user and system, of all processes) hold when other work runs beside it; wall seconds do not. The counts go
to `_build/reproduce/REVISION.json`, the result tables to a folder beside it. Installation is not counted.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
Counts = dict[str, Any]


def run(revision: str, profile: str, first: Sequence[str]) -> Path:
    """Count a revision in a clone of its own, some pages before all others; returns the file with the counts."""
    name = subprocess.check_output(["git", "-C", ROOT, "rev-parse", "--short", revision], text=True).strip()
    output = ROOT / "_build" / "reproduce" / f"{name}.json"
    with tempfile.TemporaryDirectory(prefix="oodlib-reproduce-") as work:
        clone, build = Path(work) / "clone", Path(work) / "build"
        subprocess.run(["git", "clone", "--quiet", "--shared", ROOT, clone], check=True)
        subprocess.run(["git", "-C", clone, "checkout", "--quiet", "--detach", name], check=True)
        (clone / "node_modules").symlink_to(ROOT / "node_modules")
        folders = {"OODLIB_HOME": f"{work}/home", "OODLIB_BUILD": str(build), "OODLIB_PROJECT": str(clone)}
        environment = os.environ | folders | {"PYTHONPATH": str(clone)}
        first = [page for page in first if (clone / "notebooks" / f"{page}.ipynb").is_file()]
        calls = {"the pages of the earlier book": ["run", *first]} if first else {}
        calls |= {"all other pages" if first else "all pages": ["run"], "the site": ["book"]}
        steps = {}
        for step, words in calls.items():
            before, clock = children(), time.monotonic()
            command = [sys.executable, "-c", entry(clone), *words, "--profile", profile]
            subprocess.run(command, env=environment, cwd=clone, check=True)
            steps[step] = {"cpu": round(children() - before, 1), "wall": round(time.monotonic() - clock, 1)}
        kept = output.with_suffix("")  # what the notebooks found, so that two revisions can be compared
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(build / profile / "results", kept)
        records = [json.loads(path.read_text(encoding="utf-8")) for path in (build / profile / "runs").glob("*.json")]
    pages = {record["name"]: record.get("cpu_seconds") for record in records}
    output.write_text(json.dumps({"steps": steps, "pages": pages}, indent=1) + "\n", encoding="utf-8")
    return output


def children() -> float:
    """CPU seconds of the processes that this one has started and that have ended, with theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def entry(clone: Path) -> str:
    """What the command `oodlib` of a checkout is, as Python."""
    scripts = tomllib.loads((clone / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    module, _, function = scripts["oodlib"].partition(":")
    return f"from {module} import {function}; {function}()"


def show(found: Counts, earlier: Counts) -> None:
    """Print the counts by step and by page, largest first; and the ratios, if there is an earlier count."""
    print(f"\n{'CPU seconds':32s}{'earlier':>10s}{'now':>10s}{'ratio':>8s}")
    before, after = (sum(step["cpu"] for step in counts.get("steps", {}).values()) for counts in (earlier, found))
    for name, step in found["steps"].items():
        print(f"{name:32s}{'':>10}{step['cpu']:10.1f}   ({step['wall']:.0f} s)")
    print(line("all", before or None, after))
    if new := found["steps"].get("all other pages"):
        print(line("all but the new pages", before, after - new["cpu"]))
    old = earlier.get("pages", {})
    print("\nof it, where the run records count it")
    for name, cpu in sorted(found["pages"].items(), key=lambda item: -(item[1] or 0)):
        print(line(name, old.get(name), cpu))


def line(name: str, before: float | None, after: float | None) -> str:
    """A row of the table, with a ratio where there are two numbers."""
    cells = "".join(f"{'-' if value is None else round(value, 1):>10}" for value in (before, after))
    return f"{name:32s}{cells}" + (f"{after / before:8.2f}" if before and after else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--revision", default="HEAD", help="what git calls it; only what is committed is counted")
    parser.add_argument("--profile", default="pocket")
    parser.add_argument("--against", type=Path, help="the counts of an earlier run")
    chosen = parser.parse_args()
    earlier = json.loads(chosen.against.read_text(encoding="utf-8")) if chosen.against else {}
    output = run(chosen.revision, chosen.profile, sorted(earlier.get("pages", {})))
    show(json.loads(output.read_text(encoding="utf-8")), earlier)
    print(f"\ncounts: {output.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
