import hashlib
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from oodlib.datasets.folder import from_csv, from_folder, from_paths
from oodlib.errors import OodlibError


@pytest.fixture
def album(tmp_path):
    for name in ("cat/1.png", "cat/2.PNG", "dog/deep/3.png", "4.png"):
        path = tmp_path / "album" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), f"#{len(name):02x}0000").save(path)
    return tmp_path / "album"


def test_a_folder_a_class(album):
    found = from_folder(album)
    table = found.manifest.table
    assert dict(zip(table["id"], table["label"], strict=True)) == {
        "4.png": "",
        "cat/1.png": "cat",
        "cat/2.PNG": "cat",
        "dog/deep/3.png": "dog",
    }
    assert table["sha256"][0] == hashlib.sha256((album / "4.png").read_bytes()).hexdigest()
    assert all(path.is_file() for path in found.manifest.paths())
    assert found.order == tuple(table["shown"])


def test_a_folder_elsewhere_is_the_same_and_another_content_is_not(album, tmp_path):
    before = from_folder(album).manifest.digest
    moved = shutil.copytree(album, tmp_path / "elsewhere" / "album")
    assert from_folder(moved).manifest.digest == before
    (moved / "4.png").write_bytes(b"other")
    assert from_folder(moved).manifest.digest != before


def test_files_globs_and_folders_each_once_in_the_order_given(album, monkeypatch):
    monkeypatch.chdir(album)
    found = from_paths(["dog", "cat/*.png", "cat/1.png", "./cat/1.png", "none.png", "4.png"])
    assert found.order == (str(Path("dog/deep/3.png")), str(Path("cat/1.png")), "none.png", "4.png")
    assert found.bad == {"none.png": "does not exist: check the path"}


def test_a_name_with_brackets_is_a_file_before_it_is_a_glob(album):
    odd = album / "a[1].png"
    shutil.copy(album / "4.png", odd)
    assert from_paths([odd]).order == (str(odd),)


def test_what_is_not_named_like_a_picture_is_passed_over_in_folders_and_taken_by_name(album):
    shutil.copy(album / "4.png", album / "photo.dat")
    (album / ".hidden.png").write_bytes(b"")
    found = from_folder(album)
    assert found.passed_over == (str(album / "photo.dat"),)
    assert not any(".hidden" in name for name in found.order)
    assert from_paths([album / "photo.dat"]).order == (str(album / "photo.dat"),)


def test_loops_and_dead_links_are_reported_and_other_links_are_followed(album, tmp_path):
    (album / "cat" / "up").symlink_to(album)
    (album / "self.png").symlink_to(album / "self.png")
    (album / "dead.png").symlink_to(album / "none.png")
    (tmp_path / "more").mkdir()
    shutil.copy(album / "4.png", tmp_path / "more" / "5.png")
    (album / "linked").symlink_to(tmp_path / "more")
    found = from_folder(album)
    reasons = {Path(name).name: reason for name, reason in found.bad.items()}
    assert set(reasons) == {"up", "self.png", "dead.png"}
    assert "link back" in reasons["up"]
    assert "cannot be opened" in reasons["self.png"]
    assert "linked/5.png" in set(found.manifest.table["id"])
    assert len(found.manifest) == 5
    assert len(from_paths([album / "**" / "*.png"]).order) < 10  # a pattern does not walk the loop


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_reported(album):
    (album / "4.png").chmod(0)
    found = from_folder(album)
    assert "make it readable" in found.bad[str(album / "4.png")]
    assert len(found.manifest) == 3


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_does_not_hang(album):
    os.mkfifo(album / "pipe.png")
    assert "no file" in from_folder(album).bad[str(album / "pipe.png")]


def test_nothing_found_is_one_sentence(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(OodlibError, match=r"no picture in .*only 1 other file"):
        from_folder(tmp_path)
    with pytest.raises(OodlibError, match="is no folder"):
        from_folder(tmp_path / "notes.txt")
    with pytest.raises(OodlibError, match="an empty list"):
        from_paths([])


def test_csv(album):
    (album / "list.csv").write_text("path,label,split\ncat/1.png,cat,test\nnone.png,dog,test\n4.png,,\n")
    found = from_csv(album / "list.csv")
    assert found.manifest.table[["id", "label", "split"]].to_numpy().tolist() == [
        ["cat/1.png", "cat", "test"],
        ["4.png", "", "all"],
    ]
    assert list(found.bad) == ["none.png"]


@pytest.mark.parametrize("content", ["", "file,label\na,b\n", "path,label\n"])
def test_csv_without_its_columns_or_lines_is_refused(content, tmp_path):
    (tmp_path / "list.csv").write_text(content)
    with pytest.raises(OodlibError, match="columns path and label"):
        from_csv(tmp_path / "list.csv")
    with pytest.raises(OodlibError, match="cannot read"):
        from_csv(tmp_path / "none.csv")


NOT_UTF8 = b"caf\xe9.png"


@pytest.mark.parametrize("name", [NOT_UTF8, b"caf\xe9/1.png", b"\xff\xfe\n\x1b[31m.png"])
def test_a_name_that_is_not_utf_8_can_be_listed_written_and_opened(album, name):
    target = Path(os.fsdecode(os.fsencode(album) + b"/" + name))
    target.parent.mkdir(exist_ok=True)
    shutil.copy(album / "4.png", target)
    found = from_folder(album)
    assert len(found.listing) == 5
    assert target in found.listing.paths()
    assert found.listing.paths() == found.manifest.paths()
    for text in (*found.order, *(cell for row in found.listing.rows for cell in row)):
        text.encode()
    assert found.manifest.digest == found.listing.digest


def test_what_is_wrong_with_a_name_that_is_not_utf_8_can_be_written(album):
    bad = Path(os.fsdecode(os.fsencode(album) + b"/cat/" + NOT_UTF8))
    bad.symlink_to(album / "none.png")
    Path(os.fsdecode(os.fsencode(album) + b"/caf\xe9.txt")).write_text("")
    found = from_folder(album)
    assert [name.encode() and reason.encode() for name, reason in found.bad.items()]
    assert found.passed_over == (f"{album}/caf\\udce9.txt",)


def test_a_folder_that_may_be_listed_and_no_more_is_reported(album, monkeypatch):
    """As root every folder may be searched, so the refusal is made up where the system gives it."""
    real = os.stat

    def refused(path, *arguments, **more):
        if "cat" in Path(path).parts[len(album.parts) :][:-1]:
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **more)

    monkeypatch.setattr(os, "stat", refused)
    monkeypatch.setattr("oodlib.datasets.folder.sha256_of", lambda path: refused(path) and "0")
    found = from_folder(album)
    assert {Path(name).name for name in found.bad} == {"1.png", "2.PNG"}
    assert all("make it readable" in reason for reason in found.bad.values())
    assert len(found.listing) == 2


def test_a_path_that_is_too_long_is_one_sentence(album):
    with pytest.raises(OodlibError, match="is no folder"):
        from_folder("x" * 5000)
    assert "does not exist" in from_paths([album, "x" * 5000]).bad["x" * 5000]
