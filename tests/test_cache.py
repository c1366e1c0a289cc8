import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import save_file

from oodlib.cache import (
    check_target,
    home_folder,
    load_sealed,
    replace_folder,
    save_sealed,
    writable,
    write_atomically,
)
from oodlib.errors import DamagedError, OodlibError


def test_home_folder_prefers_argument_then_variable_then_platform(monkeypatch, tmp_path):
    monkeypatch.setenv("OODLIB_HOME", str(tmp_path / "variable"))
    assert home_folder(tmp_path / "argument") == tmp_path / "argument"
    assert home_folder() == tmp_path / "variable"
    monkeypatch.setenv("OODLIB_HOME", "here")
    assert home_folder() == Path.cwd() / "here"  # what is made in it may name it
    monkeypatch.delenv("OODLIB_HOME")
    assert home_folder().name == "oodlib"


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OodlibError, match=r"x.json \(No space left on device\): free some space"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OodlibError, match=r"cannot write .*choose a folder"):
        write_atomically(tmp_path / "file" / "x", lambda path: path.write_text("x"))


def test_written_files_have_the_permissions_that_any_new_file_has(tmp_path):
    write_atomically(tmp_path / "ours", lambda path: path.write_text("x"))
    (tmp_path / "plain").write_text("x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_replace_folder_swaps_whole_folders(tmp_path):
    for name, content in (("new", "2"), ("target", "1")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(content)
    replace_folder(tmp_path / "new", tmp_path / "target")
    assert (tmp_path / "target" / "file").read_text() == "2"
    assert [p.name for p in tmp_path.iterdir()] == ["target"]


@pytest.mark.parametrize("there", ["file", "link", "broken link"])
def test_replace_folder_takes_the_place_of_what_is_no_folder(there, tmp_path):
    target = tmp_path / "target"
    for _ in range(2):  # what was moved aside is not in the way of the next time
        (tmp_path / "new").mkdir()
        target.write_text("x") if there == "file" else target.symlink_to(tmp_path if there == "link" else "nowhere")
        replace_folder(tmp_path / "new", target)
        assert [path.name for path in tmp_path.iterdir()] == ["target"]
        target.rmdir()


def test_what_is_kept_goes_elsewhere_by_a_variable(tmp_path, monkeypatch):
    def fail(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("OODLIB_HOME", str(tmp_path))
    with pytest.raises(OodlibError, match="free some space, or set OODLIB_HOME to another folder"):
        write_atomically(tmp_path / "guards" / "x", fail)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that nobody can write")
def test_folder_that_cannot_be_written_is_named_with_the_remedy():
    with pytest.raises(OodlibError, match=r"cannot write in the cache folder /proc/oodlib .*OODLIB_HOME"):
        writable(Path("/proc/oodlib"))


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")
def test_full_disk_is_one_sentence_and_leaves_nothing_half_written(tmp_path):
    # A limit on file size makes the kernel refuse the bytes, as a full disk does.
    program = """
import resource, sys
from pathlib import Path
from oodlib.cache import write_atomically
from oodlib.errors import OodlibError
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_atomically(Path(sys.argv[1]), lambda path: path.write_bytes(b"x" * 5000))
except OodlibError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "big")], capture_output=True, text=True, env=os.environ
    )
    assert "cannot write" in done.stdout, done.stderr
    assert "free some space" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_refused_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "file.csv").write_text("old")
    check_target(tmp_path / "file.csv")
    check_target(tmp_path / "new" / "deep" / "file.csv")
    check_target(tmp_path / "new", folder=True)
    assert [path.name for path in tmp_path.iterdir()] == ["file.csv"]
    for path, folder in (
        (tmp_path, False),
        (tmp_path / "file.csv", True),
        (tmp_path / "file.csv" / "below.csv", False),
        (tmp_path / ("x" * 300), False),
        (tmp_path / "a\0b", True),
    ):
        with pytest.raises(OodlibError, match=r"cannot write .*choose"):
            check_target(path, folder=folder)
    monkeypatch.setattr("oodlib.cache.os.access", lambda *_: False)  # root may write anywhere
    with pytest.raises(OodlibError, match=r"cannot write .* is read-only\)"):
        check_target(tmp_path / "new.csv")


def test_a_name_that_is_too_long_is_one_sentence(tmp_path):
    with pytest.raises(OodlibError, match=r"cannot write .* too long\)"):
        write_atomically(tmp_path / ("x" * 300), lambda path: path.write_text("new"))


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path):
    for path in (tmp_path, Path()):
        with pytest.raises(OodlibError, match="is a folder: name a file in it"):
            write_atomically(path, lambda temporary: temporary.write_text("x"))


@pytest.mark.parametrize("way", ["refused", "full"])
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that nobody can write")
def test_what_safetensors_cannot_write_is_one_sentence(way, tmp_path):
    """Its error for a refusal of the disk is no OSError."""

    def write(temporary: Path) -> None:
        if way == "full":
            raise SafetensorError("I/O error: No space left on device (os error 28)")
        save_file({"x": np.zeros(9)}, temporary)

    path = Path("/proc/oodlib/x.safetensors") if way == "refused" else tmp_path / "x.safetensors"
    with pytest.raises(OodlibError, match=r"cannot write .*x.safetensors .*: free some space, or choose") as caught:
        write_atomically(path, write)
    assert "\n" not in str(caught.value)
    assert not any(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no such pipes")
def test_a_pipe_keeps_its_place_and_a_link_stays_a_link(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OodlibError, match="pipe, which is a device or a pipe: name a file"):
        write_atomically(tmp_path / "pipe", lambda temporary: temporary.write_text("x"))
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "deep").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "file")
    for content in ("old", "new"):
        write_atomically(tmp_path / "link", lambda temporary, text=content: temporary.write_text(text))
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "deep" / "file").read_text() == content
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["file"]


def test_what_is_sealed_comes_back(tmp_path):
    arrays = {"b": np.eye(3, dtype=np.float32).T[::2], "a": np.array(7), "none": np.empty((0, 4), np.int16)}
    save_sealed(tmp_path / "x.safetensors", arrays, {"who": "me"})
    found, about = load_sealed(tmp_path / "x.safetensors")
    assert about == {"who": "me"}
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


@pytest.mark.parametrize("bit", [0, 3, 7])
def test_no_bit_of_a_sealed_file_changes_what_is_read(bit, tmp_path):
    """Each byte of a small file in turn: it is damaged, or what is read is what was written."""
    arrays = {"features": np.arange(6, dtype=np.float32).reshape(2, 3), "count": np.array([3], np.int64)}
    path = tmp_path / "x.safetensors"
    save_sealed(path, arrays, {"texts": ["cat", "dog"]})
    whole, noticed = path.read_bytes(), 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
        try:
            found, about = load_sealed(path)
        except DamagedError:
            noticed += 1
        else:
            assert about == {"texts": ["cat", "dog"]}
            assert all(np.array_equal(found[name], array) for name, array in arrays.items())
    assert noticed > 0.9 * len(whole)


def test_rows_in_another_order_and_another_name_are_damage(tmp_path):
    features = np.arange(6, dtype=np.float32).reshape(2, 3)
    save_sealed(tmp_path / "x.safetensors", {"features": features}, {"of": "x"})
    with pytest.raises(FileNotFoundError):
        load_sealed(tmp_path / "none.safetensors")
    from safetensors import safe_open

    with safe_open(tmp_path / "x.safetensors", "np") as file:
        sealed = file.metadata()
    other = {name: said.replace("x", "y") for name, said in sealed.items()}
    assert other != sealed
    for arrays, said in (({"features": features[::-1].copy()}, sealed), ({"features": features}, other)):
        save_file(arrays, tmp_path / "y.safetensors", metadata=said)
        with pytest.raises(DamagedError, match=r"y\.safetensors is damaged"):
            load_sealed(tmp_path / "y.safetensors")
