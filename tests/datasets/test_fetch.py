import gzip
import hashlib
import io
import pickle
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oodlib.datasets import exports, photos
from oodlib.datasets.download import download
from oodlib.datasets.fetch import fetch
from oodlib.datasets.photo_cards import Archive, Card
from oodlib.datasets.unpack import inner_folder, unpack
from oodlib.errors import OodlibError

ROOT = Path(__file__).parents[2]


class Server(ThreadingHTTPServer):
    """Serves `files`; breaks a connection after `breaks_after` bytes, once for each entry."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.ranges = True
        self.breaks_after: list[int] = []
        self.slow = 0.0
        self.asked: list[str | None] = []

    def archive(self, name: str, content: bytes, **changes) -> Archive:
        self.files[f"/{name}"] = content
        facts = {"bytes": len(content), "checksum": f"md5:{hashlib.md5(content).hexdigest()}"}
        address = f"http://127.0.0.1:{self.server_port}/{name}"
        return Archive(**{"file": name, "address": address, **facts, **changes})


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        content = server.files.get(self.path)
        wanted = self.headers.get("Range")
        server.asked.append(wanted)
        if content is None:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
        if start and start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if wanted and server.ranges else 200)
        if wanted and server.ranges:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = start + server.breaks_after.pop(0) if server.breaks_after else len(content)
        step = 20_000
        for place in range(start, min(end, len(content)), step):
            self.wfile.write(content[place : min(place + step, end)])
            if server.slow:
                self.wfile.flush()
                time.sleep(server.slow)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


CONTENT = np.random.default_rng(0).bytes(300_000)


def tar(files: dict[str, bytes] | None = None, link: str = "") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in (files or {}).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        if link:
            member = tarfile.TarInfo("link")
            member.type, member.linkname = tarfile.SYMTYPE, link
            archive.addfile(member)
    return packed.getvalue()


def jpeg() -> bytes:
    packed = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(packed, "jpeg")
    return packed.getvalue()


def card(archives: list[Archive], pictures: int = 3, **landing) -> Card:
    """SUN's card with other archives."""
    facts = photos.card("sun").model_dump() | {"archives": archives, "pictures": pictures}
    return Card.model_validate({**facts, "landing": {"take": "SUN", "to": "SUN", **landing}})


def test_a_download_is_whole_and_reports_progress(server, tmp_path):
    reports = []
    path = download(server.archive("a.bin", CONTENT), tmp_path, heard=lambda got, total: reports.append((got, total)))
    assert path.read_bytes() == CONTENT
    assert reports[-1] == (300_000, 300_000)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bin"]
    download(server.archive("a.bin", CONTENT), tmp_path)
    assert len(server.asked) == 1, "a file that is there is checked, not fetched"


def test_a_connection_that_breaks_goes_on_where_it_stopped(server, tmp_path):
    server.breaks_after = [100_000, 50_000]
    archive = server.archive("a.bin", CONTENT)
    assert download(archive, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-", "bytes=150000-"]


def test_a_connection_that_brings_nothing_is_one_sentence_and_keeps_the_part(server, tmp_path):
    server.breaks_after = [100_000, 0]
    archive = server.archive("a.bin", CONTENT)
    with pytest.raises(OodlibError, match=r"broke after 100,000 of 300,000 bytes: the same command goes on"):
        download(archive, tmp_path)
    assert (tmp_path / "a.bin.part").stat().st_size == 100_000
    assert download(archive, tmp_path).read_bytes() == CONTENT


def test_a_server_that_cannot_go_on_sends_everything_again(server, tmp_path):
    server.ranges = False
    server.breaks_after = [100_000]
    assert download(server.archive("a.bin", CONTENT), tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-"]


def test_a_killed_download_goes_on(server, tmp_path):
    archive = server.archive("a.bin", CONTENT)
    server.slow = 0.05
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from oodlib.datasets.download import download\nfrom oodlib.datasets.photo_cards import Archive\n"
        "download(Archive.model_validate_json(sys.argv[1]), Path(sys.argv[2]))"
    )
    process = subprocess.Popen([sys.executable, "-c", program, archive.model_dump_json(), str(tmp_path)], cwd=ROOT)
    part = tmp_path / "a.bin.part"
    for _ in range(1000):
        if part.exists() and part.stat().st_size >= 60_000:
            break
        time.sleep(0.01)
    process.kill()
    process.wait()
    have = part.stat().st_size
    assert 0 < have < len(CONTENT)
    server.slow = 0
    assert download(archive, tmp_path).read_bytes() == CONTENT
    assert server.asked[-1] == f"bytes={have}-"


def test_a_wrong_checksum_deletes_the_part_and_says_so(server, tmp_path):
    archive = server.archive("a.bin", CONTENT, checksum="md5:" + "0" * 32)
    with pytest.raises(OodlibError, match=r"wrong checksum .* so it was deleted: try again"):
        download(archive, tmp_path)
    assert not list(tmp_path.iterdir())
    wrong_size = server.archive("a.bin", CONTENT, bytes=299_999)
    with pytest.raises(OodlibError, match="has 300,000 bytes instead of 299,999, so it was deleted"):
        download(wrong_size, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_part_of_another_file_is_found_out(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(b"x" * 1000)
    with pytest.raises(OodlibError, match="wrong checksum"):
        download(server.archive("a.bin", CONTENT), tmp_path)
    (tmp_path / "a.bin.part").write_bytes(b"x" * 400_000)
    with pytest.raises(OodlibError, match="wrong checksum"):  # 416: there is nothing after it
        download(server.archive("a.bin", CONTENT, bytes=None), tmp_path)
    assert download(server.archive("a.bin", CONTENT), tmp_path).read_bytes() == CONTENT


def test_hosts_that_do_not_give_the_file_are_one_sentence(server, tmp_path):
    archive = server.archive("a.bin", CONTENT)
    server.files.clear()
    with pytest.raises(OodlibError, match=r"a\.bin is not there any more \(404\)"):
        download(archive, tmp_path)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/a.bin"
    with pytest.raises(OodlibError, match=r"cannot reach 127\.0\.0\.1:\d+ .*refused.*check the network"):
        download(archive.model_copy(update={"address": nobody}), tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/a.bin"
        with pytest.raises(OodlibError, match="does not answer: try again later"):
            download(archive.model_copy(update={"address": address}), tmp_path, timeout=0.2)
    with pytest.raises(OodlibError, match="no address on the web"):
        download(archive.model_copy(update={"address": "file:///etc/passwd"}), tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
def test_a_full_disk_is_one_sentence(server, tmp_path):
    (tmp_path / "a.bin.part").symlink_to("/dev/full")
    with pytest.raises(OodlibError, match=r"is full \(.*free some space"):
        download(server.archive("a.bin", CONTENT, checksum=None), tmp_path)


def test_a_set_lands_in_its_place_and_leaves_nothing_else(server, tmp_path):
    files = {f"SUN/images/{k}.jpg": jpeg() for k in range(3)}
    chosen = card([server.archive("SUN.tar.gz", tar(files))])
    assert fetch(chosen, tmp_path) == tmp_path / "SUN"
    assert sorted(path.name for path in (tmp_path / "SUN" / "images").iterdir()) == ["0.jpg", "1.jpg", "2.jpg"]
    assert [path.name for path in (tmp_path / ".downloads").iterdir() if path.suffix != ".lock"] == []
    with pytest.raises(OodlibError, match="is there already and not complete: move it away"):
        fetch(chosen, tmp_path)


def test_an_archive_in_the_data_root_is_used_and_stays(server, tmp_path):
    archive = server.archive("SUN.tar.gz", tar({"SUN/images/0.jpg": jpeg()}))
    (tmp_path / "SUN.tar.gz").write_bytes(server.files["/SUN.tar.gz"])
    fetch(card([archive]), tmp_path)
    assert server.asked == []
    assert (tmp_path / "SUN.tar.gz").exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "SUN.tar.gz").write_bytes(b"something else")
    with pytest.raises(OodlibError, match=r"has 14 bytes instead of .*move it away"):
        fetch(card([archive]), other)
    assert (other / "SUN.tar.gz").exists()


def test_several_archives_land_together(server, tmp_path):
    archives = [server.archive(f"{n}.tar.gz", tar({f"{n}/{n}.jpg": jpeg()})) for n in ("images", "annotations")]
    fetch(card(archives, take="", to="pets"), tmp_path)
    assert sorted(path.name for path in (tmp_path / "pets").iterdir()) == ["annotations", "images"]


@pytest.mark.parametrize(
    "content",  # named by what it holds: an archive's bytes carry the second, which two workers need not share
    [{"files": {"../evil.jpg": b"x"}}, {"files": {"/evil.jpg": b"x"}}, {"link": "/etc/passwd"}, {"link": "../../evil"}],
    ids=["parent", "root", "link to root", "link to parent"],
)
def test_an_archive_cannot_write_outside(content, server, tmp_path):
    root = tmp_path / "root"
    chosen = card([server.archive("SUN.tar.gz", tar(**content))])
    with pytest.raises(OodlibError):  # outside, or (a leading / is taken off) without the folder that is wanted
        fetch(chosen, root)
    assert not (root / "SUN").exists()
    assert not list(tmp_path.rglob("evil*"))
    assert [path.name for path in (root / ".downloads").iterdir() if path.is_dir()] == []


def test_a_zip_cannot_write_outside_and_damaged_ones_are_one_sentence(tmp_path):
    evil, good = tmp_path / "evil.zip", tmp_path / "good.zip"
    for path, name in ((evil, "../evil.jpg"), (good, "a/b/c.jpg")):
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr(name, b"x")
    (tmp_path / "out").mkdir()
    with pytest.raises(OodlibError, match="would write outside its folder"):
        unpack(evil, tmp_path / "out")
    unpack(good, tmp_path / "out")
    assert inner_folder(tmp_path / "out", "*") == tmp_path / "out" / "a" / "b"
    with pytest.raises(OodlibError, match="has no folder SUN"):
        inner_folder(tmp_path / "out", "SUN")
    whole = tar({"a.jpg": CONTENT})
    for name, content in (("a.zip", b"x"), ("a.tar.gz", whole[: len(whole) // 2]), ("a.tar", b"x"), ("d.gz", b"x")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(OodlibError, match=r"cannot unpack .* delete it and fetch it again"):
            unpack(tmp_path / name, tmp_path / "out")


def test_sets_for_hands_and_samples_are_not_fetched(sample_tree, tmp_path):
    with pytest.raises(OodlibError, match="fetched by hand"):
        fetch(photos.card("imagenet-1k"), tmp_path)
    with pytest.raises(OodlibError, match="is a made-up sample"):
        fetch(photos.card("sun"), sample_tree)


@contextmanager
def small_cifar(folder: Path):
    """torchvision's CIFAR-10 on an archive of its form with 20 pictures."""
    from torchvision.datasets import CIFAR10

    names = list(photos.class_names("cifar-10"))
    data = np.random.default_rng(1).integers(0, 256, (20, 3072), dtype=np.uint8)
    contents = {
        "test_batch": {"data": data, "labels": [k % 10 for k in range(20)]},
        "batches.meta": {"label_names": names},
    }
    base = folder / "cifar-10-batches-py"
    base.mkdir(parents=True)
    md5 = {}
    for name, content in contents.items():
        (base / name).write_bytes(pickle.dumps(content))
        md5[name] = hashlib.md5((base / name).read_bytes()).hexdigest()

    class Small(CIFAR10):
        train_list = []  # noqa: RUF012 (as in torchvision)
        test_list = [["test_batch", md5["test_batch"]]]  # noqa: RUF012
        meta = {"filename": "batches.meta", "key": "label_names", "md5": md5["batches.meta"]}  # noqa: RUF012

    yield Small(folder, train=False), data


def test_cifar_becomes_png_files_without_loss(tmp_path):
    with small_cifar(tmp_path / "source") as (dataset, data):
        count = exports.export(*exports.cifar(dataset, photos.class_names("cifar-10")), tmp_path / "made")
        assert count == 20
        files = sorted((tmp_path / "made").rglob("*.png"), key=lambda path: path.name)
        for k, file in enumerate(files):
            assert (
                file.parent.name == photos.class_names("cifar-10")[k % 10]
                or file.parent.name == dataset.classes[k % 10]
            )
            assert np.array_equal(np.asarray(Image.open(file)), data[k].reshape(3, 32, 32).transpose(1, 2, 0))
        with pytest.raises(OodlibError, match="class names in CIFAR's archive"):
            exports.cifar(dataset, ["cat", "dog"])


def test_mnist_becomes_png_files_without_loss(server, tmp_path):
    data = np.random.default_rng(2).integers(0, 256, (12, 28, 28), dtype=np.uint8)
    labels = np.array([k % 10 for k in range(12)], dtype=np.uint8)
    idx = {
        "t10k-images-idx3-ubyte.gz": b"\0\0\x08\x03" + np.array([12, 28, 28], ">i4").tobytes() + data.tobytes(),
        "t10k-labels-idx1-ubyte.gz": b"\0\0\x08\x01" + np.array([12], ">i4").tobytes() + labels.tobytes(),
    }
    archives = [server.archive(name, gzip.compress(content)) for name, content in idx.items()]
    fetch(card(archives, take="", to="mnist/test", export="mnist"), tmp_path)
    for k in range(12):
        file = tmp_path / "mnist" / "test" / str(labels[k]) / f"{k:05d}.png"
        assert np.array_equal(np.asarray(Image.open(file)), data[k])


def test_arrays_that_are_not_those_are_one_sentence(server, tmp_path):
    archive = server.archive("test_32x32.mat", b"no matrix")
    with pytest.raises(OodlibError, match="cannot turn svhn into PNG files"):
        fetch(card([archive], take="", to="svhn/test", export="svhn"), tmp_path)
    assert not (tmp_path / "svhn").exists() or not any((tmp_path / "svhn").iterdir())
