import re
from pathlib import Path

import pytest

from oodlib.datasets import photos
from oodlib.datasets.class_lists import listed
from oodlib.datasets.exports import _READERS
from oodlib.datasets.photo_cards import Card
from oodlib.errors import OodlibError

BIBLIOGRAPHY = Path(__file__).parents[2] / "book" / "references.bib"
WANTED = (
    *("imagenet-1k", "imagenet-1k-train", "imagenet-10", "imagenet-20", "imagenet-100", "imagenet-10-train"),
    *("inaturalist", "sun", "places", "textures", "ninco", "ssb-hard", "openimage-o", "imagenet-o"),
    *("cub-100", "cub-100-rest", "cars-98", "cars-98-rest", "food-50", "food-50-rest", "pet-18", "pet-18-rest"),
    *("waterbirds", "placesbg", "cifar-10", "cifar-100", "svhn", "mnist"),
)


def test_every_set_of_the_tables_has_a_card():
    assert set(WANTED) <= set(photos.names())


@pytest.mark.parametrize("name", photos.names())
def test_a_card_is_whole(name):
    card = photos.card(name)
    assert card.name == name
    assert card.title
    assert card.shows
    assert card.facts
    assert re.match(r"https?://[\w.-]+/", card.source.page)
    assert card.archives or card.by_hand
    for archive in card.archives:
        assert archive.address is None or re.match(r"https?://[\w.-]+/\S+$", archive.address)
        assert "/" not in archive.file
    if card.source.key:
        assert f"{{{card.source.key}," in BIBLIOGRAPHY.read_text(encoding="utf-8")
    if card.landing:
        assert card.layout.folder == card.landing.to or card.layout.folder.startswith(f"{card.landing.to}/")
        assert card.landing.export is None or card.landing.export in _READERS
    if card.layout.per_class and card.classes and card.pictures and card.layout.kind == "class_folders":
        assert card.pictures == card.layout.per_class * len(photos.class_ids(name))


def test_a_part_has_what_its_parent_has():
    part, whole = photos.card("cub-100-rest"), photos.card("cub-200")
    assert (part.archives, part.layout, part.licence) == (whole.archives, whole.layout, whole.licence)
    assert part.home == "cub-200"
    assert photos.card("imagenet-10").by_hand == photos.card("imagenet-1k").by_hand


def test_a_card_with_a_wrong_fact_is_refused():
    good = photos.card("textures").model_dump()
    archive = good["archives"][0]
    for change in (
        {"checksum": "md5:123"},
        {"checksum": "sha256:" + archive["checksum"].split(":")[1]},
        {"bytes": 0},
        {"address": None},  # and no steps for a person
        {"colour": "red"},
    ):
        with pytest.raises(ValueError, match="validation error"):
            Card.model_validate({**good, "archives": [{**archive, **change}]})


def test_an_unknown_set_is_one_sentence():
    with pytest.raises(OodlibError, match="did you mean textures"):
        photos.card("texture")
    with pytest.raises(OodlibError, match="choose one of cars-196"):
        photos.card("../../zebra")


def test_the_lists_have_the_classes_that_the_papers_say():
    sizes = {name: len(photos.class_ids(name)) for name in WANTED}
    assert [sizes[name] for name in ("imagenet-1k", "imagenet-10", "imagenet-20", "imagenet-100")] == [
        1000,
        10,
        20,
        100,
    ]
    rest = [sizes[name] for name in ("cub-100-rest", "cars-98-rest", "food-50-rest", "pet-18-rest")]
    assert rest == [100, 98, 51, 19]
    ten, twenty, hundred = (set(photos.class_ids(f"imagenet-{n}")) for n in (10, 20, 100))
    assert not ten & twenty
    assert not ten & hundred
    assert hundred & twenty == {"n01632458", "n04147183"}
    assert ten | twenty | hundred <= set(photos.class_ids("imagenet-1k"))
    assert set(photos.class_ids("imagenet-10-train")) == ten
    for part, whole in (("cub-100", "cub-200"), ("cars-98", "cars-196"), ("food-50", "food-101"), ("pet-18", "pet-37")):
        assert sorted(photos.class_ids(part) + photos.class_ids(f"{part}-rest")) == list(photos.class_ids(whole))


def test_ids_are_sorted_and_names_go_with_them():
    for name in photos.names():
        ids = photos.class_ids(name)
        assert list(ids) == sorted(set(ids))
    named = dict(zip(photos.class_ids("imagenet-1k"), photos.class_names("imagenet-1k", "openai"), strict=True))
    assert named["n02422699"] == "impala (antelope)"
    assert photos.class_names("cub-100")[0] == "Laysan Albatross"
    assert photos.class_names("pet-18")[0] == "American Bulldog"


def test_the_two_namings_of_imagenet_10_differ():
    clean, openai = (photos.class_names("imagenet-10", naming) for naming in ("clean", "openai"))
    at = photos.class_ids("imagenet-10").index("n04552348")
    assert (clean[at], openai[at]) == ("warplane", "military aircraft")
    assert photos.class_names("imagenet-20")[:2] == ("common newt", "eft")
    assert len(set(clean)) == len(set(openai)) == 10
    with pytest.raises(OodlibError, match="choose clean or openai"):
        photos.class_names("imagenet-10", "pretty")
    with pytest.raises(OodlibError, match="has no list of class names"):
        photos.class_names("sun")


def test_cifar_has_torchvisions_number_of_classes():
    assert (len(listed("cifar-10")), len(listed("cifar-100")), len(listed("textures"))) == (10, 100, 47)
