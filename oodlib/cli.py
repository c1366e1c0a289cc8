"""The command line: `oodlib data | embed | run | book | serve | doctor`.

Heavy imports wait until a command needs them, so that help comes at once.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.table import Table

from oodlib.errors import OodlibError

app = typer.Typer(
    help="When should a vision-language model say 'none of these'? Tools of the book Outliers by Name.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
out = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
notes = Console(stderr=True, highlight=False, soft_wrap=True)

ProfileOption = Annotated[str, typer.Option("--profile", help="what to run on: a file in profiles/, by its name")]
SmallOption = Annotated[bool, typer.Option("--small", help="the profile's small block: few pictures, for a quick look")]


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Register a command whose expected errors become one sentence on standard error and exit code 1."""

    @app.command()
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            function(*args, **kwargs)
        except OodlibError as error:
            notes.print(f"error: {error}", style="red" if notes.is_terminal else None, markup=False)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            notes.print("interrupted; what was finished is kept, the same command goes on from there")
            raise typer.Exit(130) from None

    return wrapped


@command
def data() -> None:
    """Draw EmojiShift's pictures (once) and say what is there."""
    from oodlib.datasets import emojishift

    if not (emojishift.folder() / "manifest.csv").exists():
        notes.print("drawing about 8,400 pictures, once; on two cores this takes one to two minutes")
    manifest = emojishift.load()
    table = Table("hand", "split", "pictures", "concepts")
    for (hand, split), rows in manifest.table.groupby(["hand", "split"], sort=False):
        table.add_row(str(hand), str(split), f"{len(rows):,}", f"{rows['concept'].nunique():,}")
    out.print(table)
    out.print(f"{len(manifest):,} pictures; {len(emojishift.dropped())} exact copies were left out")
    out.print(f"manifest {manifest.digest}\nfolder   {manifest.root}", soft_wrap=True)


@command
def embed(profile: ProfileOption = "pocket") -> None:
    """Embed the profile's pictures, or go on where an earlier run stopped."""
    from oodlib.profiles import load_profile

    chosen = load_profile(profile)
    from oodlib.datasets import emojishift
    from oodlib.embeddings import embed as embed_pictures
    from oodlib.encoders import load_encoder

    choice = chosen.encoder
    encoder = load_encoder(choice.name, choice.pretrained, device=choice.device, precision=choice.precision)
    manifest = emojishift.benchmark_pictures(emojishift.load())
    start = time.monotonic()
    features = embed_pictures(encoder, manifest, progress=notes.is_terminal)
    out.print(
        f"{len(features):,} pictures, {features.features.shape[1]} numbers each, in {time.monotonic() - start:.1f} s"
    )
    out.print(f"store    {features.key}\nencoder  {encoder.digest}\nmanifest {manifest.digest}", soft_wrap=True)


@command
def run(
    notebooks: Annotated[
        list[str] | None, typer.Argument(help="which ones, by name; by default all of the book's")
    ] = None,
    profile: ProfileOption = "pocket",
    small: SmallOption = False,
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help="NAME=VALUE for the notebooks that are named")
    ] = None,
) -> None:
    """Execute the book's notebooks under a profile; those whose ingredients did not change are left alone."""
    from oodlib.notebooks import execute, notebook_names

    if parameter and not notebooks:
        raise OodlibError("--parameter needs to know the notebook that it is for: name one")
    given = dict(_parameter(text) for text in parameter or [])
    for name in notebooks or notebook_names():
        start = time.monotonic()
        notes.print(f"{name}: executing if anything changed ...", end="\r" if notes.is_terminal else "\n")
        done = execute(name, profile, given, small=small)
        state = f"executed in {time.monotonic() - start:.0f} s" if done.fresh else "unchanged"
        out.print(f"{name}: {state}, {_short(done.path)}", soft_wrap=True)


@command
def book(profile: ProfileOption = "pocket", small: SmallOption = False) -> None:
    """Build the site from the executed notebooks and the pages in book/."""
    from oodlib.site import build

    start = time.monotonic()
    index, fresh = build(profile, small=small)
    state = f"built in {time.monotonic() - start:.0f} s" if fresh else "unchanged"
    out.print(f"the book: {state}, open {_short(index)}", soft_wrap=True)


@command
def serve(
    profile: ProfileOption = "pocket",
    port: Annotated[int, typer.Option(help="on this machine only")] = 8000,
) -> None:
    """Show the built book on localhost."""
    from oodlib.site import serve as serve_site

    serve_site(profile, port=port)


@command
def doctor() -> None:
    """Check everything that a run needs, and say what to do about what is missing."""
    from oodlib.doctor import examine

    table = Table("", "what", "found")
    checks = list(examine())
    for check in checks:
        table.add_row("[green]ok[/]" if check.fine else "[red]no[/]", check.what, check.found)
    out.print(table)
    bad = sum(not check.fine for check in checks)
    out.print("everything is there" if not bad else f"{bad} of {len(checks)} checks failed")
    if bad:
        raise typer.Exit(1)


def _parameter(text: str) -> tuple[str, Any]:
    """`name=value`, the value read as YAML so that numbers, booleans and lists need no quotes."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise OodlibError(f"--parameter {text!r} is not NAME=VALUE: write for example -p temperature=0.5")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError:
        raise OodlibError(f"the value in --parameter {text!r} cannot be read: put it in quotes") from None


def _short(path: Path) -> Path:
    """A path as seen from here, where that is shorter."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


if __name__ == "__main__":
    app()
