import json
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

from oodlib.cache import load_sealed
from oodlib.datasets import Manifest, emojishift
from oodlib.datasets.folder import from_folder
from oodlib.datasets.images import read_image
from oodlib.embeddings import embedding as embeddings
from oodlib.embeddings import store as shards
from oodlib.embeddings import stream
from oodlib.embeddings.embedding import Embeddings, embed, key_of, reading, store_of
from oodlib.embeddings.readers import can_fork
from oodlib.encoders.load import load_encoder
from oodlib.errors import MendedWarning, OodlibError

SHARD = 64


@pytest.fixture(scope="module")
def encoder(pocket):
    return pocket


@pytest.fixture(scope="module")
def everything() -> Manifest:
    return emojishift.benchmark_pictures(emojishift.load())


@pytest.fixture(scope="module")
def tiny_encoder(tmp_path_factory):
    """A CLIP of the smallest size, so that what is timed is the store and not the model."""
    folder = tmp_path_factory.mktemp("tiny")
    tower = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1}
    config = {"embed_dim": 16, "vision_cfg": tower, "text_cfg": text}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    import open_clip
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model = open_clip.model.CLIP(**config)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return load_encoder(f"local-dir:{folder}")


@pytest.fixture(scope="module")
def jpegs(tmp_path_factory) -> Path:
    """2,000 small JPEGs of many sizes and kinds."""
    folder = tmp_path_factory.mktemp("jpegs")
    noise = np.random.default_rng(0)
    for number in range(2000):
        height, width = noise.integers(64, 97, 2)
        coarse = Image.fromarray(noise.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        picture = coarse.resize((int(width), int(height)), Image.Resampling.BICUBIC)
        kind = ("RGB", "L", "CMYK")[0 if number % 10 else number // 10 % 3]
        place = folder / f"{number % 20:02d}" / f"{number:04d}.jpg"
        place.parent.mkdir(exist_ok=True)
        picture.convert(kind).save(place, quality=int(noise.integers(60, 96)), progressive=number % 7 == 0)
    return folder


@pytest.fixture(scope="module")
def photographs(jpegs) -> Manifest:
    """Those JPEGs, listed."""
    return from_folder(jpegs).manifest


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(shards, "SHARD_ROWS", SHARD)


def first(manifest: Manifest, n: int) -> Manifest:
    return manifest.select(manifest.table.index < n)


def contents(home: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (home / "embeddings").rglob("*") if p.is_file() and p.name != "lock"}


def in_child(work: Callable[[], object]) -> int:
    """Do work in a forked process, which has everything imported already; its number."""
    child = os.fork()
    if child == 0:
        try:
            torch.set_num_threads(1)  # threads of the parent's OpenMP are not there after a fork
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return child


def test_features_are_those_of_the_encoder_in_row_order(encoder, everything, tmp_path):
    some = first(everything, 150)
    kept = embed(encoder, some, home=tmp_path)
    direct = encoder.encode_images([read_image(path) for path in some.paths()])
    torch.testing.assert_close(kept.features, direct, atol=1e-5, rtol=1e-4)
    part = some.select(some.table.index % 7 == 3)
    assert torch.equal(kept.of(part), kept.features[3::7])


def test_second_call_reads_what_the_first_kept(encoder, everything, tmp_path, monkeypatch):
    some = first(everything, 70)
    once = embed(encoder, some, home=tmp_path)
    monkeypatch.setattr(embeddings, "make_shards", lambda *_, **__: pytest.fail("encoded again"))
    assert torch.equal(embed(encoder, some, home=tmp_path).features, once.features)


def test_key_depends_on_pictures_encoder_and_decoding(encoder, everything):
    some, fewer = first(everything, 70), first(everything, 69)
    keys = {key_of(encoder, some), key_of(encoder, fewer), key_of(load_encoder("pocket", precision="bf16"), some)}
    assert len(keys | {key_of(encoder, some, "scaled")}) == 4
    assert key_of(encoder.digest, some) == key_of(encoder, some)


def test_key_depends_on_what_scales_pictures(encoder, everything, monkeypatch):
    """Pillow 13 scales tall pictures to other pixels than 12."""
    before = key_of(encoder, everything)
    monkeypatch.setattr(embeddings, "version", lambda name: {"pillow": "12.0.0"}[name])
    assert key_of(encoder, everything) != before


def test_batches_of_any_size_give_the_same_features(encoder, everything, tmp_path, monkeypatch):
    some = first(everything, 100)
    usual = embed(encoder, some, home=tmp_path / "usual").features
    for size in (7, 64):
        monkeypatch.setattr(stream, "BATCH", {"cpu": size})
        other = embed(encoder, some, home=tmp_path / str(size)).features
        torch.testing.assert_close(other, usual, atol=1e-6, rtol=0)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_number_of_cores_does_not_change_a_byte(threads, encoder, everything, tmp_path):
    some, before = first(everything, 200), torch.get_num_threads()
    usual = embed(encoder, some, home=tmp_path / "usual").features
    try:
        torch.set_num_threads(threads)
        assert torch.equal(embed(encoder, some, home=tmp_path / "other").features, usual)
        assert torch.get_num_threads() == threads  # as it was before
    finally:
        torch.set_num_threads(before)


@settings(max_examples=20)
@given(st.lists(st.integers(0, 40), max_size=6), st.integers(1, 4), st.integers(1, 2))
def test_groups_come_in_order_whatever_the_crew(tiny_encoder, sizes, workers, lanes):
    pictures = [Image.new("RGB", (32, 32), (5 * k % 256, 3 * k % 256, k % 256)) for k in range(sum(sizes))]
    expected = tiny_encoder.encode_images(pictures) if pictures else torch.empty(0, 0)
    groups, start = [], 0
    for size in sizes:
        groups.append(pictures[start : start + size])
        start += size
    counts: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "devices", lambda _: [torch.device("cpu")] * lanes)  # as many replicas as GPUs
        crew = stream.Crew(workers)
        done = list(stream.encode_groups(tiny_encoder, groups, lambda p: p, crew=crew, advance=counts.append))
    assert [len(features) for features, _ in done] == sizes
    assert sum(counts) == sum(sizes)
    filled = [features for features, _ in done if len(features)]
    torch.testing.assert_close(torch.cat(filled) if filled else torch.empty(0, 0), expected, atol=1e-6, rtol=0)


@pytest.mark.skipif(not can_fork(), reason="this system has no fork")
def test_pictures_that_other_processes_read_give_the_same_bytes(tiny_encoder, everything, tmp_path, monkeypatch):
    some = first(everything, 5 * SHARD + 10)
    usual = embed(tiny_encoder, some, home=tmp_path / "usual")
    monkeypatch.setattr(stream, "crew_for", lambda *_: stream.Crew(3, processes=2))
    here, opened = os.getpid(), Image.open

    def elsewhere(*what):
        assert os.getpid() != here
        return opened(*what)

    monkeypatch.setattr(Image, "open", elsewhere)
    forked = embed(tiny_encoder, some, home=tmp_path / "forked")
    assert torch.equal(forked.features, usual.features)
    assert contents(tmp_path / "forked") == contents(tmp_path / "usual")


@pytest.mark.parametrize("tolerate", [True, False])
@pytest.mark.skipif(not can_fork(), reason="this system has no fork")
def test_unreadable_files_are_told_from_another_process(tolerate, tiny_encoder, tmp_path, monkeypatch):
    folder = tmp_path / "pictures" / "a"
    folder.mkdir(parents=True)
    for number in range(40):
        Image.new("RGB", (40, 30), (number, 0, 0)).save(folder / f"{number}.png")
    (folder / "7.png").write_bytes(b"no picture")
    manifest = from_folder(tmp_path / "pictures").manifest
    monkeypatch.setattr(stream, "crew_for", lambda *_: stream.Crew(3, processes=2))
    if tolerate:
        kept = embed(tiny_encoder, manifest, home=tmp_path, tolerate=True)
        assert len(kept) == 39
        assert list(kept.bad) == ["a/7.png"]
    else:
        with pytest.raises(OodlibError, match=r"7\.png"):
            embed(tiny_encoder, manifest, home=tmp_path)


def test_processes_read_for_an_accelerator_that_has_much_to_do():
    class OnGpu:
        device = torch.device("cuda:0")

    count = stream.cores()
    assert stream.crew_for(OnGpu(), 100) == stream.Crew(count + 1)
    assert stream.crew_for(OnGpu(), 4 * count * stream.BATCH_ACCELERATOR).processes == (count if can_fork() else 0)


def test_a_replica_is_a_copy_on_another_device(tiny_encoder):
    one, two = stream.replicas(tiny_encoder, [torch.device("cpu"), torch.device("meta")])
    assert one is tiny_encoder
    assert {parameter.device.type for parameter in two.model.parameters()} == {"meta"}
    assert {parameter.device.type for parameter in one.model.parameters()} == {"cpu"}
    assert two.digest == one.digest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
def test_ten_kills_at_any_moment_then_again_give_the_same_bytes(tiny_encoder, photographs, tmp_path):
    manifest = photographs
    assert len(manifest) == 2000
    moments = random.Random(0)

    def work(home: Path) -> None:
        embed(tiny_encoder, manifest, home=home)

    start = time.monotonic()
    assert os.waitpid(in_child(lambda: work(tmp_path / "whole")), 0)[1] == 0
    whole = time.monotonic() - start
    killed, seen = 0, set()
    while killed < 10:
        child = in_child(lambda: work(tmp_path / "killed"))
        time.sleep(moments.uniform(0, whole / 5))
        os.kill(child, signal.SIGKILL)
        if os.waitpid(child, 0)[1]:
            killed += 1
            seen.add(len(list((tmp_path / "killed").rglob("shard-*"))))
        else:  # it was done before its tenth kill: again, with earlier ones
            shutil.rmtree(tmp_path / "killed")
            killed, seen, whole = 0, set(), 0.8 * whole
    assert len(seen) > 2  # kills came at different stages
    work(tmp_path / "killed")
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="looks at the memory of a forked process")
def test_memory_grows_by_the_features_alone(tiny_encoder, photographs, tmp_path):
    def peak(n: int) -> int:
        reader, writer = os.pipe()

        def work() -> None:
            embed(tiny_encoder, first(photographs, n), home=tmp_path / str(n))
            os.write(writer, str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss).encode())

        assert os.waitpid(in_child(work), 0)[1] == 0
        os.close(writer)
        with os.fdopen(reader) as answer:
            return int(answer.read()) * (1 if sys.platform == "darwin" else 1024)

    few, many = peak(200), peak(2000)
    decoded = 1800 * 80 * 80 * 3  # what the pictures would take
    assert many - few < decoded / 2


def test_two_processes_at_once_make_one_store(tiny_encoder, photographs, tmp_path):
    manifest = first(photographs, 400)
    both = [in_child(lambda: embed(tiny_encoder, manifest, home=tmp_path)) for _ in range(2)]
    assert [os.waitpid(child, 0)[1] for child in both] == [0, 0]
    names = sorted(contents(tmp_path))
    assert names == ["index.json", *(f"shard-{i:05d}.safetensors" for i in range(7))]


def without_tensor_hash(path: Path) -> None:
    """Rows in another order, and all else as it was."""
    with safe_open(path, "np") as file:
        save_file({"features": file.get_tensor("features")[::-1].copy()}, path, metadata=file.metadata())


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        lambda path: path.write_bytes(path.read_bytes()[:-1] + b"?"),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
        lambda path: shutil.copy(path.with_name("shard-00000.safetensors"), path),
        without_tensor_hash,
    ],
    ids=["half", "a byte", "empty", "missing", "another", "rows"],
)
def test_damaged_shard_is_noticed_made_again_and_said(damage, tiny_encoder, photographs, tmp_path):
    some = first(photographs, 2 * SHARD)
    before = embed(tiny_encoder, some, home=tmp_path)
    written = contents(tmp_path)
    shard = tmp_path / "embeddings" / before.key / "shard-00001.safetensors"
    age = shard.with_name("shard-00000.safetensors").stat().st_mtime_ns
    damage(shard)
    with pytest.warns(MendedWarning, match="is made again: .*shard-00001"):
        assert torch.equal(embed(tiny_encoder, some, home=tmp_path).features, before.features)
    assert contents(tmp_path) == written
    assert shard.with_name("shard-00000.safetensors").stat().st_mtime_ns == age  # only the damaged one


def test_one_row_of_ten_thousand_shards_reads_one_shard(tmp_path, monkeypatch):
    """Five million pictures: the size of the store is in no way in what opening it, or one shard of it, reads."""
    rows = 10_000 * SHARD
    store = shards.Store(tmp_path / "big", rows)
    store.folder.mkdir()
    row = np.eye(SHARD, 4, dtype=np.float32)
    for shard in (store.shards()[0], store.shards()[7_000]):  # the others are not even there
        store.write(shard.name, row, {})
    store.close({})
    opened = []
    monkeypatch.setattr(shards, "load_sealed", lambda path: opened.append(path.name) or load_sealed(path))
    assert store.complete()
    assert not opened
    found, bad = store.load(store.shards()[7_000])
    np.testing.assert_array_equal(found, row)
    assert (opened, bad) == (["shard-07000.safetensors"], {})


def test_shards_that_are_there_are_counted_and_not_made_again(tiny_encoder, photographs, tmp_path):
    some = first(photographs, 200)
    store = store_of(tiny_encoder, some, home=tmp_path)
    assert [shard.start for shard in store.missing()] == [0, 64, 128, 192]
    before = embed(tiny_encoder, some, home=tmp_path)
    (store.folder / "index.json").unlink()
    (store.folder / "shard-00001.safetensors").write_bytes(b"half")
    age = (store.folder / "shard-00002.safetensors").stat().st_mtime_ns
    assert [shard.start for shard in store.missing()] == [64]
    assert torch.equal(embed(tiny_encoder, some, home=tmp_path).features, before.features)
    assert (store.folder / "shard-00002.safetensors").stat().st_mtime_ns == age


def test_corrupt_picture_is_named_or_tolerated_and_earlier_shards_are_kept(tiny_encoder, jpegs, tmp_path):
    root = tmp_path / "pictures"
    for path in sorted(jpegs.rglob("*.jpg"))[:200]:
        (root / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root / path.parent.name)
    whole = from_folder(root).manifest
    clean = embed(tiny_encoder, whole, home=tmp_path / "clean")
    victim = whole.paths()[100]
    content = victim.read_bytes()
    victim.write_bytes(content[: len(content) // 2])
    some = from_folder(root).manifest
    with pytest.raises(OodlibError, match=rf"{victim.name}.*remove it, or replace it"):
        embed(tiny_encoder, some, home=tmp_path / "home")
    assert sorted(contents(tmp_path / "home")) == ["shard-00000.safetensors"]
    for _ in range(2):  # made, and read
        kept = embed(tiny_encoder, some, home=tmp_path / "home", tolerate=True)
        assert list(kept.bad) == [some.table["id"][100]]
        assert kept.ids == tuple(some.table["id"].drop(100))
        torch.testing.assert_close(kept.features, clean.features[torch.arange(200) != 100], atol=1e-6, rtol=0)
    with pytest.raises(OodlibError, match=victim.name):
        embed(tiny_encoder, some, home=tmp_path / "home")
    victim.write_bytes(content)
    assert torch.equal(embed(tiny_encoder, whole, home=tmp_path / "home").features, clean.features)


def test_a_folder_of_nothing_but_damage_has_no_features(tiny_encoder, tmp_path):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"\xff\xd8 no picture")
    kept = embed(tiny_encoder, from_folder(tmp_path).manifest, home=tmp_path / "home", tolerate=True)
    assert (len(kept), set(kept.bad)) == (0, {"a.jpg", "b.jpg"})


def test_scaled_decoding_stays_within_its_tolerance(encoder, drawings, tmp_path):
    noise = np.random.default_rng(0)
    for name, path in drawings.items():
        big = read_image(path).resize((1536, 1536), Image.Resampling.BICUBIC)  # decoded at a quarter: three times 128
        big.save(tmp_path / f"{name}.jpg", quality=90)
        grain = Image.fromarray(noise.normal(0, 12, (1536, 1536, 3)).clip(0, 255).astype(np.uint8))
        Image.blend(big, grain, 0.3).save(tmp_path / f"{name}-grain.jpg", quality=90, progressive=True)
    manifest = from_folder(tmp_path).manifest
    full = embed(encoder, manifest, home=tmp_path / "home")
    scaled = embed(encoder, manifest, home=tmp_path / "home", decode="scaled")
    cosines = (full.features * scaled.features).sum(-1)
    assert cosines.min() > 0.999
    assert not torch.equal(full.features, scaled.features)
    assert {read_image(path, at_least=384).size for path in manifest.paths()} == {(384, 384)}


def test_scaled_decoding_is_refused_by_another_name(encoder):
    with pytest.raises(OodlibError, match="choose full or scaled"):
        reading(encoder, "half")  # type: ignore[arg-type]


def test_pictures_that_were_not_embedded_are_named(encoder, everything, tmp_path):
    kept = embed(encoder, first(everything, 10), home=tmp_path)
    with pytest.raises(OodlibError, match="is not among the embedded ones"):
        kept.of(first(everything, 11))


def test_empty_manifest_and_busy_store_are_refused(encoder, everything, tmp_path):
    with pytest.raises(OodlibError, match="nothing to embed"):
        embed(encoder, first(everything, 0), home=tmp_path)
    from filelock import FileLock

    folder = tmp_path / "embeddings" / key_of(encoder, first(everything, 5))
    folder.mkdir(parents=True)
    with FileLock(folder / "lock"), pytest.raises(OodlibError, match="another process"):
        embed(encoder, first(everything, 5), home=tmp_path, wait=0.1)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that nobody can write")
def test_cache_that_cannot_be_written_is_named(encoder, everything):
    with pytest.raises(OodlibError, match="cannot write in the cache folder"):
        embed(encoder, first(everything, 5), home=Path("/proc/oodlib"))


def test_joined_features_are_found_by_id(tiny_encoder, photographs, tmp_path):
    some = first(photographs, 90)
    left, right = some.select(some.table.index < 50), some.select(some.table.index >= 40)  # ten are in both
    parts = [embed(tiny_encoder, part, home=tmp_path) for part in (left, right)]
    joined = Embeddings.join(parts)
    assert joined.key == f"{parts[0].key}+{parts[1].key}"
    assert joined.ids == tuple(some.table["id"])
    assert torch.equal(joined.of(left), parts[0].features)
    torch.testing.assert_close(joined.of(right), parts[1].features, atol=1e-6, rtol=0)
    assert Embeddings.join(parts[:1]) is parts[0]


def test_parts_that_do_not_fit_are_not_joined():
    one = Embeddings("a", ("x", "y"), torch.eye(2), {"z": "damaged"})
    with pytest.raises(OodlibError, match="at least one"):
        Embeddings.join([])
    with pytest.raises(OodlibError, match="one encoder"):
        Embeddings.join([one, Embeddings("b", ("u",), torch.eye(3)[:1])])
    with pytest.raises(OodlibError, match="'y' names different pictures"):
        Embeddings.join([one, Embeddings("b", ("y",), torch.eye(2)[:1])])
    joined = Embeddings.join([one, Embeddings("b", (), torch.empty(0, 0), {"x": "damaged"})])
    assert (joined.ids, dict(joined.bad)) == (("x", "y"), {"z": "damaged"})


def swapped(path: Path) -> Callable[[], None]:
    """Put another picture in a file's place; what comes back puts the first one there again."""
    content = path.read_bytes()
    Image.new("RGB", (40, 30), (200, 0, 90)).save(path)
    return lambda: path.write_bytes(content) and None


@pytest.mark.parametrize("processes", [0, pytest.param(2, marks=pytest.mark.skipif(not can_fork(), reason="no fork"))])
def test_a_picture_that_changes_after_it_was_listed_spoils_nothing(processes, tiny_encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "crew_for", lambda *_: stream.Crew(2, processes=processes))
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(SHARD + 6):
        Image.new("RGB", (40, 30), (number, 0, 0)).save(folder / f"{number:02d}.png")
    manifest = from_folder(folder).manifest
    right = embed(tiny_encoder, manifest, home=tmp_path / "right").features
    put_back = swapped(folder / "68.png")
    kept = embed(tiny_encoder, manifest, home=tmp_path, tolerate=True)
    assert kept.bad == {"68.png": "the picture 68.png changed after it was listed: run it again"}
    assert sorted(contents(tmp_path)) == ["shard-00000.safetensors"]
    with pytest.raises(OodlibError, match=r"68\.png changed after it was listed"):
        embed(tiny_encoder, manifest, home=tmp_path)
    put_back()
    assert torch.equal(embed(tiny_encoder, manifest, home=tmp_path).features, right)


def test_a_reason_is_kept_of_what_was_listed_alone(tiny_encoder, tmp_path):
    """A file that is put back between the decoding of something else and the end of the work."""
    path = tmp_path / "pictures" / "a.png"
    path.parent.mkdir()
    Image.new("RGB", (40, 30)).save(path)
    manifest, whole = from_folder(path.parent).manifest, path.read_bytes()

    def meanwhile(source):
        path.write_bytes(b"no picture")
        try:
            return read_image(source)
        finally:
            path.write_bytes(whole)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embeddings, "read_image", meanwhile)
        assert list(embed(tiny_encoder, manifest, home=tmp_path, tolerate=True).bad) == ["a.png"]
    assert len(embed(tiny_encoder, manifest, home=tmp_path)) == 1


def test_a_drawing_that_is_another_one_is_refused(encoder, everything, tmp_path):
    few = first(everything, 3)
    for path, uri in zip(few.paths(), few.table["uri"], strict=True):
        (tmp_path / uri).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / uri)
    here = Manifest(few.name, tmp_path, few.table)
    shutil.copy(here.paths()[0], here.paths()[1])
    with pytest.raises(OodlibError, match="is not the picture that was drawn: delete"):
        embed(encoder, here, home=tmp_path / "home")
