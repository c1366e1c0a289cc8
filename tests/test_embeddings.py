import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from oodlib import embeddings
from oodlib.datasets import Manifest, emojishift
from oodlib.embeddings import embed, key_of
from oodlib.encoders import load_encoder
from oodlib.errors import OodlibError

SHARD = 64

# What a person's process does, with shards small enough to be killed between them.
PROGRAM = f"""
import sys
from oodlib import embeddings
from oodlib.datasets import emojishift
from oodlib.encoders import load_encoder
embeddings.SHARD = {SHARD}
everything = emojishift.benchmark_pictures(emojishift.load())
some = everything.select(everything.table.index < 400)
print("ready", flush=True)
embeddings.embed(load_encoder("pocket"), some, home=sys.argv[1])
"""


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("pocket")


@pytest.fixture(scope="module")
def everything() -> Manifest:
    return emojishift.benchmark_pictures(emojishift.load())


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(embeddings, "SHARD", SHARD)


def first(manifest: Manifest, n: int) -> Manifest:
    return manifest.select(manifest.table.index < n)


def contents(home: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (home / "embeddings").rglob("*") if p.is_file() and p.name != "lock"}


def test_features_are_those_of_the_encoder_in_row_order(encoder, everything, tmp_path):
    from oodlib.images import read_image

    some = first(everything, 150)
    kept = embed(encoder, some, home=tmp_path)
    direct = encoder.encode_images([read_image(path) for path in some.paths()])
    torch.testing.assert_close(kept.features, direct, atol=1e-5, rtol=1e-4)
    part = some.select(some.table.index % 7 == 3)
    assert torch.equal(kept.of(part), kept.features[3::7])


def test_second_call_reads_what_the_first_kept(encoder, everything, tmp_path, monkeypatch):
    some = first(everything, 70)
    once = embed(encoder, some, home=tmp_path)
    monkeypatch.setattr(embeddings, "_encode", lambda *_: pytest.fail("encoded again"))
    assert torch.equal(embed(encoder, some, home=tmp_path).features, once.features)


def test_key_depends_on_pictures_and_encoder(encoder, everything):
    some, fewer = first(everything, 70), first(everything, 69)
    keys = {key_of(encoder, some), key_of(encoder, fewer), key_of(load_encoder("pocket", precision="bf16"), some)}
    assert len(keys) == 3


def test_kill_at_any_moment_then_again_gives_the_same_bytes(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-c", PROGRAM]
    subprocess.run([*command, str(tmp_path / "whole")], check=True, env=environment, stdout=subprocess.DEVNULL)
    moments = random.Random(0)
    killed = 0
    while True:
        process = subprocess.Popen([*command, str(tmp_path / "killed")], env=environment, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        shards = len(list((tmp_path / "killed").rglob("shard-*")))
        # The first kill comes before anything is written; the later ones within and between shards.
        deadline = time.monotonic() + 120
        while killed and len(list((tmp_path / "killed").rglob("shard-*"))) == shards and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        if process.wait() == 0 or killed == 4:
            break
        killed += 1
    assert killed >= 2
    subprocess.run([*command, str(tmp_path / "killed")], check=True, env=environment, stdout=subprocess.DEVNULL)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_two_processes_at_once_make_one_store(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    both = [subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)], env=environment) for _ in range(2)]
    assert [process.wait(timeout=300) for process in both] == [0, 0]
    names = sorted(contents(tmp_path))
    assert names == ["index.json", *(f"shard-{i:05d}.safetensors" for i in range(7))]


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b[:-4] + bytes(4 * [b[-1] ^ 1]), lambda _: b""]
)
def test_damaged_shard_is_noticed_and_made_again(damage, encoder, everything, tmp_path):
    some = first(everything, 100)
    before = embed(encoder, some, home=tmp_path)
    shard = tmp_path / "embeddings" / before.key / "shard-00001.safetensors"
    shard.write_bytes(damage(shard.read_bytes()))
    assert torch.equal(embed(encoder, some, home=tmp_path).features, before.features)


def test_corrupt_picture_is_named_and_earlier_shards_are_kept(encoder, everything, tmp_path):
    some = first(everything, 100)
    root = tmp_path / "pictures"
    for uri in some.table["uri"]:
        (root / uri).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(everything.root / uri, root / uri)
    moved = Manifest(some.name, root, some.table)
    victim = root / some.table["uri"].iloc[80]
    whole = victim.read_bytes()
    victim.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OodlibError, match=rf"{victim.name}.*remove it, or replace it"):
        embed(encoder, moved, home=tmp_path / "home")
    assert sorted(contents(tmp_path / "home")) == ["shard-00000.safetensors"]
    victim.write_bytes(whole)
    assert len(embed(encoder, moved, home=tmp_path / "home")) == 100


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
