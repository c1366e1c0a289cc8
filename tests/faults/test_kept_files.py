"""A changed bit anywhere in the cache folder: the same decisions, and a note where something is made again."""

import json
import random
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from oodlib.cli.main import app

FLIPS = 4  # in every kind of file
KINDS = {
    "the model": "models/*/*",
    "a guard": "guards/*.safetensors",
    "texts": "texts/*/*.safetensors",
    "a shard": "embeddings/*/*.safetensors",
    "an index": "embeddings/*/index.json",
}


@pytest.fixture(scope="module")
def album(drawings, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("album")
    for name in ("banana", "tiger", "rocket"):
        shutil.copy(drawings[name], folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def home(album, tmp_path_factory):
    """A cache folder in which everything is kept that this command needs."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OODLIB_HOME", str(folder))
        detect(album)
        yield folder


def detect(album: Path) -> tuple[str, str]:
    """What the command says, and its notes; guards and texts are asked for as well as pictures."""
    words = ["detect", str(album), "--labels", "banana", "tiger", "--outliers", "hammer", "bicycle"]
    done = CliRunner().invoke(app, [*words, "--format", "csv"])
    assert done.exit_code == 3, done.output  # the rocket is none of the two
    return done.stdout, done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_a_bit_of_a_kept_file_changes_no_decision(kind, home, album):
    expected, said = detect(album)
    assert "made again" not in said
    draw = random.Random(kind)
    files = sorted(path for path in home.glob(KINDS[kind]) if path.is_file())
    assert files
    for _ in range(FLIPS):
        if kind == "texts":  # else the guard, which is kept, would be read in their place
            shutil.rmtree(home / "guards")
        path = draw.choice(files)
        content, place = bytearray(path.read_bytes()), draw.randrange(8 * path.stat().st_size)
        content[place // 8] ^= 1 << place % 8
        path.write_bytes(content)
        found, said = detect(album)
        assert found == expected
        # An index says nothing that is believed, and a bit of a header's spaces changes nothing.
        assert "note: " in said or kind == "an index" or path.read_bytes() == content
    assert "made again" not in detect(album)[1]


def test_two_words_with_each_others_numbers_change_neither_decisions_nor_what_is_kept(home, album):
    expected, _ = detect(album)
    (file,) = home.glob("models/*/tokenizer.json")
    content = json.loads(file.read_text())
    numbers = content["model"]["vocab"]
    numbers["banana"], numbers["hammer"] = numbers["hammer"], numbers["banana"]
    file.write_text(json.dumps(content))
    shutil.rmtree(home / "guards")
    shutil.rmtree(home / "texts")
    found, said = detect(album)
    assert found == expected
    assert "tokenizer.json does not hold what it should" in said
    found, said = detect(album)
    assert found == expected
    assert "made again" not in said
