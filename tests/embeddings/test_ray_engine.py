"""Ray on this machine alone: started once, with its logs in a folder of the tests, and shut down at the end."""

import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from oodlib.cli.main import app
from oodlib.datasets import Manifest
from oodlib.datasets.folder import from_folder
from oodlib.embeddings import store as shards
from oodlib.embeddings.embedding import embed, store_of
from oodlib.embeddings.ray_engine import RayEngine, connected
from oodlib.errors import OodlibError
from oodlib.pocket.assemble import assemble

pytestmark = pytest.mark.slow
SHARD = 32


def contents(home: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (home / "embeddings").rglob("*") if p.is_file() and p.name != "lock"}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Manifest:
    """More than two shards of small JPEGs."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(2 * SHARD + 10):
        Image.new("RGB", (40, 30), (number % 256, number // 4 % 256, 90)).save(folder / f"{number:04d}.jpg")
    return from_folder(folder).manifest


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(shards, "SHARD_ROWS", SHARD)  # whoever asks deals out the shards: actors need not know


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        # A short path: the sockets in it may have about a hundred characters.
        folder = tempfile.mkdtemp(prefix="ray-")
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
        with connected():
            assert Path(ray._private.worker._global_node.get_session_dir_path()).is_relative_to(folder)
            yield RayEngine({"name": "pocket"}, cpus=1)
        shutil.rmtree(folder, ignore_errors=True)


def test_an_encoder_that_no_machine_can_load_is_one_sentence(cluster):
    with pytest.raises(OodlibError, match="no encoder 'ViT-B-15'"):
        RayEngine({"name": "ViT-B-15"}, cpus=1)
    with pytest.raises(OodlibError, match="no GPU to spare"):
        RayEngine({"name": "pocket", "device": "cuda"})


def test_the_command_takes_the_cluster_that_is_there(cluster, pictures, tmp_path):
    small = tmp_path / "some"
    small.mkdir()
    for path in pictures.paths()[:20]:
        shutil.copy(path, small)
    # By its folder PocketCLIP is computed with torch here, too, as a cluster computes it.
    words = ["embed", str(small), "--encoder", f"local-dir:{assemble()}"]
    assert "0 of them kept already" in CliRunner().invoke(app, words).output
    said = CliRunner().invoke(app, [*words, "--engine", "ray"])
    assert said.exit_code == 0, said.output
    assert "20 of them kept already" in said.output


def test_both_engines_write_the_same_bytes_and_go_on_where_the_other_stopped(cluster, pocket, pictures, tmp_path):
    local = embed(pocket, pictures, home=tmp_path / "local")
    assert cluster.digest == pocket.digest
    shutil.copytree(tmp_path / "local", tmp_path / "ray")
    store = store_of(cluster.digest, pictures, home=tmp_path / "ray")
    for name in ("index.json", "shard-00000.safetensors", "shard-00002.safetensors"):
        (store.folder / name).unlink()
    age = (store.folder / "shard-00001.safetensors").stat().st_mtime_ns
    computed = cluster.embed(pictures, home=tmp_path / "ray")
    assert torch.equal(computed.features, local.features)
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")
    assert (store.folder / "shard-00001.safetensors").stat().st_mtime_ns == age


def test_a_picture_that_cannot_be_read_is_one_sentence_or_tolerated(cluster, pocket, pictures, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for path in pictures.paths()[:30]:
        shutil.copy(path, folder)
    (folder / "0020.jpg").write_bytes((folder / "0020.jpg").read_bytes()[:200])
    manifest = from_folder(folder).manifest
    with pytest.raises(OodlibError, match=r"0020\.jpg.*remove it"):
        cluster.embed(manifest, home=tmp_path / "home")
    embed(pocket, manifest, home=tmp_path / "home", tolerate=True)
    kept = cluster.embed(manifest, home=tmp_path / "home", tolerate=True)
    assert list(kept.bad) == ["0020.jpg"]
    assert len(kept) == 29


def test_without_ray_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OodlibError, match=r"package ray is missing: pip install 'oodlib\[cluster\]'"), connected():
        pass
