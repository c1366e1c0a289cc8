"""What one decision costs from a cold start: whole processes of the command against a plain open_clip script.

    python benchmarks/cold.py [--rounds 5]

The plain script loads PocketCLIP with open_clip, encodes six names and one picture, and prints the name that fits best.
`oodlib detect` does that with everything kept (features, words, the fitted guard), and with a guard from a file;
`oodlib search` and `oodlib doctor` stand beside them, and `oodlib embed` of many drawings, of which nothing is kept but
the model: its memory is the question. Each is a process of its own, in turn. CPU seconds (user and
system) and the largest resident memory count, medians of the rounds, because wall time depends on what else runs. Those
that name a best label must name the same. The aims: detect at half the script's CPU seconds and 0.6 GB at most, with
--load at a third.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from oodlib.pocket.assemble import assemble

NAMES = ("tiger", "elephant", "octopus", "banana", "pineapple", "watermelon")
SCRIPT = """
import sys, open_clip, torch
from PIL import Image
folder, picture, names = sys.argv[1], sys.argv[2], sys.argv[3:]
model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
model.eval()
tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
with torch.inference_mode():
    text = torch.nn.functional.normalize(model.encode_text(tokenizer([f"a drawing of a {n}" for n in names])), dim=-1)
    image = torch.nn.functional.normalize(model.encode_image(preprocess(Image.open(picture)).unsqueeze(0)), dim=-1)
    shares = (100 * image @ text.T).softmax(-1)
print(names[int(shares.argmax())], float(shares.max()))
"""
TIGER = """
from oodlib.datasets import emojishift
every = emojishift.load()
print(every.select((every.table["hand"] == "noto-v1") & (every.table["label"] == "tiger")).paths()[0])
"""
PLAIN, KEPT, LOAD = "plain open_clip script", "oodlib detect (everything kept)", "oodlib detect --load"
SEARCH, DOCTOR = "oodlib search (kept)", "oodlib doctor"
EMBED, MANY = "oodlib embed (nothing kept)", 300


def measured(arguments: list[str], home: Path | None = None) -> tuple[float, float, str]:
    """CPU seconds, MB of the largest resident memory and the output of one process; with a cache of its own or not."""
    environment = os.environ | ({"OODLIB_HOME": str(home)} if home else {})
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen([sys.executable, *arguments], stdout=out, stderr=subprocess.DEVNULL, env=environment)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        memory = used.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
        return used.ru_utime + used.ru_stime, memory, out.read()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    # In a process of its own: a child's memory counts what its parent holds, and tables hold 100 MB.
    picture = measured(["-c", TIGER])[2].strip()
    with tempfile.TemporaryDirectory() as folder:
        many, home = Path(folder) / "drawings", Path(folder) / "home"
        many.mkdir()
        for drawing in sorted(Path(picture).parent.iterdir())[:MANY]:
            shutil.copy(drawing, many)
        guard = str(Path(folder) / "guard.safetensors")
        command = ["-m", "oodlib.cli"]
        detect = [*command, "detect", picture, "--format", "csv"]
        contenders = {
            PLAIN: ["-c", SCRIPT, str(assemble()), picture, *NAMES],
            KEPT: [*detect, "--labels", *NAMES],
            LOAD: [*detect, "--load", guard],
            SEARCH: [*command, "search", "a tiger", picture],
            DOCTOR: [*command, "doctor"],
            EMBED: [*command, "embed", str(many), "--output", str(Path(folder) / "features.parquet")],
        }
        measured([*contenders[KEPT], "--save", guard])
        for name, arguments in contenders.items():  # what is kept is there, and every file has been read once
            measured(arguments, home if name == EMBED else None)
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        megabytes: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, arguments in contenders.items():
                if name == EMBED:
                    shutil.rmtree(home / "embeddings", ignore_errors=True)
                took, memory, said = measured(arguments, home if name == EMBED else None)
                seconds[name].append(took)
                megabytes[name].append(memory)
                if name in (PLAIN, KEPT, LOAD):
                    best = said.split()[0] if name == PLAIN else said.splitlines()[1].split(",")[4]
                    assert best == "tiger", f"{name} says {best}"
    median = {name: statistics.median(took) for name, took in seconds.items()}
    print(f"one picture, six names, whole processes, median of {rounds}; the best label is the same\n")
    print(f"{'':34s}{'CPU s':>8s}{'MB':>8s}{'of the script':>16s}")
    for name, took in median.items():
        print(f"{name:34s}{took:8.2f}{statistics.median(megabytes[name]):8.0f}{took / median[PLAIN]:16.2f}")


if __name__ == "__main__":
    main()
