"""The command `oodlib compare`: every detector on a person's own two folders.

Heavy imports wait until the command needs them, so that help comes at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodlib.cli.comparison import draw, show
from oodlib.cli.console import SeveralValues, command, note, notes
from oodlib.cli.detect import split
from oodlib.cli.options import Encoder, Like, Pretrained, QuickGelu, Templates, as_folder
from oodlib.errors import OodlibError

if TYPE_CHECKING:
    import pandas as pd


FORMATS = ("table", "json", "csv")


def compare(
    inside: Annotated[
        Path,
        typer.Argument(
            parser=as_folder,
            metavar="ID_FOLDER",
            help="a folder for each class in it, or a CSV with the columns path, label",
        ),
    ],
    outside: Annotated[
        Path,
        typer.Argument(
            parser=as_folder,
            metavar="OOD_FOLDER",
            help="other pictures: a folder or such a CSV; with --unlabelled also some of your classes",
        ),
    ],
    labels: Annotated[
        list[str] | None, typer.Option("--labels", help="names of your classes", show_default="the folders' names")
    ] = None,
    encoder: Encoder = None,
    pretrained: Pretrained = None,
    quick_gelu: QuickGelu = None,
    like: Like = None,
    templates: Templates = None,
    outliers: Annotated[
        list[str] | None,
        typer.Option("--outliers", help="words for what is not in your classes", show_default="nouns of WordNet"),
    ] = None,
    kind: Annotated[str, typer.Option("--format", help="table, json or csv")] = "table",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="folder for results (parquet, csv), a map by UMAP (png) and its coordinates"
        ),
    ] = None,
    resamples: Annotated[
        int, typer.Option("--resamples", min=10, help="of the bootstrap, behind every interval")
    ] = 1000,
    unlabelled: Annotated[
        bool,
        typer.Option(
            "--unlabelled",
            help="nobody has said which pictures of the second folder are out: estimate their share, and rank the "
            "detectors without labels",
        ),
    ] = False,
) -> None:
    """Compare all detectors on your own pictures: how well does each tell ID_FOLDER from OOD_FOLDER.

    For example: oodlib compare pets/ elsewhere/ --output comparison

    With labelled pictures, detectors on features learn from half of them; all are tested on the other half.

    Without labels: oodlib compare pets/ camera-of-today/ --unlabelled
    """
    if kind not in FORMATS:
        raise OodlibError(f"there is no format {kind!r}: choose one of {', '.join(FORMATS)}")
    if output is not None:
        import oodlib.report.projection  # noqa: F401 (a map that cannot be drawn is refused before anything takes time)
        from oodlib.cache import check_target

        check_target(output, folder=True)
    asked: dict[str, Any] = {
        "pretrained": pretrained,
        "quick_gelu": quick_gelu,
        "like": like,
        "labels": split(labels) if labels else None,
        "outliers": split(outliers) if outliers else None,
        "templates": templates,
        "progress": notes.is_terminal,
    }
    if unlabelled:
        from oodlib.cli.unlabelled import report

        report(inside, outside, encoder or "pocket", asked, kind, output)
        return
    from oodlib.guard.compare import compare as run

    comparison = run(inside, outside, encoder or "pocket", n_boot=resamples, **asked)
    for sentence in comparison.notes:
        note(sentence)
    wide = _wide(comparison.results)
    show(wide, _cells(wide), kind)
    if output is not None:  # after the table, which is not lost where the disk is full
        from oodlib.evaluation.results import write_results

        write_results(comparison.results, output, "comparison")
        draw(comparison, output)
    first = comparison.results.iloc[0]
    tested = f"tested on {first['n_id']} pictures inside and {first['n_ood']} outside"
    notes.print(f"{tested}; intervals: 95 % of {resamples} bootstrap resamples")


command(compare, cls=SeveralValues)


def _wide(results: pd.DataFrame) -> pd.DataFrame:
    """One row a detector, the best AUROC first, numbers as shares with the ends of their intervals."""
    shown = results[results["metric"].isin(["auroc", "fpr95"])]
    ends = {"": "value", "_low": "low", "_high": "high"}
    value, low, high = (
        shown.pivot(index=["detector", "transductive"], columns="metric", values=end).add_suffix(suffix)
        for suffix, end in ends.items()
    )
    order = [f"{metric}{suffix}" for metric in ("auroc", "fpr95") for suffix in ends]
    wide = value.join(low).join(high)[order]
    return wide.sort_values("auroc", ascending=False, kind="stable").reset_index()


def _cells(wide: pd.DataFrame) -> list[tuple[str, ...]]:
    """The table for a person: percent with intervals; test-time methods carry a sign."""
    lines: list[tuple[str, ...]] = [("detector", "AUROC (%)", "fpr95 (%)")]
    for row in wide.to_dict("records"):
        cells = (
            f"{100 * row[m]:.1f} [{100 * row[f'{m}_low']:.1f}, {100 * row[f'{m}_high']:.1f}]"
            for m in ("auroc", "fpr95")
        )
        lines.append((row["detector"] + (" ⇄" if row["transductive"] else ""), *cells))
    return lines
