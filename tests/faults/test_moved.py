"""A cache or a model's folder that is moved or copied reads nothing from where it lay."""

import os
import shutil

import torch

from oodlib.encoders.load import load_encoder
from oodlib.pocket.assemble import assemble


def test_a_copied_model_reads_its_own_files_while_the_original_is_damaged_or_gone(tmp_path):
    whole = assemble()
    first, copy = tmp_path / "first", tmp_path / "copy"
    for folder in (first, copy):
        folder.mkdir()
        for file in whole.iterdir():
            if file.suffix == ".safetensors":
                os.link(file, folder / file.name)
            else:
                shutil.copy(file, folder)
        config = folder / "open_clip_config.json"
        config.write_text(config.read_text().replace(str(whole), str(first)))  # as the first one was assembled
    (first / "config.json").write_text("{}")  # another text tower, or none
    expected = load_encoder("pocket").encode_texts(["tiger"])
    assert torch.equal(load_encoder(f"local-dir:{copy}").encode_texts(["tiger"]), expected)
    shutil.rmtree(first)
    assert torch.equal(load_encoder(f"local-dir:{copy}").encode_texts(["tiger"]), expected)
