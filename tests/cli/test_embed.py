"""`oodlib embed` on a folder; on profiles it is in test_cli.py, on a cluster in test_ray_engine.py."""

import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from oodlib.cli.main import app
from oodlib.pocket.light import LightEncoder


@pytest.fixture
def album(tmp_path, monkeypatch):
    monkeypatch.setenv("OODLIB_HOME", str(tmp_path / "home"))
    from oodlib.pocket.assemble import assemble

    folder = tmp_path / "album"
    folder.mkdir()
    for k in range(5):
        Image.new("RGB", (40, 30), (50 * k, 90, 20)).save(folder / f"{k}.jpg")
    return folder, f"local-dir:{assemble()}"


def oodlib(*words):
    return CliRunner().invoke(app, [*map(str, words)])


def test_a_folder_is_embedded_once_and_written_to_a_table(album, tmp_path):
    folder, encoder = album
    target = tmp_path / "made" / "mine.parquet"
    first = oodlib("embed", folder, "--encoder", encoder, "--output", target)
    assert first.exit_code == 0, first.output
    assert "pictures: 5 pictures, 0 of them kept already, in" in first.output
    assert "pictures/s" in first.output
    again = oodlib("embed", folder, "--encoder", encoder)
    assert "5 of them kept already" in again.output
    assert "pictures/s" not in again.output
    assert "0 of them kept already" in oodlib("embed", folder, "--encoder", encoder, "--decode", "scaled").output
    table = pq.read_table(target)
    assert table["id"].to_pylist() == [f"{k}.jpg" for k in range(5)]
    lengths = np.linalg.norm(np.array(table["features"].to_pylist()), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)


def test_what_embed_keeps_is_what_detect_reads(album, monkeypatch):
    folder, _ = album
    said = oodlib("embed", folder, "--output", folder.parent / "mine.parquet")
    assert said.exit_code == 0, said.output
    monkeypatch.setattr(LightEncoder, "encode_images", None)
    found = oodlib("detect", folder, "--labels", "banana", "tiger", "--method", "mcm", "--threshold", "0.2")
    assert found.exit_code in (0, 3), found.output


def test_what_cannot_be_read_is_told_and_the_rest_is_embedded(album):
    folder, encoder = album
    (folder / "2.jpg").write_bytes(b"\xff\xd8 no picture")
    said = oodlib("embed", folder, "--encoder", encoder)
    assert said.exit_code == 4
    assert "4 pictures, " in said.output
    assert "2.jpg cannot be read as a picture" in said.output


def test_a_precision_that_this_processor_lacks_works_and_is_said_to_be_slow(album, monkeypatch):
    folder, encoder = album
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True}, raising=False)
    said = oodlib("embed", folder, "--encoder", encoder, "--precision", "bf16")
    assert said.exit_code == 0, said.output
    assert "no arithmetic for bfloat16" in " ".join(said.output.split())
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    assert "no arithmetic" not in oodlib("embed", folder, "--encoder", encoder, "--precision", "bf16").output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--engine", "spark"], "choose local or ray"),
        (["--address", "auto"], "add --engine ray"),
        (["--decode", "half"], "choose full or scaled"),
        (["--output", "x.csv"], "not named .parquet"),
        (["--encoder", "ViT-B-32"], "a profile has its own encoder"),
        (["nowhere", "--profile", "pocket"], "not both"),
        (["nowhere"], "nowhere is no folder"),
    ],
)
def test_mistakes_are_one_sentence(words, sentence):
    said = oodlib("embed", *words)
    assert said.exit_code == 1
    assert sentence in said.output


def test_names_that_steer_terminals_or_are_not_utf_8_are_written_as_codes(album, tmp_path):
    folder, encoder = album
    for name in (b"caf\xe9.jpg", b"-n\n\t\x1b[31m.jpg"):
        shutil.copy(folder / "1.jpg", os.fsdecode(os.fsencode(folder) + b"/" + name))
    Path(os.fsdecode(os.fsencode(folder) + b"/bad\xe9\x1b[2J.jpg")).write_bytes(b"no picture")
    said = oodlib("embed", folder, "--encoder", encoder, "--output", tmp_path / "mine.parquet")
    assert said.exit_code == 4, said.output
    assert "\x1b" not in said.output
    assert "note: bad\\udce9\\x1b[2J.jpg cannot be read" in said.output
    ids = pq.read_table(tmp_path / "mine.parquet")["id"].to_pylist()
    assert {"caf\\udce9.jpg", "-n\n\t\x1b[31m.jpg"} < set(ids)


def test_a_table_that_cannot_be_written_is_refused_before_the_work(album, monkeypatch):
    monkeypatch.setattr("oodlib.cli.embed._work", lambda *_: pytest.fail("has begun"))
    (album[0] / "x.parquet").mkdir()
    assert "it is a folder" in oodlib("embed", album[0], "--output", album[0] / "x.parquet").output
    assert "cannot write" in oodlib("embed", album[0], "--output", album[0] / "1.jpg" / "x.parquet").output
