"""What the course page opens with: the finding that students come to by themselves, from the data that they get."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from oodlib.coursework.data import ID_SET
from oodlib.datasets import emojishift
from oodlib.report import plots
from oodlib.report.comparison import Comparison
from oodlib.report.pages import draw, figure_markdown

KINDS = {**dict.fromkeys(emojishift.FAR_GROUPS, "far"), "near": "near"}


def energies(data: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The score `energy` of every picture by the hands that the book tests with, as assignment 1 has it, by set.

    Parameters
    ----------
    data : mapping of str to array
        The coursework's data file.

    Returns
    -------
    dict of set name to (n,)
        Larger = more in-distribution.
    """
    features, names = (_unit(data[name]) for name in ("features", "text"))
    tau = 1 / float(data["logit_scale"])
    cosines = features @ names[data["name_set"] == ID_SET].T
    scores = tau * logsumexp(cosines / tau, axis=1)
    shown = np.isin(data["hand"], emojishift.HOME_HANDS)
    return {name: scores[shown & (data["set"] == name)] for name in (ID_SET, *KINDS)}


def open_page(source: Path, data: Mapping[str, Any], *, n_boot: int) -> None:
    """Write the finding and its figure into a site's sources: `fragments/coursework_finding.md`, and under `figures/`.

    Parameters
    ----------
    source : Path
    data : mapping of str to array
        The coursework's data file.
    n_boot : int
        Bootstrap resamples.
    """
    scores = energies(data)
    frame = pd.concat([pd.DataFrame({"set": name, "score": found}) for name, found in scores.items()])
    asked = Comparison(frame.assign(id_set=ID_SET, detector="energy"), ID_SET, KINDS, ["energy"], n_boot=n_boot)
    far, near = asked.sets("far"), asked.sets("near")
    means = {kind: asked.of("energy", sets) for kind, sets in (("far", far), ("near", near))}
    names = int((data["name_set"] == ID_SET).sum())
    lost = str(asked.across("energy", far, near))
    said = (
        f"**What students find.** Told {names} names and no more, how well does a model see that a picture shows none "
        f"of them? {lost[0].upper()}{lost[1:]}. The five assignments lead there, and ask what can be done about it."
    )
    other_kinds = np.concatenate([scores[name] for name in far])
    panels = {"far: things of other kinds": other_kinds, "near: siblings": scores["near"]}
    others = len(other_kinds) + len(scores["near"])
    draw(plots.score_histogram(scores[ID_SET], panels, xlabel="energy"), "coursework", source)
    figure = figure_markdown(
        "coursework",
        alt="Histograms of the score energy of known animals and food beside those of other things. Things of other "
        f"kinds lie mostly to the left, AUROC {means['far'].texts[0]} %; siblings lie among the known ones, AUROC "
        f"{means['near'].texts[0]} %.",
        caption=f"What the score `energy` makes of the coursework's data: $n$ = {len(scores[ID_SET])} pictures of "
        f"*{ID_SET}*, whose names are known, beside {others} others. What lies to the right of the dashed line passes "
        "when 95 % of the known ones are kept.",
    )
    (source / "fragments").mkdir(parents=True, exist_ok=True)
    figure = figure.replace("../_images/", "../../_images/")  # the page stands a folder deeper than the others
    (source / "fragments" / "coursework_finding.md").write_text(f"{said}\n\n{figure}\n", encoding="utf-8")


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float32)
    unit: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
