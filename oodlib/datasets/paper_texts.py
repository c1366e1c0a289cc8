"""The text sets of the papers: what each is, where a person gets it, and how it becomes a `TextSet`.

They lie below the data root of the photographs, each in the layout in which it is given away
(`oodlib.datasets.text_layouts`). Nothing here downloads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from oodlib.datasets.text_layouts import Row, columns, folders, intents, json_lines
from oodlib.datasets.text_set import TextSet
from oodlib.errors import OodlibError

NEWSGROUPS = {"train": "20news-bydate-train", "test": "20news-bydate-test"}


@dataclass(frozen=True)
class PaperTexts:
    """A text set of the papers.

    Parameters
    ----------
    name, title, shows : str
    paper, page : str
        Who made it, and where it is given away.
    licence : str or None
        None: not verified.
    place : str
        Its folder or file below the data root.
    splits : mapping of str to int
        The texts of each split, as its makers count them.
    read : callable
        From the place and a split to rows of id, text and class.
    by_hand : tuple of str
        The steps to get it.
    """

    name: str
    title: str
    shows: str
    paper: str
    page: str
    licence: str | None
    place: str
    splits: Mapping[str, int]
    read: Callable[[Path, str], Iterable[Row]]
    by_hand: tuple[str, ...]


SETS = {
    card.name: card
    for card in (
        PaperTexts(
            "20-newsgroups",
            "20 Newsgroups, by date",
            "posts of twenty groups, with headers, footers and quotes left in",
            "Lang, NewsWeeder: Learning to Filter Netnews, ICML 1995",
            "http://qwone.com/~jason/20Newsgroups/",
            None,
            "20-newsgroups",
            {"train": 11_314, "test": 7_532},
            lambda place, split: folders(place / NEWSGROUPS[split]),
            ("unpack 20news-bydate.tar.gz into the folder 20-newsgroups of the data root",),
        ),
        PaperTexts(
            "clinc150",
            "CLINC150",
            "requests to an assistant in 150 intents, and requests outside of them (splits oos_*, without a class)",
            "Larson et al., An Evaluation Dataset for Intent Classification and Out-of-Scope Prediction, EMNLP 2019",
            "https://github.com/clinc/oos-eval",
            "CC BY 3.0 (as its repository states)",
            "clinc150/data_full.json",
            {"train": 15_000, "val": 3_000, "test": 4_500, "oos_train": 100, "oos_val": 100, "oos_test": 1_000},
            intents,
            ("put data_full.json into the folder clinc150 of the data root",),
        ),
        PaperTexts(
            "news-category",
            "News Category",
            "headline and short description of news by category; it has no split",
            "Misra, News Category Dataset, arXiv:2209.11429",
            "https://www.kaggle.com/datasets/rmisra/news-category-dataset",
            None,
            "news-category/News_Category_Dataset_v3.json",
            {"all": 209_527},
            json_lines,
            ("put News_Category_Dataset_v3.json into the folder news-category of the data root",),
        ),
        PaperTexts(
            "imdb",
            "IMDB reviews",
            "film reviews, positive and negative",
            "Maas et al., Learning Word Vectors for Sentiment Analysis, ACL 2011",
            "https://ai.stanford.edu/~amaas/data/sentiment/",
            None,
            "aclImdb",
            {"train": 25_000, "test": 25_000},
            lambda place, split: folders(place / split, ("neg", "pos")),
            ("unpack aclImdb_v1.tar.gz into the data root",),
        ),
        PaperTexts(
            "sst-2",
            "SST-2, as GLUE has it",
            "sentences of film reviews, positive (1) and negative (0); the test split has no public classes",
            "Socher et al., Recursive Deep Models for Semantic Compositionality, EMNLP 2013",
            "https://gluebenchmark.com/tasks",
            None,
            "SST-2",
            {"train": 67_349, "dev": 872, "test": 1_821},
            partial(columns, text="sentence", label="label"),
            ("unpack SST-2.zip into the data root",),
        ),
    )
}


def paper_texts(name: str) -> PaperTexts:
    """The card of a set.

    Raises
    ------
    OodlibError
        If there is none of that name.
    """
    if name not in SETS:
        raise OodlibError(f"there is no text set {name!r}: choose among {', '.join(SETS)}")
    return SETS[name]


def load(name: str, split: str, root: Path) -> TextSet:
    """A split of a set, in the order of its files.

    Texts without a word are left out; a repeat is not, as the papers count it.

    Parameters
    ----------
    name : str
    split : str
    root : Path
        The data root, as `oodlib.datasets.photos.data_root` names it.

    Raises
    ------
    OodlibError
        If there is no such set or split, it is not there, or it cannot be read.
    """
    card = paper_texts(name)
    if split not in card.splits:
        raise OodlibError(f"{name} has no split {split!r}: choose among {', '.join(card.splits)}")
    if not (root / card.place).exists():
        raise OodlibError(f"{name} is not in {root}: `oodlib data get {name}` says how to get it")
    rows = [row for row in card.read(root / card.place, split) if row[1].strip()]
    ids, texts, labels = (tuple(row[k] for row in rows) for k in range(3))
    return TextSet(f"{name} {split}", ids, texts, labels)


def problems(name: str, root: Path) -> tuple[int, list[str]]:
    """How many texts of a set are there, and what is wrong with each split; reads all of it."""
    found, wrong = 0, []
    for split, count in paper_texts(name).splits.items():
        try:
            there = len(load(name, split, root))
        except OodlibError as error:
            wrong.append(str(error))
            continue
        found += there
        if there != count:
            wrong.append(
                f"{split} has {there:,} texts, and its makers count {count:,}: get it again, or another version"
            )
    return found, wrong
