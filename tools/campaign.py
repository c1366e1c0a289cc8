"""Do to a cache what a hostile machine does, again and again, and count what became of it: `python tools/campaign.py`.

Bits flip in every kind of file that is kept, files are cut off, emptied or replaced by folders, processes are killed,
disks are full, and two processes work on one cache. After each, the same work is asked for again and its output
compared with that of an untouched cache:

survived  the same output
repaired  the same output, and a note says that something was made again
refused   an error in one sentence that names the file
lost      an error of any other kind, or another output that a note explains
silent    another output and no word: the one thing that must never happen

Everything happens in a temporary folder with the small model, without a network; equal seeds do the same things in the
same order. Exit code 1 if anything was lost or silent.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from PIL import Image
from typer.testing import CliRunner

from oodlib.cli.main import app
from oodlib.datasets import emojishift
from oodlib.datasets.hashes import hashes_of
from oodlib.embeddings.texts import embed_texts
from oodlib.errors import OodlibError
from oodlib.evaluation.results import COLUMNS, read_results, write_results
from oodlib.pocket.assemble import MODEL, assemble
from oodlib.pocket.light import LightEncoder

OUTCOMES = ("survived", "repaired", "refused", "lost", "silent")
DAMAGES = ("cut", "empty", "folder")  # besides flipped bits
PROCESSES = ("killed", "full disk", "two at once")
PICTURES = 12
LABELS = ("--labels", "banana", "tiger", "fire engine")
WORDS = ["glasses", "bicycle", "rocket", "hammer", "teapot"]
PROGRAM = "from oodlib.cli.main import app; app()"
LIMITED = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({{0}}, {{0}})); {PROGRAM}"


@dataclass(frozen=True)
class Said:
    """What came of some work: its output or an error, and notes on the way; `expected` errors are meant to be read."""

    output: str = ""
    notes: frozenset[str] = frozenset()
    error: str = ""
    expected: bool = True


@dataclass(frozen=True)
class Kind:
    """A kind of kept file: where it lies, the work that reads it, and what must be gone so that it is read."""

    name: str
    files: str
    work: Callable[[], Said]
    without: tuple[str, ...] = ()


class Campaign:
    """An empty folder that becomes a cache and a person's files, the work on them, and what has become of it so far."""

    def __init__(self, folder: Path, seed: int):
        self.random = random.Random(seed)
        self.counts: dict[str, Counter[str]] = {}
        self.bad: list[str] = []
        self.live, self.whole = folder / "live", folder / "whole"
        self.album, self.guard = self.live / "album", self.live / "mine.safetensors"
        drawn = emojishift.folder()  # of the usual cache: drawing takes minutes
        os.environ["OODLIB_HOME"] = str(self.live / "home")
        self.album.mkdir(parents=True)
        numbers = np.random.default_rng(0)  # pictures that differ, the same on every machine
        for k in range(PICTURES):
            picture = Image.fromarray(numbers.integers(0, 256, (6, 6, 3), np.uint8))
            picture.resize((96, 96)).save(self.album / f"{k}.png")
        assemble()
        self.kinds = self._kinds(drawn)
        _cli("detect", *LABELS, "--save", self.guard)
        one = dict.fromkeys(COLUMNS, "one") | {"transductive": False, "low": 0.0, "high": 1.0, "n_id": 9, "n_ood": 9}
        rows = [one | {"seed": k, "value": k / 7} for k in range(40)]
        write_results(pd.DataFrame(rows), self.live / "results")
        for kind in self.kinds:
            kind.work()
        shutil.copytree(self.live, self.whole)
        self.clean: dict[str, Said] = {}
        for kind in self.kinds:
            self._drop(kind.without)
            self.clean[kind.name] = said = kind.work()
            self.restore()
            if said.error:
                raise SystemExit(f"the work on {kind.name} fails on an untouched cache: {said.error}")

    def _kinds(self, drawn: Path) -> list[Kind]:
        words = [self.album, "--format", "json"]
        names = [path.name for path in sorted(self.album.iterdir())]

        def search() -> Said:
            return _cli("search", "a red banana", *words, "--top", PICTURES)

        kinds = [
            Kind("image shards", "home/embeddings/*/shard-*", search),
            Kind("indexes of shards", "home/embeddings/*/index.json", search),
            Kind(
                "texts",
                "home/texts/*/*.safetensors",
                lambda: _call(lambda: embed_texts(LightEncoder(), WORDS).tobytes().hex()),
            ),
            Kind("kept guards", "home/guards/*.safetensors", self.detect),
            Kind("saved guards", self.guard.name, lambda: _cli("detect", *words, "--load", self.guard)),
            Kind("model, weights", f"home/models/*/{MODEL}", search, ("embeddings",)),
            Kind("model, other files", "home/models/*/*.[jt]*", self.detect, ("guards",)),
            Kind("results", "results/*.parquet", lambda: _call(lambda: read_results(self.live / "results").to_csv())),
            Kind("hashes of files", "home/hashes/*", lambda: _call(lambda: str(hashes_of("a", self.album, names)))),
        ]
        if (drawn / "manifest.csv").is_file():
            tables = self.live.parent / "tables"
            for file in filter(Path.is_file, drawn.iterdir()):
                _copy(file, tables / file.name)
            _copy(tables, emojishift.folder())

            def draw(place: Path) -> None:
                shutil.copytree(tables, place, dirs_exist_ok=True)

            def manifest() -> str:
                with mock.patch.object(emojishift, "_draw_all", draw):  # takes minutes
                    return emojishift.load().table.to_csv()

            kinds.append(Kind("manifests", f"home/datasets/{drawn.name}/*.*", lambda: _call(manifest)))
        return kinds

    def detect(self) -> Said:
        """The work that most of the kinds, and all processes, are about."""
        return _cli("detect", self.album, *LABELS, "--format", "json")

    def damage(self, way: str) -> None:
        """Damage one file, do the work that reads it, and bring everything back."""
        kind = self.random.choice(self.kinds)
        path = self.random.choice(sorted(self.live.glob(kind.files)))
        how = f"{way} {path.relative_to(self.live)}"
        if way == "flip":
            place = self.random.randrange(8 * path.stat().st_size)
            how += f" bit {place}"
            content = bytearray(path.read_bytes())
            content[place // 8] ^= 1 << place % 8
            path.write_bytes(content)
        elif way == "folder":
            path.unlink()
            path.mkdir()
        else:
            os.truncate(path, self.random.randrange(path.stat().st_size) if way == "cut" else 0)
        self._drop(kind.without)
        self._count(kind.name, how, path, kind.work(), self.clean[kind.name])
        self.restore()

    def process(self, way: str) -> None:
        """Kill a process, or let it find a full disk, or start two at once, on a cache without features or guards."""
        self._drop(("embeddings", "guards"))
        words = ["detect", str(self.album), *LABELS, "--format", "json"]
        where, clean = self.live / "home", self.clean["kept guards"]
        if way == "killed":
            wait = self.random.uniform(0.5, 8)
            started = _start(PROGRAM, words)
            with contextlib.suppress(subprocess.TimeoutExpired):
                started.wait(wait)
            started.kill()
            started.communicate()
            self._count(way, f"killed after {wait:.2f} s", where, self.detect(), clean)
        elif way == "full disk":
            limit = self.random.randrange(20_000)
            said = _ended(_start(LIMITED.format(limit), words))
            self._count(way, f"files of {limit} bytes at most", where, said, clean)
            self._count(f"{way}, then space", f"after {limit} bytes", where, self.detect(), clean)
        else:
            for started in [_start(PROGRAM, words) for _ in range(2)]:
                self._count(way, way, where, _ended(started), clean)
        self.restore()

    def restore(self) -> None:
        """Everything as it was before the damage."""
        for name in (*(f"home/{part.name}" for part in (self.whole / "home").iterdir()), "results", self.guard.name):
            _copy(self.whole / name, self.live / name)

    def _drop(self, names: tuple[str, ...]) -> None:
        for name in names:
            shutil.rmtree(self.live / "home" / name)

    def _count(self, kind: str, how: str, path: Path, said: Said, clean: Said) -> None:
        outcome = _outcome(said, clean, path)
        self.counts.setdefault(kind, Counter())[outcome] += 1
        if outcome in ("lost", "silent"):
            self.bad.append(f"{outcome}: {how}: {said.error or 'another output'}")

    def table(self) -> str:
        """The counts, a line for each kind, and a line for each thing that was lost or silent."""
        lines = [f"{'':22}" + "".join(f"{outcome:>10}" for outcome in OUTCOMES)]
        total: Counter[str] = sum(self.counts.values(), Counter())
        for kind, counts in [*sorted(self.counts.items()), ("all", total)]:
            lines.append(f"{kind:22}" + "".join(f"{counts[outcome]:10}" for outcome in OUTCOMES))
        return "\n".join([*lines, "", *self.bad])


def _outcome(said: Said, clean: Said, path: Path) -> str:
    if said.error:
        named = path.name in said.error or path.parent.name in said.error
        return "refused" if said.expected and named else "lost"
    news = said.notes - clean.notes
    if said.output != clean.output:
        return "lost" if news else "silent"
    return "repaired" if news else "survived"


def _cli(*words: object) -> Said:
    """The command in this process."""
    done = CliRunner().invoke(app, list(map(str, words)))
    expected = isinstance(done.exception, SystemExit | None)
    return _said(done.exit_code if expected else 1, done.stdout, done.stderr, repr(done.exception))


def _start(program: str, words: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _ended(started: subprocess.Popen[str]) -> Said:
    output, errors = started.communicate()
    return _said(started.returncode, output, errors, errors.strip().rpartition("\n")[2])


def _said(code: int, output: str, errors: str, otherwise: str) -> Said:
    lines = errors.splitlines()
    notes = frozenset(line for line in lines if line.startswith("note: "))
    told = next((line for line in lines if line.startswith("error: ")), "")
    if code in (0, 3):
        return Said(output, notes)
    return Said("", notes, told or otherwise, bool(told))


def _call(work: Callable[[], str]) -> Said:
    """Work of the library; what it warns of are the notes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            output = work()
        except OodlibError as error:
            return Said(error=str(error))
        except Exception as error:  # what kind it is, is what is to be found out
            return Said(error=repr(error), expected=False)
    return Said(output, frozenset(str(one.message) for one in caught))


def _copy(source: Path, target: Path) -> None:
    """A file or folder in the place of whatever there is."""
    if target.is_dir():
        shutil.rmtree(target)
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def main(words: list[str] | None = None) -> int:
    """Go on for as long as the command line says, print the table, and give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5, help="how long to go on; by default %(default)s")
    parser.add_argument("--flips", type=int, help="instead flip exactly so many bits, and do nothing else")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random; by default %(default)s")
    chosen = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(Path(folder), chosen.seed)
        end = time.monotonic() + 60 * chosen.minutes
        with contextlib.suppress(KeyboardInterrupt):  # what was counted until then is told
            for _ in range(chosen.flips or 0):
                campaign.damage("flip")
            while chosen.flips is None and time.monotonic() < end:
                way = campaign.random.choice(["flip"] * 12 + [*DAMAGES, *PROCESSES])
                (campaign.process if way in PROCESSES else campaign.damage)(way)
        print(campaign.table())
    return 1 if campaign.bad else 0


if __name__ == "__main__":
    sys.exit(main())
