import errno
import json
import sys

import numpy as np
import pytest
from PIL import Image

from oodlib.datasets import emojishift
from oodlib.encoders.load import load_encoder
from oodlib.errors import OodlibError
from oodlib.pocket import export as module
from oodlib.pocket.export import export, parity
from oodlib.pocket.small_weights import shrink

onnx = pytest.importorskip("onnx", reason="the extra oodlib[onnx] is not installed")
runtime = pytest.importorskip("onnxruntime", reason="the extra oodlib[onnx] is not installed")
tokenizers = pytest.importorskip("tokenizers")
pytest.importorskip("onnxscript", reason="the extra oodlib[onnx] is not installed")
pytestmark = pytest.mark.slow  # exporting takes most of a minute, once


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return export(tmp_path_factory.mktemp("onnx") / "new" / "folder")


@pytest.fixture(scope="module")
def encoder(pocket):
    return pocket


@pytest.fixture(scope="module")
def table():
    manifest = emojishift.load()
    some = manifest.table[manifest.table["split"] == "benchmark"].sample(60, random_state=0)
    return some.assign(path=[manifest.root / uri for uri in some["uri"]])


@pytest.fixture(scope="module")
def pictures(table):
    return [Image.open(path) for path in table["path"]]


def run(path, **inputs):
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (features,) = session.run(["features"], inputs)
    return features


def test_both_towers_say_what_torch_says(exported, pictures, table):
    prompts = [f"a photo of a {name}" for name in table["name"]]
    cosines = parity(exported["image"].parent, pictures, [*table["name"], *prompts])
    assert cosines["image"] > 0.9999
    assert cosines["text"] > 0.99


def test_folder_alone_is_enough(exported, encoder, pictures, table):
    """Nothing of oodlib or torch between the files and the features: what a browser would do, in NumPy."""
    facts = json.loads(exported["preprocessing"].read_text())
    size = facts["image"]["size"][0]
    assert facts["image"]["resize"].startswith(f"shortest side to {size}, bicubic")
    photograph = pictures[0].resize((200, 160)).crop((0, 0, 200, 160))
    width = round(200 * size / 160)
    resized = photograph.resize((width, size), Image.Resampling.BICUBIC)
    left = round((width - size) / 2)
    pixels = np.asarray(resized.crop((left, 0, left + size, size)), dtype=np.float32) / 255
    pixels = (pixels - np.float32(facts["image"]["mean"])) / np.float32(facts["image"]["std"])
    features = run(exported["image"], pixels=pixels.transpose(2, 0, 1)[None])
    assert (features[0] @ encoder.encode_images([photograph])[0].numpy()) > 0.999

    tokenizer = tokenizers.Tokenizer.from_file(str(exported["tokenizer"]))
    tokenizer.enable_truncation(facts["text"]["truncate"])
    tokenizer.no_padding()
    long = "word " * 200
    for text in (table["name"].iloc[0], long):
        row = tokenizer.encode(text)
        ids, mask = np.array([row.ids]), np.array([row.attention_mask])
        assert ids.shape[1] <= 77
        features = run(exported["text"], input_ids=ids, attention_mask=mask)
        assert (features[0] @ encoder.encode_texts([text])[0].numpy()) > 0.99
    assert facts["logit_scale"] == pytest.approx(encoder.logit_scale)
    assert facts["weights_sha256"] == encoder.spec["weights_sha256"]


@pytest.mark.parametrize("n", [1, 3, 7])
def test_image_batches_are_free_and_features_have_length_one(exported, n):
    pixels = np.random.default_rng(0).normal(size=(7, 3, 128, 128)).astype(np.float32)
    features = run(exported["image"], pixels=pixels[:n])
    assert (features.shape, features.dtype) == ((n, 256), np.float32)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(features, run(exported["image"], pixels=pixels)[:n], atol=1e-4)


def test_a_text_does_not_depend_on_padding_or_neighbours(exported):
    ids = np.array([[101, 4937, 102]])
    alone = run(exported["text"], input_ids=ids, attention_mask=np.ones_like(ids))
    assert (alone.shape, alone.dtype) == ((1, 256), np.float32)
    np.testing.assert_allclose(np.linalg.norm(alone, axis=1), 1, atol=1e-5)
    padded = np.array([[101, 4937, 102, 0, 0, 0, 0], [101, 2000, 2001, 2002, 2003, 2004, 102]])
    together = run(exported["text"], input_ids=padded, attention_mask=(padded > 0).astype(np.int64))
    np.testing.assert_allclose(together[0], alone[0], atol=1e-4)
    assert abs(together[1] @ alone[0]) < 0.999  # and it does depend on the text


def test_weights_are_small_and_inputs_are_named(exported):
    assert exported["image"].stat().st_size < 8.5e6
    assert exported["text"].stat().st_size < 24.5e6
    image, text = (onnx.load(exported[part]) for part in ("image", "text"))
    names = lambda values: {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}  # noqa: E731
    assert names(image.graph.input) == {"pixels": ["batch", 3, 128, 128]}
    assert names(text.graph.input) == {
        "input_ids": ["batch", "sequence"],
        "attention_mask": ["batch", "sequence"],
    }
    assert names(image.graph.output) == names(text.graph.output) == {"features": ["batch", 256]}
    for model, kind in ((image, onnx.TensorProto.FLOAT16), (text, onnx.TensorProto.INT8)):
        large = [w for w in model.graph.initializer if np.prod(w.dims) >= 50_000]
        assert large
        assert {w.data_type for w in large} == {kind}


def test_files_say_nothing_about_the_machine(exported):
    for path in exported.values():
        content = path.read_bytes()
        assert b"site-packages" not in content
        assert b"oodlib" not in content
        assert str(load_encoder.__code__.co_filename).encode() not in content


def test_half_precision_of_the_image_tower_is_the_nearest(exported, encoder):
    weights = {w.name: onnx.numpy_helper.to_array(w) for w in onnx.load(exported["image"]).graph.initializer}
    head = weights["tower.head.proj.weight.small"]
    shipped = encoder.model.visual.head.proj.weight.detach().numpy()
    np.testing.assert_array_equal(head, shipped.astype(np.float16))


def test_eight_bits_are_half_a_step_away_at_most():
    """Each row of a table and each column of a matrix is rounded with its own scale."""
    rng = np.random.default_rng(0)
    table = (rng.normal(size=(100, 64)) * 10.0 ** rng.integers(-3, 3, size=(100, 1))).astype(np.float32)
    table[7] = 0
    matrix = (rng.normal(size=(64, 90)) * 10.0 ** rng.integers(-3, 3, size=(1, 90))).astype(np.float32)
    helper, kind = onnx.helper, onnx.TensorProto
    model = helper.make_model(
        helper.make_graph(
            [
                helper.make_node("Gather", ["table", "ids"], ["rows"]),
                helper.make_node("MatMul", ["rows", "matrix"], ["out"]),
            ],
            "g",
            [helper.make_tensor_value_info("ids", kind.INT64, ["n"])],
            [
                helper.make_tensor_value_info(name, kind.FLOAT, shape)
                for name, shape in (("out", ["n", 90]), ("table", [100, 64]), ("matrix", [64, 90]))
            ],
            [onnx.numpy_helper.from_array(table, "table"), onnx.numpy_helper.from_array(matrix, "matrix")],
        ),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    shrink(model, eight_bits=True)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    _, rows, columns = session.run(["out", "table", "matrix"], {"ids": np.arange(3)})
    assert (np.abs(rows - table) <= np.abs(table).max(1, keepdims=True) / 127 * 0.501).all()
    assert (np.abs(columns - matrix) <= np.abs(matrix).max(0, keepdims=True) / 127 * 0.501).all()
    assert (rows[7] == 0).all()
    assert np.abs(rows - table).max() > 0


def test_parity_sees_a_wrong_tower(exported, pictures, tmp_path):
    for path in exported.values():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    model = onnx.load(exported["image"])
    next(w for w in model.graph.initializer if w.name == "tower.head.proj.weight.small").raw_data = (
        np.random.default_rng(0).normal(size=(256, 1280)).astype(np.float16).tobytes()
    )
    onnx.save(model, tmp_path / "image.onnx")
    cosines = parity(tmp_path, pictures[:4], ["cat"])
    assert cosines["image"] < 0.9
    assert cosines["text"] > 0.99


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "graph_of", lambda *_, **__: onnx.ModelProto())
    monkeypatch.setattr(module, "shrink", lambda *_, **__: None)

    def full(_, path):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(onnx, "save", full)
    with pytest.raises(OodlibError, match=r"cannot write .*image\.onnx .*: free some space"):
        export(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_kill_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "graph_of", lambda *_, **__: onnx.ModelProto())
    monkeypatch.setattr(module, "shrink", lambda *_, **__: None)

    def half(_, path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(onnx, "save", half)
    (tmp_path / "image.onnx").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        export(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"image.onnx": b"old"}


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(OodlibError, match=r"package onnxscript is missing: pip install 'oodlib\[onnx\]'"):
        export(tmp_path)


def test_command_prints_sizes_and_parity(exported, monkeypatch, capsys):
    monkeypatch.setattr(module, "export", lambda folder: exported)
    monkeypatch.setattr(sys, "argv", ["export", str(exported["image"].parent)])
    module._main()
    lines = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines()}
    assert set(lines) == {path.name for path in exported.values()}
    for name, least in (("image.onnx", 0.999), ("text.onnx", 0.99)):
        assert float(lines[name][-1]) > least
        assert float(lines[name][1]) == pytest.approx((exported["image"].parent / name).stat().st_size / 1e6, abs=0.01)


def test_command_ends_with_one_line_of_error(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setattr(sys, "argv", ["export", str(tmp_path)])
    with pytest.raises(SystemExit, match="package onnx is missing"):
        module._main()
