"""What the data card of EmojiShift says: sources, counts, what was left out, how the sets are cut. Nothing is typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from oodlib.datasets.base import Benchmark, Manifest
from oodlib.datasets.emoji_sources import HANDS, PRETRAINING_HANDS, credits


def source_report(manifest: Manifest) -> pd.DataFrame:
    """One row a hand: what it is for, who drew it, under which licence, and how many pictures it gives."""
    pictures = manifest.table["hand"].value_counts()
    rows = []
    for hand in HANDS:
        credit = credits(hand)
        use = "pretraining" if hand in PRETRAINING_HANDS else "benchmark"
        rows.append(
            {
                "hand": f"[{hand}]({credit['home']})" if credit["home"] else hand,
                "use": use,
                "author": credit["author"],
                "licence": credit["licence"],
                "package": credit["version"],
                "pictures": int(pictures.get(hand, 0)),
            }
        )
    return pd.DataFrame(rows)


def group_report(manifest: Manifest) -> pd.DataFrame:
    """Pictures by Unicode group and split, with the number of concepts; the last row adds up."""
    table = manifest.table
    report = table.pivot_table(index="group", columns="split", values="id", aggfunc="count", fill_value=0, sort=False)
    report.insert(0, "concepts", table.groupby("group")["concept"].nunique())
    report.loc["all"] = report.sum()
    return report.astype(int).reset_index().rename_axis(columns=None)


def dedup_report(dropped: pd.DataFrame) -> pd.DataFrame:
    """Pictures that were left out, by hand and by the rule that dropped them."""
    report = dropped.pivot_table(index="hand", columns="why", values="id", aggfunc="count", fill_value=0)
    for rule in ("ambiguous", "repeated"):
        if rule not in report:
            report[rule] = 0
    return report[["ambiguous", "repeated"]].astype(int).reset_index().rename_axis(columns=None)


def set_report(benchmarks: Mapping[str, Benchmark]) -> pd.DataFrame:
    """One row an ID or OOD set: kind, hands, pictures, concepts, and the concepts that pretraining never saw."""
    rows = []
    for benchmark in benchmarks.values():
        parts = {f"{benchmark.name} (ID)": ("ID", benchmark.id)}
        parts |= {name: (benchmark.kinds[name], part) for name, part in benchmark.ood.items()}
        for name, (kind, part) in parts.items():
            table = part.table
            rows.append(
                {
                    "set": name,
                    "kind": kind,
                    "hands": ", ".join(dict.fromkeys(table["hand"])),
                    "pictures": len(table),
                    "concepts": table["concept"].nunique(),
                    "of them unseen": table.loc[table["unseen"] == "true", "concept"].nunique(),
                }
            )
    return pd.DataFrame(rows)


def by_hand(manifest: Manifest, names: Sequence[str]) -> Manifest:
    """The named concepts in every hand, hand by hand; raises KeyError where a hand lacks one."""
    wanted = pd.MultiIndex.from_product([HANDS, names])
    rows = manifest.table.set_index(["hand", "name"], drop=False).loc[wanted]
    return Manifest(manifest.name, manifest.root, rows.reset_index(drop=True))
