"""The detector in the page, in Chromium, against the library: the same features and decisions, and what they cost.

    python benchmarks/browser.py [--drawings 300] [--decisions 500] [--rounds 3] [--json FILE]

The folder that the book makes is served from this machine, without a page around it: Chromium opens `engine.js`, is
given the book's names, and decides on drawings and photographs that it decodes itself. Beside it stands the library:
`LightEncoder` for features, `Guard` for decisions at the same cut (half the odds, which both state), `oodlib detect` as
a process of its own with everything kept for CPU seconds. Those of the page are of Chromium's process for the tab, from
the click to the first decision; scripts have come with the page, and the tab, once opened, is left until it is at rest,
because a reader clicks later. What the page draws around a decision is not in them. The figures, and what they must be,
stand in `MUST`; one that is missed is marked. Run it on a quiet machine.
"""

import argparse
import base64
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from sklearn.datasets import load_sample_images

from oodlib.datasets import emojishift
from oodlib.datasets.images import read_image
from oodlib.evaluation import ood_metrics
from oodlib.experiments import Experiment, profiles
from oodlib.guard.guard import Guard
from oodlib.pocket.light import LightEncoder
from oodlib.report.try_it import LABELS, contents, page_concepts, page_detectors
from oodlib.report.try_it_files import write_try_it

ROOT = Path(__file__).parents[1]
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MUST = {  # figure: (least or most, what it must be)
    "smallest cosine, drawings": (min, 0.9995),
    "smallest cosine, photographs": (min, 0.9995),
    "decisions that are equal": (min, 0.99),
    "largest difference of AUROC, points": (max, 0.2),
    "seconds from click to decision": (max, 4.0),
    "CPU of the page over that of detect": (max, 0.5),
    "pictures a second": (min, 15.0),
    "MB after the click": (max, 24.0),
}
SCRIPT = """
const scripts = import("./engine.js");
window.start = async () => {
  const { open } = await scripts;
  window.engine = await open({ base: new URL(".", location).href, onProgress() {} });
  await engine.setNames(engine.defaults.names);
};
window.decide = async (content) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes]), { colorSpaceConversion: "none" });
  const { features } = await engine.decide(bitmap);
  return { features: [...features], score: engine.read(features, "ole").score };
};
window.many = async (contents) => {
  const began = performance.now();
  for (const content of contents) await decide(content);
  return contents.length / ((performance.now() - began) / 1e3);
};
"""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder on a port of this machine."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()


def opened(browser, address: str, own: int) -> Page:
    """A fresh tab at rest, of which nothing is kept, before the click."""
    tab = browser.new_context().new_page()
    tab.goto(f"{address}benchmark.html")
    tab.evaluate("() => scripts.then(() => null)")
    used = -1.0
    while used < (used := cpu_of_tabs(own)):
        time.sleep(0.5)
    return tab


def cpu_of_tabs(parent: int) -> float:
    """CPU seconds of the renderers under a process: user and system, by Linux's own count."""
    total = 0.0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_text()
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if "--type=renderer" in command and parent in _line(int(process.name)):
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def _line(process: int) -> set[int]:
    """The process and those above it."""
    found = set()
    while process > 1:
        found.add(process)
        try:
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
    return found


def encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def features_of(tab: Page, paths: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """What the page makes of files: features (n, D) and OLE's scores (n,)."""
    found = [tab.evaluate("content => decide(content)", encoded(path)) for path in paths]
    return np.array([one["features"] for one in found]), np.array([one["score"] for one in found])


def compare(tab: Page, lab: Experiment, drawings: int, decisions: int, folder: Path) -> dict[str, float]:
    """Features, decisions and AUROC, page against library."""
    encoder, found = LightEncoder(), {}
    every = emojishift.benchmark_pictures(emojishift.load()).paths()
    chosen = [every[k] for k in np.linspace(0, len(every) - 1, max(drawings, decisions)).astype(int)]
    of_page, scores = features_of(tab, chosen)
    of_library = encoder.encode_images([read_image(path) for path in chosen])
    found["smallest cosine, drawings"] = float((of_page * of_library)[:drawings].sum(1).min())
    photographs = []
    for place, pixels in enumerate(load_sample_images().images):
        photographs.append(folder / f"photograph-{place}.png")
        Image.fromarray(pixels).save(photographs[-1])
    expected = encoder.encode_images([read_image(path) for path in photographs])
    found["smallest cosine, photographs"] = float((features_of(tab, photographs)[0] * expected).sum(1).min())
    guard = Guard.make(list(lab.benchmarks[lab.main].names), encoder, "ole")
    decided = guard.detector.score_samples(of_library) >= guard.detector.threshold_
    found["decisions that are equal"] = float(((scores >= guard.detector.threshold_) == decided)[:decisions].mean())
    known = contents(lab)
    kinds = np.array(known.kinds)
    differences = []
    for key in LABELS:
        detector = page_detectors(known.names, known.names)[key].fit(page_concepts(known, known.names)[key])
        library = detector.score_samples(known.pictures)
        page = tab.evaluate("key => { const { id, far } = engine.reference(key); return [[...id], [...far]]; }", key)
        ours = ood_metrics(library[kinds == "in"], library[kinds == "far"])["auroc"]
        differences.append(abs(100 * (ood_metrics(*map(np.array, page))["auroc"] - ours)))
    return found | {"largest difference of AUROC, points": max(differences)}


def detect_alone(picture: Path, names: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of the command's process, with everything kept."""
    command = [sys.executable, "-m", "oodlib.cli", "detect", str(picture), "--format", "csv", "--labels", *names]
    subprocess.run(command, check=True, capture_output=True)
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime, time.perf_counter() - began


def costs(browser, address: str, rounds: int, lab: Experiment, own: int) -> dict[str, float]:
    """Seconds, CPU seconds and pictures a second; medians."""
    paths = lab.sets[lab.main][lab.main].paths()
    picture = encoded(paths[0])
    waited, used, rates = [], [], []
    for _ in range(rounds):
        tab = opened(browser, address, own)
        before, began = cpu_of_tabs(own), time.perf_counter()
        tab.evaluate("content => start().then(() => decide(content))", picture)
        waited.append(time.perf_counter() - began)
        used.append(cpu_of_tabs(own) - before)
        rates.append(tab.evaluate("contents => many(contents)", [encoded(path) for path in paths[:40]]))
        tab.context.close()
    names = list(lab.benchmarks[lab.main].names)
    alone = [detect_alone(paths[0], names) for _ in range(rounds)]
    encoder = LightEncoder()
    began = time.perf_counter()
    for path in paths[:40]:
        encoder.encode_images([read_image(path)])
    print(f"library: {40 / (time.perf_counter() - began):.1f} pictures/s on one thread; detect {alone} (CPU s, s)")
    print(f"page: CPU s from click to decision {np.round(used, 2).tolist()}")
    return {
        "seconds from click to decision": float(np.median(waited)),
        "CPU of the page over that of detect": float(np.median(used) / np.median([cpu for cpu, _ in alone])),
        "pictures a second": float(np.median(rates)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drawings", type=int, default=300)
    parser.add_argument("--decisions", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file for the figures")
    chosen = parser.parse_args()
    lab = Experiment.of(profiles.load_profile("pocket"))
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        site = Path(made) / "site"
        site.mkdir()
        for script in (ROOT / "book" / "_static" / "tryit").glob("*.js"):
            (site / script.name).write_bytes(script.read_bytes())
        (site / "benchmark.html").write_text(f"<!doctype html><meta charset=utf-8><script>{SCRIPT}</script>")
        manifest = write_try_it(site, lab, ROOT / "node_modules")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        with served(site) as address:
            found = costs(browser, address, chosen.rounds, lab, os.getpid())
            tab = opened(browser, address, os.getpid())
            tab.evaluate("() => start()")
            found |= compare(tab, lab, chosen.drawings, chosen.decisions, Path(made))
        browser.close()
    found["MB after the click"] = manifest["bytes"] / 1e6
    print(f"\n{'':40s}{'found':>12s}{'must be':>16s}")
    for name, (side, bound) in MUST.items():
        met = side(found[name], bound) == bound
        said = f"{'at least' if side is min else 'at most'} {bound:g}"
        print(f"{name:40s}{found[name]:12.5f}{said:>16s}{'' if met else '   missed'}")
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
