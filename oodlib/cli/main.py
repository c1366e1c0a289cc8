"""`oodlib detect | search | compare | data | embed | envision | run | book | coursework | serve | doctor`.

`detect` and `search` are in `oodlib.cli.detect`, `compare`, `data` and `embed` in modules of these names. Heavy imports
wait until a command needs them, so that help comes at once.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from oodlib.cli import compare, data, detect, embed  # noqa: F401 (importing one registers its commands)
from oodlib.cli.console import app, command, notes, out, plain
from oodlib.errors import OodlibError

__all__ = ["app"]

KEY_VARIABLE = "OPENAI_API_KEY"
ProfileOption = Annotated[str, typer.Option("--profile", help="what to run on: a file in profiles/, by its name")]
SmallOption = Annotated[bool, typer.Option("--small", help="the profile's small block: few pictures, for a quick look")]


@command
def envision(
    id_set: Annotated[
        str | None, typer.Option("--id-set", help="the class names of a benchmark: animals-food, hard-10 or hard-20")
    ] = None,
    names: Annotated[
        Path | None, typer.Option("--names", help="or a text file with class names of your own, one a line")
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            "--form",
            help="far: other things that look alike; near: look-alikes of each class; fine-grained: other members of "
            "the same family",
        ),
    ] = "far",
    count: Annotated[
        int | None,
        typer.Option(
            "--count",
            min=1,
            help="labels in all (in fifties), or for near those of each class",
            show_default="100; near 3",
        ),
    ] = None,
    super_type: Annotated[
        str | None, typer.Option("--super-type", help="for fine-grained: what your names are kinds of, such as bird")
    ] = None,
    base_url: Annotated[
        str, typer.Option("--base-url", help="the endpoint, up to where /chat/completions begins")
    ] = "http://localhost:8000/v1",
    model: Annotated[str | None, typer.Option("--model", help="the model's name at that endpoint")] = None,
    key_variable: Annotated[
        str | None,
        typer.Option(
            "--key-variable",
            help="environment variable with the API key, if the endpoint wants one",
            show_default=KEY_VARIABLE,
        ),
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="seconds to wait for each reply")] = 120.0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="file to write", show_default="NAMES-FORM.json here")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show the prompts and send nothing")] = False,
) -> None:
    """Ask a language model which things could be mistaken for your classes, and keep its answers as outlier labels.

    Any server with OpenAI's chat-completions interface will do: OpenAI, vLLM, llama.cpp, Ollama, ...

    Only the class names are sent. The three forms of the question are those of EOE (ICML 2024).

    Begin with --dry-run, which shows the prompts.
    """
    from oodlib.outlier_labels.chat import ChatClient
    from oodlib.outlier_labels.envision import envision as ask_for_labels
    from oodlib.outlier_labels.envision_prompts import SUPER_TYPES, as_form, chats, distinct_prompts

    kind = as_form(form)
    title, class_names = _named_classes(id_set, names)
    known = SUPER_TYPES.get(title, "") if names is None and kind == "fine-grained" else ""
    super_type = super_type or known
    n_requests = sum(map(len, chats(class_names, kind, count=count, super_type=super_type)))
    if dry_run:
        for prompt in distinct_prompts(class_names, kind, count=count, super_type=super_type):
            out.print(f"{prompt}\n", markup=False)
        out.print(f"{_times(n_requests, 'request')} for {_times(len(class_names), 'class name')}; nothing was sent")
        return
    if not model:
        raise OodlibError("which model? Pass --model with its name at the endpoint")
    target = output or Path(f"{title}-{form}.json")
    if key_variable is not None and not os.environ.get(key_variable, "").strip():
        raise OodlibError(f"no key is in the variable {key_variable}: set it, or leave --key-variable out")
    client = ChatClient(base_url, model, key_variable or KEY_VARIABLE, timeout)
    notes.print(
        f"asking {model} at {base_url} for {form} labels of {_times(len(class_names), 'class name')} "
        f"({_times(n_requests, 'request')}); they go to {target}",
        markup=False,
    )

    def heard(done: int, total: int) -> None:
        if notes.is_terminal:
            notes.print(f"{done} of {total} replies", end="\r" if done < total else "\n")

    try:
        found = ask_for_labels(
            class_names,
            kind,
            client.ask,
            id_set=title,
            source=f"{model} at {base_url}",
            count=count,
            super_type=super_type,
            heard=heard,
        )
    except KeyboardInterrupt:
        notes.print("interrupted; nothing was written")
        raise typer.Exit(130) from None
    found.write(target)
    if bare := sum(not reply for reply in found.replies):
        notes.print(f'{_times(bare, "reply", "replies")} of {n_requests} had no line that starts with "- "')
    out.print(f"{found.counts['labels']} labels (of {found.counts['came']} as they came): {target}", markup=False)


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
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, help="notebooks at once", show_default="one for each core, at most 4"),
    ] = None,
) -> None:
    """Execute the book's notebooks under a profile; those whose ingredients did not change are left alone."""
    from oodlib.book.chapters import jobs_of
    from oodlib.book.side_by_side import execute_all
    from oodlib.experiments.profiles import load_profile

    chosen = load_profile(profile, small=small)
    wanted = jobs_of(notebooks or [], chosen, parameter or [])
    if chosen.photos:
        from oodlib.experiments.preflight import check

        check(chosen, out)
    notes.print(f"{_times(len(wanted), 'notebook')}: executing those of which anything changed")
    for name, run_as, done, seconds in execute_all(wanted, at_once=jobs):
        shown = name if run_as.name == profile else f"{name} (profile {run_as.name})"
        state = f"executed in {seconds:.0f} s" if done.fresh else "unchanged"
        out.print(f"{shown}: {state}, {_short(done.path)}", soft_wrap=True)


@command
def book(
    profile: ProfileOption = "pocket",
    small: SmallOption = False,
    repository: Annotated[
        str | None,
        typer.Option(envvar="OODLIB_REPOSITORY", help="OWNER/NAME on GitHub, for links that open pages elsewhere"),
    ] = None,
    ref: Annotated[
        str | None, typer.Option(envvar="OODLIB_REF", help="the tag (v0.1.0) or full commit that those links install")
    ] = None,
    check_links: Annotated[
        bool, typer.Option("--check-links", help="build nothing; ask every other host that pages link to")
    ] = False,
) -> None:
    """Build the site from the executed notebooks and the pages in book/.

    With a repository and a ref, every page gets links that open it in Google Colab and on Binder.
    """
    from oodlib.book import site
    from oodlib.book.launch import edition

    published = edition(repository, ref)
    start = time.monotonic()
    if check_links:
        count = site.check_links(profile, small=small, published=published)
        out.print(f"links: {count} addresses answer, asked in {time.monotonic() - start:.0f} s")
        return
    index, fresh = site.build(profile, small=small, published=published)
    state = f"built in {time.monotonic() - start:.0f} s" if fresh else "unchanged"
    out.print(f"the book: {state}, open {_short(index)}", soft_wrap=True)


@command
def coursework(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="folder to make", show_default="_build/coursework")
    ] = None,
    small: SmallOption = False,
) -> None:
    """Make the coursework: notebooks for students, solutions, sources for otter-grader and nbgrader, and the data."""
    from oodlib.coursework.make import make_coursework, masters
    from oodlib.experiments.profiles import load_profile

    start = time.monotonic()
    chosen = masters()  # a malformed one is refused before anything takes time
    notes.print("collecting features; what is not kept from earlier runs is computed now")
    folder = make_coursework(load_profile("pocket", small=small), output)
    out.print(
        f"{_times(len(chosen), 'assignment')}, {sum(master.points for master in chosen):g} points, in "
        f"{time.monotonic() - start:.0f} s: {_short(folder)}",
        soft_wrap=True,
    )


@command
def serve(
    profile: ProfileOption = "pocket",
    port: Annotated[int, typer.Option(min=0, max=65535, help="on this machine only; 0: any that is free")] = 8000,
) -> None:
    """Show the built book on localhost."""
    from oodlib.book.site import serve as serve_site

    serve_site(profile, port=port)


@command
def doctor() -> None:
    """Check everything that a run needs, and say what to do about what is missing."""
    from oodlib.cli.doctor import examine

    table = Table("", "what", "found")
    checks = list(examine())
    for check in checks:
        table.add_row("[green]ok[/]" if check.fine else "[red]no[/]", check.what, plain(check.found))
    out.print(table)
    bad = sum(not check.fine for check in checks)
    out.print("everything is there" if not bad else f"{bad} of {len(checks)} checks failed")
    if bad:
        raise typer.Exit(1)


def _named_classes(id_set: str | None, names: Path | None) -> tuple[str, list[str]]:
    """What the classes are called together, and each of them: of a benchmark, or from a text file."""
    from oodlib.outlier_labels.envision_prompts import read_names

    if (id_set is None) == (names is None):
        raise OodlibError("whose look-alikes? Pass either --id-set or --names")
    if names is not None:
        return names.stem, read_names(names)
    from oodlib.datasets import emojishift

    known = emojishift.benchmarks(data.emoji_pictures())
    if id_set not in known:
        raise OodlibError(f"there is no ID set {id_set!r}: choose one of {', '.join(known)}, or pass --names")
    return id_set, list(known[id_set].names)


def _times(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun: `1 request`, `2 requests`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def _short(path: Path) -> Path:
    """A path as seen from here, where that is shorter."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
