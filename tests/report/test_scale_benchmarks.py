"""The two scripts that a machine with an accelerator runs, on this machine and on little work."""

import importlib
import sys
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from oodlib.concepts import Concepts
from oodlib.datasets.images import read_image
from oodlib.report.scale import read_gpu

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    """Import a script as it is."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module


def test_the_image_tower_alone_gives_the_features_of_the_whole_model(script, pocket, drawings):
    pictures = [read_image(path) for path in drawings.values()]
    alone = script("precision").image_encoder("cpu", "fp32")
    assert_close(alone.encode_images(pictures), pocket.encode_images(pictures), atol=1e-5, rtol=1e-5)
    assert alone.logit_scale == pytest.approx(pocket.logit_scale)


def test_what_is_exported_is_read_back_and_measured(script, pocket, drawings, tmp_path, monkeypatch, capsys):
    precision = script("precision")
    paths = list(drawings.values())
    sets = {"inside": paths[:4], "outside": paths[4:]}
    names = list(drawings)[:4]
    told = Concepts(names=names, text=pocket.encode_texts(names), logit_scale=pocket.logit_scale)
    precision.export(tmp_path / "folder", sets, told)
    again, concepts = precision.read_folder(tmp_path / "folder")
    assert concepts.names == told.names
    assert torch.equal(concepts.text, told.text)
    assert {name: [path.read_bytes() for path in group] for name, group in again.items()} == {
        name: [path.read_bytes() for path in group] for name, group in sets.items()
    }
    options = ["--from", str(tmp_path / "folder"), "--precisions", "bf16", "--boot", "10"]
    monkeypatch.setattr(sys, "argv", ["precision.py", *options, "--json", str(tmp_path / "found.json")])
    precision.main()
    assert "6 pictures of 2 sets" in capsys.readouterr().out
    assert '"same_name"' in (tmp_path / "found.json").read_text()


def test_throughput_writes_what_the_page_reads(script, tmp_path, monkeypatch, capsys):
    throughput = script("throughput")
    monkeypatch.setattr(throughput, "WORDS", 200)
    path = tmp_path / "measured.json"
    options = [
        "--models",
        "ViT-S-32-alt",
        "--precisions",
        "fp32",
        "--batches",
        "2",
        "--seconds",
        "0.1",
        "--files",
        "3",
        "--json",
    ]
    monkeypatch.setattr(sys, "argv", ["throughput.py", *options, str(path)])
    throughput.main()
    assert "ViT-S-32-alt" in capsys.readouterr().out
    device, stages = read_gpu(path)
    assert device
    assert any(name.startswith("image tower, ViT-S-32-alt, fp32") for name in stages)
    assert any(name.startswith("from files to features, read by threads, ViT-S-32-alt") for name in stages)
    assert any("200 words" in name for name in stages)
    assert all(one.low <= one.seconds <= one.high for one, _ in stages.values())
