"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def as_folder(text: str) -> Path:
    """A path that is not empty, as a variable of the shell that is not set leaves it: that would be the current one."""
    if not text:
        raise typer.BadParameter("it is empty: name a folder")
    return Path(text)


Encoder = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        help="pocket (small, for drawings, no download), an open_clip architecture such as ViT-B-32, hf-hub:ORG/REPO "
        "or local-dir:FOLDER",
        show_default="pocket",
    ),
]
Pretrained = Annotated[
    str | None, typer.Option("--pretrained", help="weights of an architecture: a tag such as openai, or a file")
]
QuickGelu = Annotated[
    bool | None,
    typer.Option("--quick-gelu/--no-quick-gelu", help="activation of weights in a file: yes for OpenAI's"),
]
Like = Annotated[
    str | None,
    typer.Option("--like", help="tag whose activation, scaling and normalisation are those of weights in a file"),
]
Templates = Annotated[
    str | None,
    typer.Option(
        "--templates",
        help="prompts around names: bare, photo, five, seven, drawings, ...; several are averaged",
        show_default="the encoder's own, else photo",
    ),
]
Format = Annotated[
    str | None, typer.Option("--format", help="table, json, csv or html", show_default="by --output, else table")
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="file to write instead of standard output")]
