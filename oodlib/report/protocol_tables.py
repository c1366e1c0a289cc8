"""What the page on photographs shows: the sets by their cards, the protocols, and what came of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import pandas as pd
from rich.filesize import decimal

from oodlib.datasets import photos
from oodlib.experiments.profiles import Profile
from oodlib.experiments.protocol_parts import FeatureProtocol, NameProtocol, Protocol
from oodlib.report.cells import NBSP, Interval
from oodlib.report.tables import SHOWN

NOT_VERIFIED = "not verified"


def card_table(names: Iterable[str]) -> pd.DataFrame:
    """One row a set of photographs: what it shows, how large it is, where it comes from. What is not known says so."""
    rows = []
    for name in names:
        card = photos.card(name)
        paper = f"{{cite:p}}`{card.source.key}`" if card.source.key else card.source.paper
        rows.append(
            {
                "set": f"`{name}`",
                "what it shows": card.shows,
                "used as": card.use,
                "pictures": f"{card.pictures:,}" if card.pictures else NOT_VERIFIED,
                "download": f"part of `{card.parent}`" if card.parent else _download(card),
                "licence": card.licence or NOT_VERIFIED,
                "source": f"[{card.title}]({card.source.page}) {paper}",
            }
        )
    return pd.DataFrame(rows)


def contamination(names: Iterable[str]) -> list[str]:
    """What is known of pictures that are in a set and should not be, as lines of a list."""
    return [
        f"* `{name}`: {'; '.join(photos.card(name).contamination)}."
        for name in names
        if photos.card(name).contamination
    ]


def protocol_table(
    run: Profile, reasons: Mapping[tuple[str, str], str], done: Iterable[tuple[str, str]]
) -> pd.DataFrame:
    """One row a protocol and encoder, with what came of it.

    Parameters
    ----------
    run : Profile
        Whose protocols.
    reasons : mapping of (protocol, encoder) to str
        Why one was not run, or not all of it, as `oodlib.experiments.protocols.run_protocols` says.
    done : iterable of (protocol, encoder)
        Those that were run; the encoder by its label in the profile.
    """
    ran, rows = set(done), []
    for label, protocol in run.tables.items():
        for encoder in protocol.encoders:
            said = reasons.get((label, encoder), "")
            state = "run" if (label, encoder) in ran else "not run here"
            rows.append(
                {
                    "protocol": f"`{label}`",
                    "what": protocol.title,
                    "encoder": encoder,
                    "sets": _pairs(protocol),
                    "detectors": ", ".join(f"`{name}`" for name in _detectors(protocol)),
                    "words": (protocol.words if isinstance(protocol, NameProtocol) else None) or "–",
                    "prompts": f"`{protocol.prompts}`, names {protocol.names}"
                    if isinstance(protocol, NameProtocol)
                    else "–",
                    "tuning": _tuning(protocol),
                    "papers": f"{{cite:p}}`{','.join(protocol.papers)}`",
                    "state": f"{state}: {said}" if said else state,
                }
            )
    return pd.DataFrame(rows)


def cells(run: Profile) -> int:
    """How many numbers of one metric a profile's protocols name: encoders, shots, pairs and detectors, multiplied."""
    return sum(
        len(one.encoders) * len(_shots(one)) * len(one.pairs) * len(_detectors(one)) for one in run.tables.values()
    )


def found_table(rows: pd.DataFrame) -> pd.DataFrame:
    """What the protocols gave: one row a cell, AUROC and both readings of FPR95 in percent with their intervals."""
    part = rows[rows["metric"].isin(list(SHOWN))].copy()
    part["protocol"] = [f"`{json.loads(text)['protocol']}`" for text in part["parameters"]]
    found = [Interval(*row) for row in part[["value", "low", "high"]].to_numpy()]
    part["cell"] = pd.Series(found, part.index, dtype=object)
    part["tuning"] = [_tuned(*row) for row in part[["tuning", "shots", "seed"]].to_numpy()]
    keys = ["protocol", "encoder", "parameters", "tuning", "id_set", "ood_set", "detector"]
    wide = part.pivot(index=keys, columns="metric", values="cell").reindex(
        pd.MultiIndex.from_frame(part[keys]).unique()
    )
    table = wide[list(SHOWN)].rename(columns=SHOWN).reset_index().rename_axis(columns=None)
    return table.drop(columns="parameters").rename(columns={"id_set": "ID set", "ood_set": "OOD set"})


def _download(card: photos.Card) -> str:
    """The archives' own size, or that of another packing of the same pictures, which is not quite it."""
    if card.download_bytes is None and card.about:
        return f"about {_size(card.about)}"
    return _size(card.download_bytes)


def _size(size: int | None) -> str:
    if size is None:
        return NOT_VERIFIED
    return decimal(size, separator=NBSP)


def _pairs(protocol: Protocol) -> str:
    return "; ".join(
        f"{one} | {', '.join(part for parts in kinds.values() for part in parts)}"
        for one, kinds in protocol.sets.items()
    ).replace("|", "→")


def _detectors(protocol: Protocol) -> list[str]:
    """The labels of its detectors."""
    return list(protocol.detectors) if isinstance(protocol, NameProtocol | FeatureProtocol) else []


def _shots(protocol: Protocol) -> list[int]:
    chosen = protocol.tuning if isinstance(protocol, NameProtocol) else None
    return chosen.shots if chosen else [0]


def _tuning(protocol: Protocol) -> str:
    if isinstance(protocol, FeatureProtocol):
        return f"learns from {protocol.per_class} pictures a class of {protocol.taught}"
    chosen = protocol.tuning if isinstance(protocol, NameProtocol) else None
    return f"`{chosen.method}`, {', '.join(map(str, chosen.shots))} shots" if chosen else "–"


def _tuned(method: str, shots: int, seed: int) -> str:
    return "–" if method == "none" else f"`{method}`, {shots} shots, seed {seed}"
