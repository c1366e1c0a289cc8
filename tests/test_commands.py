"""Every command that a page prints is run: cheap ones for real, expensive ones until all that was typed is checked.

A command of a kind that no table below names fails; nothing is skipped because nobody thought of it.
"""

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from oodlib.book.chapters import jobs_of
from oodlib.book.launch import edition
from oodlib.cli.main import app
from oodlib.coursework.make import masters
from oodlib.detectors import get_detector
from oodlib.errors import OodlibError
from oodlib.experiments.profiles import load_profile
from oodlib.feature_detectors import on_concepts

UsageError = typer.BadParameter.__base__  # of the parser that typer brings along
ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
PAGES += [path for path in sorted(ROOT.glob("book/**/*.md")) if path.name != "changelog.md"]
NOTEBOOKS = sorted(ROOT.glob("notebooks/**/*.ipynb"))
HELP = sorted(ROOT.glob("oodlib/cli/*.py"))  # the examples in the help of commands
STARTS = re.compile(r"(?:oodlib|make|python -m oodlib[.\w]*|python tools/\S+|cp)(?:\s|$)")
# What stands for a reader's own, and what it is here. The pictures and folders of examples are made, with these names.
OWN = {
    "OWNER/NAME": "somebody/book",
    "REF": "v0.1.0",
    "NAME": "cifar-10",
    "...": "photographs",
    "FOLDER": "photographs",
}


def texts(path: Path) -> str:
    """The markdown of a page; of a module, the examples of its help."""
    if path.suffix == ".py":
        examples = re.findall(r"For example: (.+)", path.read_text(encoding="utf-8"))
        return "\n".join(f"`{example}`" for example in examples)
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def commands(text: str) -> Iterator[str]:
    """In order: the lines of code blocks, also what stands behind a sign of comment, and code within a line."""
    pattern = re.compile(r"^(`{3,}|~{3,})[^\n]*\n(.*?)^\1|(`+)(?!`)(.+?)(?<!`)\3(?!`)", re.MULTILINE | re.DOTALL)
    for found in pattern.finditer(text):
        if found[1]:
            lines = [part.strip() for line in found[2].splitlines() for part in re.split("[#;]", line)]
            lines = [line.removeprefix("then ") for line in lines]
        else:
            lines = [" ".join(found[4].split())]
        yield from (line for line in lines if STARTS.match(line))


PRINTED = [(path, command) for path in [*PAGES, *NOTEBOOKS, *HELP] for command in commands(texts(path))]


def parsed(words: list[str]):
    """The command that words name and what its own parser makes of the rest, after which only running it is left."""
    command, name = get_command(app), "oodlib"
    words = list(words)
    while hasattr(command, "commands"):
        assert words, f"`{name}` needs a command"
        name = words.pop(0)
        assert name in command.commands, f"there is no command {name!r}"
        command = command.commands[name]
    return command, name, words


def check_run(given: dict) -> None:
    chosen = load_profile(given["profile"], small=given["small"])
    assert jobs_of(given["notebooks"] or [], chosen, given["parameter"] or [])


def check_book(given: dict) -> None:
    load_profile(given["profile"], small=given["small"])
    edition(given["repository"], given["ref"])


# Too expensive to run: what the command itself asks of its arguments before it begins.
DRY = {
    "run": check_run,
    "book": check_book,
    "serve": lambda given: load_profile(given["profile"]),
    "coursework": lambda given: masters(),
    "embed": lambda given: given["profile"] is None or load_profile(given["profile"]),
}
# The exit codes of what is run for real: detect may find an outsider, `data get` is told not to download.
REAL = {"detect": (0, 3), "search": (0,), "compare": (0,), "doctor": (0, 1), "list": (0,), "check": (0,), "get": (1,)}
REAL["envision"] = (0,)


def check_oodlib(words: list[str]) -> None:
    words = [OWN.get(word, word) for word in words]
    if not words or words == ["--help"]:
        assert CliRunner().invoke(app, ["--help"]).exit_code == 0
        return
    command, name, rest = parsed(words)
    options = {option: parameter for parameter in command.params for option in parameter.opts}
    wants = name in ("detect", "envision") or any(p.required for p in command.params if p.param_type_name == "argument")
    if wants and all(word in options for word in rest):
        assert CliRunner().invoke(app, [*words[: len(words) - len(rest)], "--help"]).exit_code == 0
        return  # the command is only spoken of, perhaps with an option's name
    assert name in REAL or name in DRY, f"nothing here says how to check `oodlib {name}`"
    if name in DRY:
        DRY[name](command.make_context(name, rest).params)
        return
    done = CliRunner().invoke(app, words, input="n\n")
    assert done.exit_code in REAL[name], done.output
    assert "error:" not in done.output


def check_make(words: list[str]) -> None:
    """Make reads the file and says what it would do; what of that is ours is checked as if a page printed it."""
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "MAKEFLAGS")}
    run = [shutil.which("make"), "-n", "-C", str(ROOT), *words]
    done = subprocess.run(run, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    for setting in (word for word in words if "=" in word):
        name, *_ = setting.partition("=")
        canary = [word if word != setting else f"{name}=canary" for word in run]
        if "canary" not in subprocess.run(canary, capture_output=True, text=True, env=environment, check=False).stdout:
            settings = dict(word.split("=", 1) for word in words if "=" in word)
            photos = load_profile(settings.get("PROFILE", "pocket")).photos
            assert photos is not None, f"nothing reads {name}"
            assert photos.root == name, f"nothing reads {name}"
    for line in done.stdout.splitlines():
        if ours := re.search(r"bin/(oodlib .*)|bin/(python (?:-m|tools/)\s*\S+)", line):
            check(ours[1] or ours[2])


def check_python(words: list[str]) -> None:
    if words[0] == "-m":
        assert importlib.util.find_spec(words[1]) is not None
    else:
        assert (ROOT / words[0]).is_file()


def check(command: str) -> None:
    program, *words = shlex.split(command)
    if program == "cp":
        shutil.copy(*(Path(os.environ["OODLIB_PROJECT"]) / word for word in words))
    else:  # no other begins like one of STARTS
        {"oodlib": check_oodlib, "make": check_make, "python": check_python}[program](words)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout whose profiles may be added to."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "profiles", folder / "profiles")
    for name in ("_toc.yml", "notebooks", "book", "CITATION.cff", "package-lock.json", "requirements.lock"):
        (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.fixture
def place(checkout, drawings, pocket, tmp_path, monkeypatch):
    """The folder that a reader types in: pictures and folders with the names of the examples."""
    monkeypatch.setenv("OODLIB_PROJECT", str(checkout))
    monkeypatch.setenv("OODLIB_DATA", str(tmp_path / "no-photographs"))
    monkeypatch.setenv("OODLIB_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("oodlib.guard.fit.default_words", lambda: ("hammer", "house"))  # 2,000 take half a minute
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("oodlib.guard.compare.load_encoder", lambda *_, **__: pocket)
    few = {"mcm": get_detector("mcm"), "knn": on_concepts("knn")}  # all of them: tests/guard/test_compare.py
    monkeypatch.setattr("oodlib.guard.compare._detectors", lambda labelled: few)
    monkeypatch.setattr("oodlib.cli.compare.draw", lambda *_: None)  # the map is tested there
    shutil.copy(drawings["tiger"], tmp_path / "picture.png")
    for inside, outside in (("my_classes", "everything_else"), ("pets", "elsewhere"), ("ID_FOLDER", "OOD_FOLDER")):
        for label, shown in (("banana", ("banana", "pineapple")), ("tiger", ("tiger", "bicycle"))):
            (tmp_path / inside / label).mkdir(parents=True)
            for name in shown:
                shutil.copy(drawings[name], tmp_path / inside / label)
        (tmp_path / outside).mkdir()
        for name in ("glasses", "rocket"):
            shutil.copy(drawings[name], tmp_path / outside)
    shutil.copytree(tmp_path / "elsewhere", tmp_path / "photos")
    (tmp_path / "pairs.csv").write_text("path,text\npicture.png,a tiger\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "command"), PRINTED, ids=lambda value: value if isinstance(value, str) else value.stem
)
def test_a_printed_command_works(path, command, place):
    check(command)


def test_pages_print_commands_at_all():
    assert len({command for _, command in PRINTED}) >= 30
    assert {path.stem for path, _ in PRINTED} >= {
        "README",
        "CONTRIBUTING",
        "reproduce",
        "change_one_thing",
        "photographs",
    }


@pytest.mark.parametrize(
    "command",
    [
        "oodlib run zero_shot -p n_bot=200",
        "oodlib run zero_shot -p n_boot=few",
        "oodlib run zero_shoot",
        "oodlib run -p n_boot=200",
        "oodlib run --profile poket",
        "oodlib book --ref v0.1.0",
        "oodlib detect --methd",
        "oodlib detect picture.png --labels cat dog -p temperatur=1",
        "oodlib compare my_classes/ nowhere/",
        "oodlib serve --profil pocket",
        "oodlib fly",
        "oodlib data",
        "oodlib data get cifar-11",
        "make reproduse",
        "make reproduce PROFILE=poket",
        "make reproduce PROFILE=imagenet PICTURES=here",
        "make test TEST=tests/pages",
        "python tools/gone.py",
        "python -m oodlib.gone",
    ],
)
def test_a_wrong_command_is_found(command, place):
    try:
        check(command)
    except (OodlibError, UsageError, AssertionError):
        return
    pytest.fail("it passed")


def test_commands_are_found_wherever_they_stand():
    text = (
        "a `make\nlint` b\n```bash\ncd x\noodlib doctor  # then oodlib data list\n```\n`oodlib run x` | ``oodlib book``"
    )
    assert list(commands(text)) == [*("make lint", "oodlib doctor", "oodlib data list", "oodlib run x", "oodlib book")]
