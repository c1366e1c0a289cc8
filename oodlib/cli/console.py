"""What every command shares: the app, the two consoles, how expected errors end, options that take several values."""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import sys
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperCommand, TyperGroup

from oodlib.errors import MendedWarning, OodlibError, naming_extras


def plain(text: object) -> str:
    """A text with codes for what could steer a terminal or cannot be written: a name of a file may hold anything."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(text))


def plain_lines(text: str) -> str:
    """`plain`, of which lines stay lines."""
    return "\n".join(map(plain, text.split("\n")))


class Plain(Console):
    """A console on which no text, such as the name of a file or a folder, steers the terminal."""

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(plain_lines(one) if isinstance(one, str) else one for one in objects), **options)


class Commands(TyperGroup):
    """All commands: a refusal of the system that no module foresaw, such as of standard output, is one sentence."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            try:
                return super().main(*args, **kwargs)
            finally:
                if sys.stdout:
                    sys.stdout.flush()  # at the end of the process nobody could say that it failed
        except OSError as error:
            if error.filename is None:
                sys.stdout = io.StringIO()  # the end of the process would try again to write what is left
            if error.errno != errno.EPIPE:  # else somebody has seen enough
                with contextlib.suppress(OSError):
                    notes.print(f"error: {plain(_refusal(error))}", markup=False)
            sys.exit(1)


def _refusal(error: OSError) -> str:
    """What the system refused, in a sentence; writing to a stream is all that it refuses without the name of a file."""
    said = error.strerror or error
    if error.filename is not None:
        return f"cannot use {error.filename} ({said}): see that it can be read and written, and that the disk has space"
    if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EBADF):
        return f"cannot write to standard output ({said}): free some space, or send it elsewhere"
    return f"the system refuses to go on ({said}): see that its disks have space and can be written"


app = typer.Typer(
    cls=Commands,
    help="When should a vision-language model say 'none of these'? Tools of the book Outliers by Name.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
out = Plain(highlight=False, soft_wrap=not (sys.stdout and sys.stdout.isatty()))
notes = Plain(stderr=True, highlight=False, soft_wrap=True)


def note(sentence: object) -> None:
    """Tell a person something on standard error, in one line."""
    notes.print(f"note: {plain(sentence)}", markup=False)


@contextlib.contextmanager
def mending_told() -> Iterator[None]:
    """Have what was damaged and is made again said as notes."""
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, MendedWarning):
                note(message)
            else:
                usual(message, category, *where, **more)

        warnings.simplefilter("always", MendedWarning)
        warnings.showwarning = show
        yield


class Command(TyperCommand):
    """A command that refuses an option without a value, as a variable of the shell that is not set leaves it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        single = [option for option in self.params if not getattr(option, "multiple", False)]
        names = {name for option in single if not getattr(option, "is_flag", False) for name in option.opts}
        for name in empty(args, names):
            raise typer.BadParameter("it is empty: give it a value, or leave it out", ctx, param_hint=name)
        return super().parse_args(ctx, args)


def empty(words: list[str], options: set[str]) -> list[str]:
    """The options whose value is empty.

    >>> empty(["a.png", "--encoder", "", "--like=", "--top", "3", ""], {"--encoder", "--like", "--top"})
    ['--encoder', '--like']
    """
    given = words[: words.index("--")] if "--" in words else words
    apart = [name for name, value in pairwise(given) if not value]
    joined = [word.removesuffix("=") for word in given if word.endswith("=")]
    return [name for name in apart + joined if name in options]


class SeveralValues(Command):
    """A command whose list options take all words up to the next option: ``--labels cat dog car``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        lists = {name for option in self.params if getattr(option, "multiple", False) for name in option.opts}
        return super().parse_args(ctx, repeated(args, lists))


def repeated(words: list[str], options: set[str]) -> list[str]:
    """Write an option before each of its values, as the parser wants it; what comes after ``--`` stays.

    >>> repeated(["a.png", "--labels", "cat", "dog", "--top", "3", "--", "b"], {"--labels"})
    ['a.png', '--labels', 'cat', '--labels', 'dog', '--top', '3', '--', 'b']
    """
    written: list[str] = []
    current = ""
    first = False
    for place, word in enumerate(words):
        if word == "--":
            return written + words[place:]
        if word.startswith("-") and len(word) > 1:
            current, first = (word if word in options else ""), True
            written.append(word)
        else:
            if current and not first:
                written.append(current)
            written.append(word)
            first = False
    return written


def command(function: Callable[..., None], group: typer.Typer = app, **options: Any) -> Callable[..., None]:
    """Register a command, of a group if it is in one; expected errors become one sentence and exit code 1."""

    @group.command(**{"cls": Command, **options})
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        for stream in (sys.stdout, sys.stderr):  # whose encoding may lack a letter of a label or a file's name
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            with naming_extras(), mending_told():
                function(*args, **kwargs)
        except OodlibError as error:
            notes.print(f"error: {plain(error)}", style="red" if notes.is_terminal else None, markup=False)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            notes.print("interrupted; what was finished is kept, the same command goes on from there")
            raise typer.Exit(130) from None

    return wrapped
