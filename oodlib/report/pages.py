"""What a notebook puts on its page: figures with alternative text, captioned tables, sentences with numbers.

Everything goes out twice: as MyST Markdown, which the book turns into numbered figures and tables, and as HTML, which a
notebook program shows. So a page reads the same in the book and in Jupyter.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from oodlib.errors import naming_extras
from oodlib.provenance import RunRecord, current_run, product, recording, run_link
from oodlib.report.cells import NBSP, write_csv
from oodlib.report.svg import svg

with naming_extras():
    from IPython.display import Markdown, display


def show(figure: Figure, name: str, *, alt: str, caption: str) -> None:
    """Put a figure on the page.

    Parameters
    ----------
    figure : Figure
    name : str
        Its file `figures/<name>.svg` and its label: other pages refer to it with ``{numref}`fig-<name>` ``.
    alt : str
        What the figure shows, for a reader who cannot see it: say the finding, with its numbers.
    caption : str
        What it is: sets, n, convention, interval. MyST markup is fine.

    Raises
    ------
    ValueError
        If the alternative text says nothing (fewer than 20 characters).
    """
    if len(alt.strip()) < 20:
        raise ValueError(f"the figure {name!r} needs alternative text that says what it shows: pass alt=...")
    drawing = svg(figure).encode()
    if recording():
        product(f"figures/{name}.svg", Path()).write_bytes(drawing)
    _emit(figure_markdown(name, alt=alt, caption=caption), _figure_html(drawing, alt, caption))


def draw(figure: Figure, name: str, source: Path) -> None:
    """Write the file that `figure_markdown` shows into a site's sources, for a page that no notebook makes."""
    (source / "figures").mkdir(parents=True, exist_ok=True)
    (source / "figures" / f"{name}.svg").write_text(svg(figure), encoding="utf-8")


def figure_markdown(name: str, *, alt: str, caption: str, label: str | None = None) -> str:
    """The MyST directive that shows `figures/<name>.svg`; for a second showing elsewhere, give another label.

    The figure links to itself: a click shows it alone, with values on hover. Its class keeps the theme from greying it.
    """
    quoted = json.dumps(" ".join(alt.split()), ensure_ascii=False)
    options = f":name: fig-{label or name}\n:target: ../_images/{name}.svg\n:class: dark-light\n:alt: {quoted}"
    return f"```{{figure}} /figures/{name}.svg\n{options}\n\n{_typeset(caption)}\n```"


def table_markdown(frame: pd.DataFrame, *, name: str, caption: str, data: str = "", run: str = "") -> str:
    """A table as a MyST directive with a caption and the label `tab-<name>`; cells are shown as they are.

    `data` is the path of a file with its rows, in the site's sources, and `run` the id of the run that made them; the
    caption then ends with links to that file and to the run's record.
    """
    if data:
        caption = f"{caption} {{download}}`Data (csv) <{data}>`"
    if run:
        caption = f"{caption} {run_link(run, f'Run {run}')}"
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in frame.itertuples(index=False)]
    right = [pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes]
    lines = [
        "| " + " | ".join(str(column) for column in frame.columns) + " |",
        "|" + "|".join("---:" if numeric else "---" for numeric in right) + "|",
        *("| " + " | ".join(row) + " |" for row in cells),
    ]
    return f":::{{table}} {_typeset(caption)}\n:name: tab-{name}\n\n" + "\n".join(lines) + "\n:::"


def table(frame: pd.DataFrame, name: str, *, caption: str, group: str = "", fold: str = "") -> None:
    """Put a table on the page: column names and cells as their texts, the index left out.

    A recorded run also writes its rows to `tables/<name>.csv` (`oodlib.report.cells.write_csv`), and the page links
    that file and the run's record. In a browser, `book/_static/tables.js` folds a long table, sorts and copies it.

    Parameters
    ----------
    frame : DataFrame
        Numbers with an interval are an `Interval`; other numbers are shown as `str` shows them.
    name : str
        Its label: other pages refer to it with ``{numref}`tab-<name>` ``.
    caption : str
        n, convention and interval belong here.
    group : str
        A column that says what a group of rows is about: the page names it in the first row of each group only.
    fold : str
        For a table that few readers want to see whole: it stands in a fold with this title, shut at first.
    """
    links = {}
    if recording():
        write_csv(frame, product(f"tables/{name}.csv", Path()))
        links = {"data": f"/tables/{name}.csv", "run": current_run()}
    if group:
        frame = frame.assign(**{group: frame[group].where(frame[group] != frame[group].shift(), "")})
    twin = f"<p><b>{html.escape(caption)}</b></p>" + frame.to_html(index=False)
    markdown = table_markdown(frame, name=name, caption=caption, **links)
    if fold:
        twin = f"<details><summary>{html.escape(fold)}</summary>{twin}</details>"
        markdown = f"::::{{admonition}} {_typeset(fold)}\n:class: dropdown note table-fold\n\n{markdown}\n::::"
    _emit(markdown, twin)


def say(text: str) -> None:
    """Put Markdown on the page; this is how a sentence gets its numbers from the run."""
    display(Markdown(_typeset(text)))


def _typeset(text: str) -> str:
    """Keep a percent sign on the line of its number."""
    return text.replace(" %", f"{NBSP}%")


def how_made(record: RunRecord, source: str, data: Sequence[str] = ()) -> str:
    """The fold "How this page was made" of an executed page, as MyST Markdown.

    Parameters
    ----------
    record : RunRecord
    source : str
        Where the notebook lies as it was written, in the site's sources.
    data : sequence of str
        Where the files with the page's numbers lie there.
    """
    state = "with changes that are not committed" if record.dirty else "as committed"
    rows = {
        "Run": f"{run_link(record.run)}, started {record.started}, {record.wall_seconds:.1f} s on {record.platform}",
        "Sources": f"commit `{record.commit[:12]}`, {state}; "
        f"{{download}}`notebook <{source}>` `{record.source_sha256[:12]}`, "
        f"code `{record.code_sha256[:12]}`, lock `{record.lock_sha256[:12]}`",
        "Parameters": _pairs(record.parameters),
        "Model": f"{record.encoder.get('model', '')}, digest `{record.encoder.get('digest', '')[:12]}`, "
        f"{record.dtype} on {record.device}",
        "Pictures": _pairs({name: digest[:12] for name, digest in record.manifests.items()}) or "none",
        "Kept features": _pairs({name: key[:12] for name, key in record.embeddings.items()}) or "none",
        "Numbers": ", ".join(f"{{download}}`{Path(path).name} <{path}>`" for path in data) or "on this page alone",
        "Seeds": _pairs(record.seeds) or "none",
        "Versions": ", ".join(f"{name} {version}" for name, version in record.versions.items()),
    }
    if not record.encoder:
        del rows["Model"]
    lines = "\n".join(f"- **{name}**: {value}" for name, value in rows.items())
    return f"```{{admonition}} How this page was made\n:class: dropdown note how-made\n\n{lines}\n```"


def _pairs(values: Mapping[str, object]) -> str:
    """A dictionary as `name` = `value`, in code type."""
    return ", ".join(f"`{name} = {value}`" for name, value in values.items())


def _figure_html(drawing: bytes, alt: str, caption: str) -> str:
    """The figure for a notebook program: the picture inside the page, the alternative text real."""
    data = base64.b64encode(drawing).decode()
    return (
        f'<figure><img alt="{html.escape(alt)}" style="width:34rem;max-width:100%" '
        f'src="data:image/svg+xml;base64,{data}"><figcaption>{html.escape(caption)}</figcaption></figure>'
    )


def _emit(markdown: str, twin: str) -> None:
    """Show both forms; the book's configuration prefers the Markdown."""
    display({"text/markdown": markdown, "text/html": twin, "text/plain": ""}, raw=True)
