"""The command `oodlib compare`: every detector on a person's own two folders.

Heavy imports wait until the command needs them, so that help comes at once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oodlib.cli.console import SeveralValues, command, note, notes, out
from oodlib.cli.detect import split
from oodlib.cli.options import Encoder, Like, Pretrained, QuickGelu, Templates, as_folder
from oodlib.errors import OodlibError

if TYPE_CHECKING:
    import pandas as pd

    from oodlib.guard.compare import Comparison

FORMATS = ("table", "json", "csv")
MAP = ("map.csv", "map.parquet", "map.png")


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
        Path, typer.Argument(parser=as_folder, metavar="OOD_FOLDER", help="other pictures: a folder or such a CSV")
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
) -> None:
    """Compare all detectors on your own pictures: how well does each tell ID_FOLDER from OOD_FOLDER.

    For example: oodlib compare pets/ elsewhere/ --output comparison

    With labelled pictures, detectors on features learn from half of them; all are tested on the other half.
    """
    if kind not in FORMATS:
        raise OodlibError(f"there is no format {kind!r}: choose one of {', '.join(FORMATS)}")
    if output is not None:
        import oodlib.report.projection  # noqa: F401 (a map that cannot be drawn is refused before anything takes time)
        from oodlib.cache import check_target

        check_target(output, folder=True)
    from oodlib.guard.compare import compare as run

    comparison = run(
        inside,
        outside,
        encoder or "pocket",
        pretrained=pretrained,
        quick_gelu=quick_gelu,
        like=like,
        labels=split(labels) if labels else None,
        outliers=split(outliers) if outliers else None,
        templates=templates,
        n_boot=resamples,
        progress=notes.is_terminal,
    )
    for sentence in comparison.notes:
        note(sentence)
    wide = _wide(comparison.results)
    if kind == "table":
        out.file.write(_aligned(wide))
    elif kind == "csv":
        out.file.write(wide.to_csv(index=False, lineterminator="\n"))
    else:
        out.file.write(json.dumps(wide.to_dict("records"), indent=1) + "\n")
    if output is not None:  # after the table, which is not lost where the disk is full
        _keep(comparison, output)
    first = comparison.results.iloc[0]
    tested = f"tested on {first['n_id']} pictures inside and {first['n_ood']} outside"
    notes.print(f"{tested}; intervals: 95 % of {resamples} bootstrap resamples")


command(compare, cls=SeveralValues)


def _keep(comparison: Comparison, folder: Path) -> None:
    """Write results, coordinates and map: each file whole or not at all, and no map where there can be none."""
    from oodlib.cache import write_atomically
    from oodlib.evaluation.results import write_results
    from oodlib.report.projection import coordinates, draw_map

    write_results(comparison.results, folder, "comparison")
    try:
        x, y = coordinates(comparison.features).T
    except OodlibError as error:
        note(f"the map is left out: {error}")
        for name in MAP:  # that of an earlier run is of other pictures
            (folder / name).unlink(missing_ok=True)
        return
    table = comparison.pictures.assign(x=x, y=y)
    write_atomically(folder / MAP[0], lambda path: table.to_csv(path, index=False, lineterminator="\n"))
    write_atomically(folder / MAP[1], lambda path: table.to_parquet(path, index=False))
    write_atomically(folder / MAP[2], lambda path: draw_map(table).savefig(path, dpi=160))


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


def _aligned(wide: pd.DataFrame) -> str:
    """The table for a person: percent with intervals; test-time methods carry a sign."""
    lines = [("detector", "AUROC (%)", "fpr95 (%)")]
    for row in wide.to_dict("records"):
        cells = [
            f"{100 * row[m]:.1f} [{100 * row[f'{m}_low']:.1f}, {100 * row[f'{m}_high']:.1f}]"
            for m in ("auroc", "fpr95")
        ]
        lines.append((row["detector"] + (" ⇄" if row["transductive"] else ""), *cells))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join("  ".join(map(str.ljust, line, widths)).rstrip() + "\n" for line in lines)
