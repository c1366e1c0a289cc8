import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from oodlib.datasets import hashes, photos
from oodlib.datasets.examination import survey
from oodlib.errors import OodlibError
from tools.sample_tree import make

# number of pictures and of labels that the made-up tree has of each set
FOUND = {
    "cars-98": (20, 10),
    "cars-98-rest": (20, 10),
    "cifar-100": (60, 10),
    "cub-100": (20, 10),
    "cub-200": (40, 20),
    "food-50-rest": (20, 10),
    "imagenet-10": (20, 10),
    "imagenet-10-train": (20, 10),
    "imagenet-1k": (80, 40),
    "imagenet-20": (40, 20),
    "inaturalist": (60, 1),
    "mnist": (60, 10),
    "ninco": (60, 5),
    "pet-18": (20, 10),
    "placesbg": (60, 1),
    "ssb-hard": (60, 3),
    "textures": (60, 47),
    "waterbirds": (10, 2),
}


@pytest.fixture
def copy(sample_tree, tmp_path):
    """A folder of the sample in a data root of its own, which is no sample: there, counts matter."""

    def of(folder: str, name: str = "root") -> Path:
        root = tmp_path / name
        shutil.copytree(sample_tree / folder, root / folder)
        return root

    return of


def only(name: str, root: Path, *, deep: bool = False) -> str:
    """The one problem of a set, which must name the set."""
    state = photos.examine(name, root, deep=deep)
    assert len(state.problems) == 1, state
    assert state.problems[0].startswith(f"{name}: ")
    return state.problems[0]


def touch(folder: Path, count: int, suffix: str = "jpg") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        (folder / f"{k:06d}.{suffix}").touch()


@pytest.mark.parametrize("name", photos.names())
def test_every_layout_is_read(name, sample_tree):
    manifest = photos.load(name, sample_tree)
    table = manifest.table
    assert list(table.columns) == ["id", "uri", "label", "split", "sha256", "class_id"]
    assert list(table["id"]) == sorted(table["id"])
    assert all(path.is_file() for path in manifest.paths())
    assert set(table["class_id"]) == set(photos.class_ids(name, sample_tree)) or not photos.card(name).classes
    if name in FOUND:
        assert (len(table), table["label"].nunique()) == FOUND[name]
    assert photos.examine(name, sample_tree, deep=True).word == "sample"


def test_labels_are_names_and_pictures_keep_their_hash(sample_tree):
    row = photos.load("imagenet-10", sample_tree).table.set_index("class_id").loc["n04552348"].iloc[0]
    assert row["label"] == "warplane"
    assert row["split"] == "val"
    path = sample_tree / row["uri"]
    assert row["uri"].startswith("imagenet/val/n04552348/")
    assert row["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert set(photos.load("waterbirds", sample_tree).table["label"]) == {"landbird", "waterbird"}
    assert set(photos.load("sun", sample_tree).table["label"]) == {""}
    assert "amphiuma means" in set(photos.load("ninco", sample_tree).table["label"])
    train = photos.load("cub-100", sample_tree).table["uri"]
    assert not train.str.endswith("_0002.jpg").any(), "CUB's training pictures"


def test_the_sample_is_the_same_every_time(sample_tree, tmp_path):
    again = make(tmp_path / "again")
    for name in ("imagenet-1k", "ninco", "cars-98", "svhn"):
        assert photos.load(name, again).digest == photos.load(name, sample_tree).digest
    (again / "SAMPLE.json").unlink()
    with pytest.raises(OodlibError, match="holds something else"):
        make(again)


def test_the_sample_says_so_and_restricts_the_classes(sample_tree, tmp_path):
    content = json.loads((sample_tree / "SAMPLE.json").read_text())
    assert content["sample"] is True
    assert photos.is_sample(sample_tree)
    assert not photos.is_sample(tmp_path)
    assert list(photos.class_ids("imagenet-1k", sample_tree)) == content["classes"]
    assert len(photos.class_ids("imagenet-100", sample_tree)) == 12
    assert len(photos.class_ids("imagenet-1k", tmp_path)) == 1000
    (tmp_path / "SAMPLE.json").write_text("[]")
    with pytest.raises(OodlibError, match="is damaged"):
        photos.is_sample(tmp_path)


def test_the_root_is_what_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.delenv("OODLIB_DATA", raising=False)
    monkeypatch.setenv("OODLIB_HOME", str(tmp_path))
    assert photos.data_root("IMAGENET_ROOT") == tmp_path / "data"
    monkeypatch.setenv("OODLIB_DATA", "there")
    assert photos.data_root("IMAGENET_ROOT") == Path("there")
    monkeypatch.setenv("IMAGENET_ROOT", "here")
    assert photos.data_root("IMAGENET_ROOT") == Path("here")


def test_nothing_there(tmp_path):
    assert "`oodlib data get textures` fetches it" in only("textures", tmp_path)
    assert "by hand, `oodlib data get imagenet-1k` says how" in only("imagenet-1k", tmp_path)
    assert photos.examine("sun", tmp_path).word == "not there"
    with pytest.raises(OodlibError, match=r"there is nothing in .*SUN.*`oodlib data check sun` tells all"):
        photos.load("sun", tmp_path)


def test_an_archive_that_is_still_packed(tmp_path):
    (tmp_path / "SUN.tar.gz").touch()
    assert "SUN.tar.gz is still packed: `oodlib data get sun` unpacks it" in only("sun", tmp_path)
    assert photos.examine("sun", tmp_path).word == "still packed"
    (tmp_path / "imagenet").mkdir()
    (tmp_path / "imagenet" / "ILSVRC2012_img_val.tar").touch()
    assert "unpack it as `oodlib data get imagenet-1k` says" in only("imagenet-1k", tmp_path)


@pytest.mark.parametrize(
    ("name", "is_in", "belongs_in"),
    [
        ("sun", "SUN/SUN/images", "SUN/images"),
        ("sun", "SUN/images/images", "SUN/images"),
        ("sun", "images", "SUN/images"),
        ("sun", "SUN", "SUN/images"),
        ("textures", "dtd", "dtd/images"),
        ("textures", "dtd/dtd/images", "dtd/images"),
        ("imagenet-20", "imagenet/imagenet/val", "imagenet/val"),
        ("imagenet-20", "val", "imagenet/val"),
    ],
)
def test_a_folder_too_deep_or_too_high_is_named(name, is_in, belongs_in, sample_tree, tmp_path):
    shutil.copytree(sample_tree / belongs_in, tmp_path / is_in)
    problem = only(name, tmp_path)
    assert is_in in problem
    assert belongs_in in problem
    assert "move" in problem


def test_class_folders_in_one_more_folder(sample_tree, tmp_path):
    shutil.copytree(sample_tree / "ssb_hard", tmp_path / "ssb_hard" / "unpacked")
    assert "too deep, in folders such as ssb_hard/unpacked/" in only("ssb-hard", tmp_path)


@pytest.mark.skipif(Path(__file__.upper()).exists(), reason="names of files have no case here")
def test_a_folder_in_other_letters(copy):
    root = copy("SUN")
    (root / "SUN").rename(root / "sun")
    assert "must be spelt SUN: rename it" in only("sun", root)


def test_a_flat_validation_set(tmp_path):
    touch(tmp_path / "imagenet" / "val", 0)
    for k in range(30):
        (tmp_path / "imagenet" / "val" / f"ILSVRC2012_val_{k:08d}.JPEG").touch()
    problem = only("imagenet-1k", tmp_path)
    assert "is flat, with 30 pictures as the archive unpacks" in problem
    assert "shows the command" in problem


def test_missing_classes_are_named(copy):
    root = copy("imagenet/val")
    shutil.rmtree(root / "imagenet" / "val" / "n02123597")
    assert "1 of 10 classes missing from imagenet/val (n02123597)" in only("imagenet-10", root)
    shutil.rmtree(root / "imagenet" / "val" / "n04552348")
    with pytest.raises(OodlibError, match=r"2 of 10 classes missing .*n02123597, n04552348"):
        photos.load("imagenet-10", root)


def test_counts_that_are_not_those_of_the_card(tmp_path):
    touch(tmp_path / "SUN" / "images", 9_998)
    state = survey("sun", tmp_path)[0]
    assert (state.found, state.expected, state.word) == (9_998, 10_000, "not complete")
    assert "9,998 pictures in SUN/images where 10,000 belong, 2 too few" in state.problems[0]
    touch(tmp_path / "SUN" / "images", 10_000)
    assert survey("sun", tmp_path)[0].word == "complete"
    (tmp_path / "SUN" / "images" / "000001 (1).jpg").touch()
    said = survey("sun", tmp_path)[0].problems[0]
    assert re.search(r"1 too many: move away .*SUN/images/000001 \(1\)\.jpg", said)


def test_the_class_that_is_short_is_named(tmp_path):
    for wnid in photos.class_ids("imagenet-10"):
        touch(tmp_path / "imagenet" / "val" / wnid, 49 if wnid == "n03095699" else 50, "JPEG")
    assert re.search(r"\b499 .*\b500 .*n03095699 has 49 of 50", str(survey("imagenet-10", tmp_path)[0].problems))


def test_folders_that_are_no_class(copy, sample_tree):
    root = copy("dtd/images")
    shutil.copy(sample_tree / "SAMPLE.json", root)
    (root / "dtd" / "images" / "my_pictures").mkdir()
    (root / "dtd" / "images" / ".cache").mkdir()
    assert re.search("1 folder is no class .*dtd/images/my_pictures", only("textures", root))


def test_files_that_are_missing_from_the_sets_own_list(copy, sample_tree):
    root = copy("CUB_200_2011")
    shutil.copy(sample_tree / "SAMPLE.json", root)
    gone = photos.load("cub-100", root).paths()[3]
    gone.unlink()
    assert gone.name in only("cub-100", root)
    with pytest.raises(OodlibError, match="1 picture is missing that the set's own list names"):
        photos.load("cub-100", root)
    photos.load("cub-100-rest", root)  # is whole


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("cub-100", "CUB_200_2011/images.txt", "no two words a line\n"),
        ("cub-100", "CUB_200_2011/train_test_split.txt", "1 0\n"),
        ("waterbirds", "waterbird_complete95_forest2water2/metadata.csv", "a,b\n1,2\n"),
        ("cars-98", "stanford_cars/cars_test_annos_withlabels.mat", "this is no .mat file"),
        ("pet-18", "oxford-iiit-pet/annotations/test.txt", b"\xff\xfe\x00"),
        ("food-50", "food-101/meta/test.txt", "apple_pie/../../../secret\n"),
    ],
)
def test_a_damaged_list_is_one_sentence(name, file, content, copy):
    root = copy(file.split("/")[0])
    (root / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    state = photos.examine(name, root)
    assert state.problems
    assert state.found == 0
    (root / file).unlink()
    assert Path(file).name in photos.examine(name, root).problems[0]


def test_a_list_cannot_name_a_file_outside(copy):
    root = copy("waterbird_complete95_forest2water2")
    table = root / "waterbird_complete95_forest2water2" / "metadata.csv"
    (root.parent / "secret.jpg").touch()
    table.write_text("img_filename,y,split\n../../secret.jpg,0,1\n")
    assert "outside its folder" in photos.examine("waterbirds", root).problems[0]


def test_content_that_is_no_picture(copy, sample_tree):
    root = copy("SUN")
    shutil.copy(sample_tree / "SAMPLE.json", root)
    first, second, third = sorted((root / "SUN" / "images").iterdir())[:3]
    first.write_bytes(b"<html>not found</html>")
    assert f"1 file is no picture inside (of 60 looked at), such as SUN/images/{first.name}" in only("sun", root)
    assert photos.examine("sun", root).word == "damaged"
    assert first.name in only("sun", root, deep=True)
    first.write_bytes(second.read_bytes())
    second.write_bytes(second.read_bytes()[:700])  # truncated: only decoding tells
    assert photos.examine("sun", root).fine
    assert second.name in only("sun", root, deep=True)
    second.write_bytes(first.read_bytes())
    third.write_bytes(b"")
    assert f"1 picture is empty, such as SUN/images/{third.name}" in only("sun", root)
    third.write_bytes(first.read_bytes())
    (root / "SUN" / "images" / "Thumbs.db").touch()
    assert "not named like a picture, such as SUN/images/Thumbs.db" in only("sun", root)
    assert len(photos.load("sun", root)) == 60  # such a file is not in the manifest


def test_hashes_are_kept_and_noticed_when_a_file_changes(copy, sample_tree, monkeypatch, tmp_path):
    monkeypatch.setenv("OODLIB_HOME", str(tmp_path / "home"))
    root = copy("SUN")
    shutil.copy(sample_tree / "SAMPLE.json", root)
    before = photos.load("sun", root)
    table = hashes.table_path("sun", root)
    written = table.stat().st_mtime_ns
    path = before.paths()[5]
    state = path.stat()
    # content changed behind the table's back: the hash that is kept is given, so the file was not read again
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert photos.load("sun", root).digest == before.digest
    assert table.stat().st_mtime_ns == written, "nothing new to write"
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    after = photos.load("sun", root).table
    changed = after["sha256"] != before.table["sha256"]
    assert list(after["id"][changed]) == [before.table["id"].iloc[5]]
    table.write_bytes(b"no parquet")
    assert photos.load("sun", root).table.equals(after)


def test_parts_share_the_table_of_the_whole(copy, sample_tree, monkeypatch, tmp_path):
    monkeypatch.setenv("OODLIB_HOME", str(tmp_path / "home"))
    root = copy("imagenet/val")
    shutil.copy(sample_tree / "SAMPLE.json", root)
    photos.load("imagenet-10", root)
    photos.load("imagenet-20", root)
    assert len(list((tmp_path / "home" / "hashes").iterdir())) == 1
    known = hashes._read(hashes.table_path("imagenet-1k", root))
    assert len(known) == 60


def test_pictures_of_the_sample_are_small_and_of_many_sizes(sample_tree):
    paths = photos.load("inaturalist", sample_tree).paths()
    sizes = {Image.open(path).size for path in paths}
    assert len(sizes) > 50
    assert all(64 <= side <= 400 for size in sizes for side in size)
    assert max(path.stat().st_size for path in paths) < 20_000
