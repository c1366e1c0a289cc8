"""Whatever a model reads besides its weights is in its digest; where its folder lies is not."""

import json
import shutil

import pytest

from oodlib.encoders import beside_weights as module
from oodlib.encoders.beside_weights import beside_weights
from oodlib.pocket.assemble import CONFIG, CONTENTS, MODEL, assemble


@pytest.fixture
def folder(tmp_path):
    """PocketCLIP's, without the weights."""
    whole, copy = assemble(), tmp_path / "model"
    copy.mkdir()
    for name in CONTENTS.keys() - {MODEL}:
        shutil.copy(whole / name, copy)
    (copy / CONFIG).write_text((whole / CONFIG).read_text().replace(str(whole), str(copy)))
    return copy


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "vocab.txt", "config.json", CONFIG])
def test_every_file_counts(name, folder):
    before = beside_weights(f"local-dir:{folder}")
    file = folder / name
    file.write_text(file.read_text().replace("1", "2", 1))
    assert beside_weights(f"local-dir:{folder}") != before


def test_neither_the_place_nor_a_note_counts(folder, tmp_path):
    before = beside_weights(f"local-dir:{folder}")
    moved = shutil.copytree(folder, tmp_path / "moved")
    assert beside_weights(f"local-dir:{moved}") == before  # it names the first, and holds all itself
    (moved / CONFIG).write_text((moved / CONFIG).read_text().replace(str(folder), str(moved)))
    (moved / "notes.txt").write_text("mine")
    (moved / "oodlib.json").write_text('{"templates": "photo"}')
    assert beside_weights(f"local-dir:{moved}") == before


def test_a_text_tower_elsewhere_counts(folder, tmp_path):
    tower = shutil.copytree(folder, tmp_path / "tower")
    said = json.loads((folder / CONFIG).read_text())
    said["model_cfg"]["text_cfg"]["hf_model_name"] = str(tower)
    (folder / CONFIG).write_text(json.dumps(said))
    (folder / "config.json").unlink()  # else its own is read
    before = beside_weights(f"local-dir:{folder}")
    (tower / "config.json").write_text("{}")
    assert beside_weights(f"local-dir:{folder}") != before


def test_what_the_hub_gave_counts(folder, monkeypatch):
    monkeypatch.setattr(
        module, "try_to_load_from_cache", lambda _, name: str(folder / name) if (folder / name).exists() else None
    )
    before = beside_weights("roberta-ViT-B-32")
    assert before is not None
    (folder / MODEL).write_bytes(b"weights")
    hub = beside_weights("hf-hub:one/model")
    (folder / MODEL).write_bytes(b"others")
    assert beside_weights("hf-hub:one/model") != hub
    (folder / "vocab.txt").write_text("")
    assert beside_weights("roberta-ViT-B-32") != before


def test_what_comes_with_open_clip_is_in_its_version():
    assert beside_weights("ViT-B-32") is None
