"""The notebooks of the book: where they lie, what each says of itself, and which a command is to run, in order."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from oodlib.book.parameters import read_given
from oodlib.errors import OodlibError
from oodlib.experiments.profiles import Profile, load_profile, project_root


def source_path(name: str) -> Path:
    """The stripped source of a notebook.

    Raises
    ------
    OodlibError
        If there is no such notebook.
    """
    path = project_root() / "notebooks" / f"{name}.ipynb"
    if not path.is_file():
        known = sorted(other.stem for other in path.parent.glob("*.ipynb"))
        raise OodlibError(f"there is no notebook {name!r}: {_choices(name, known)}")
    return path


def notebook_names() -> list[str]:
    """The notebooks that are pages of the book, in an order to run them in: those that read others' results go last."""
    toc = yaml.safe_load((project_root() / "_toc.yml").read_text(encoding="utf-8"))
    entries = [entry for part in toc.get("parts", []) for entry in part["chapters"]] + toc.get("chapters", [])
    names = [Path(entry["file"]).name for entry in entries if entry["file"].startswith("notebooks/")]
    return sorted(names, key=lambda name: bool(reads(source_path(name))))


def about(source: Path) -> dict[str, Any]:
    """What a notebook says of itself to this library, in `metadata.oodlib`.

    `profile`: the one that the page is about. `reads`: what it reads of other notebooks' results, paths in the
    profile's folder. `alone`: it measures times, which other work beside it would change. `minutes`: about how long it
    takes, where that is long.
    """
    metadata: dict[str, Any] = json.loads(source.read_text(encoding="utf-8"))["metadata"].get("oodlib", {})
    return metadata


def reads(source: Path) -> list[str]:
    """What a notebook reads of other notebooks' results: paths in the profile's folder."""
    paths: list[str] = about(source).get("reads", [])
    return paths


def profile_of(name: str, profile: Profile) -> Profile:
    """The profile whose run a page shows: the book's own, or the one that the page is about.

    A page about EmojiShift or PocketCLIP says so in its metadata (`oodlib.profile`), and is the same in every book.
    """
    chosen = about(source_path(name)).get("profile", profile.name)
    return profile if chosen == profile.name else load_profile(chosen, small=profile.is_small)


def runs_of(profile: Profile) -> list[tuple[str, Profile]]:
    """What a book needs to have run, in order: pages of other profiles, with what they may read, and then its own."""
    names = notebook_names()
    borrowed = {other.name: other for name in names if (other := profile_of(name, profile)).name != profile.name}
    first = [(name, profile_of(name, other)) for other in borrowed.values() for name in names]
    return first + [(name, profile) for name in names if profile_of(name, profile) is profile]


def jobs_of(
    names: Sequence[str], profile: Profile, texts: Sequence[str] = ()
) -> list[tuple[str, Profile, dict[str, Any]]]:
    """What a command is to run, in order: notebook, profile, parameters. All that was typed is checked before any runs.

    Parameters
    ----------
    names : sequence of str
        Notebooks; none for all of the book's.
    profile : Profile
        What to run on.
    texts : sequence of str
        ``NAME=VALUE`` for each of the notebooks named.

    Raises
    ------
    OodlibError
        If a notebook is unknown, a parameter does not fit, or there are some and no notebook is named.
    """
    if texts and not names:
        raise OodlibError("--parameter needs to know the notebook that it is for: name one")
    if not names:
        return [(name, run_as, {}) for name, run_as in runs_of(profile)]
    given = {name: read_given(source_path(name), texts) for name in names}
    return [(name, profile_of(name, profile), given[name]) for name in names]


def _choices(name: str, known: list[str]) -> str:
    """The end of a message about a mistyped name."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"choose one of {', '.join(known)}"
