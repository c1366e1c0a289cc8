"""Count the CPU seconds of the whole book, notebook by notebook, from nothing kept; compare with an earlier run.

    python benchmarks/reproduce.py [--revision HEAD] [--profile pocket] [--against EARLIER.json]

A clone of the revision is made in a temporary folder and executed there with this environment, with a cache and a build
folder of its own, so that nothing kept from other runs helps and two revisions can be compared on one machine, in turn.
CPU seconds (user and system, of all processes of a notebook) hold when other work runs beside it; wall seconds do not.
The counts go to `_build/reproduce/REVISION.json`, the result tables to a folder beside it. Installation is not counted.
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
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SITE = "(the site)"


def cpu_seconds() -> float:
    """Of this process and of all that it has started and that have ended."""
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def count(profile: str, output: Path) -> None:
    """Execute a profile's notebooks and build its site, here and with the library that Python finds."""
    from oodlib.book import site
    from oodlib.book.notebooks import execute, runs_of
    from oodlib.experiments.profiles import load_profile

    found: dict[str, dict[str, float]] = {}

    def counted(name: str, work: Callable[[], object]) -> None:
        cpu, wall = cpu_seconds(), time.monotonic()
        work()
        found[name] = {"cpu": round(cpu_seconds() - cpu, 1), "wall": round(time.monotonic() - wall, 1)}
        print(f"{name:24s}{found[name]['cpu']:10.1f} CPU s{found[name]['wall']:10.1f} s", flush=True)
        output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

    for name, own in runs_of(load_profile(profile)):
        shown = name if own.name == profile else f"{name} ({own.name})"
        counted(shown, partial(execute, name, own.name))
    counted(SITE, partial(site.build, profile))


def run(revision: str, profile: str) -> Path:
    """Count a revision in a clone of its own; returns the file with the counts."""
    name = subprocess.check_output(["git", "-C", ROOT, "rev-parse", "--short", revision], text=True).strip()
    output = ROOT / "_build" / "reproduce" / f"{name}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="oodlib-reproduce-") as work:
        clone = Path(work) / "clone"
        subprocess.run(["git", "clone", "--quiet", "--shared", ROOT, clone], check=True)
        subprocess.run(["git", "-C", clone, "checkout", "--quiet", "--detach", name], check=True)
        (clone / "node_modules").symlink_to(ROOT / "node_modules")
        folders = {"OODLIB_HOME": f"{work}/home", "OODLIB_BUILD": f"{work}/build", "OODLIB_PROJECT": str(clone)}
        subprocess.run(
            [sys.executable, __file__, "--profile", profile, "--count-to", output],
            env=os.environ | folders | {"PYTHONPATH": str(clone)},
            cwd=clone,
            check=True,
        )
        kept = output.with_suffix("")  # what the notebooks found, so that two revisions can be compared
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(Path(work) / "build" / profile / "results", kept)
    return output


def compare(new: dict[str, dict[str, float]], old: dict[str, dict[str, float]]) -> None:
    """Print both counts, largest first, and their ratio."""
    print(f"\n{'CPU seconds':24s}{'earlier':>10s}{'now':>10s}{'ratio':>8s}")
    for name in sorted(old.keys() | new.keys(), key=lambda name: -old.get(name, new.get(name))["cpu"]):
        before, after = (counts.get(name, {}).get("cpu") for counts in (old, new))
        ratio = f"{after / before:8.2f}" if before and after is not None else ""
        print(f"{name:24s}{'-' if before is None else before:>10}{'-' if after is None else after:>10}{ratio}")
    before, after = (sum(row["cpu"] for row in counts.values()) for counts in (old, new))
    print(f"{'all':24s}{before:10.1f}{after:10.1f}{after / before:8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--revision", default="HEAD", help="what git calls it; only what is committed is counted")
    parser.add_argument("--profile", default="pocket")
    parser.add_argument("--against", type=Path, help="the counts of an earlier run")
    parser.add_argument("--count-to", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.count_to:
        count(chosen.profile, chosen.count_to)
        return
    output = run(chosen.revision, chosen.profile)
    if chosen.against:
        compare(*(json.loads(path.read_text(encoding="utf-8")) for path in (output, chosen.against)))
    print(f"\ncounts: {output.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
