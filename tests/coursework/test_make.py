"""The coursework: sound masters, versions that tell students nothing, checks that can fail, formats of the graders."""

import ast
import builtins
import contextlib
import importlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbclient import NotebookClient
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from oodlib.cli.main import app
from oodlib.coursework import data as coursework_data
from oodlib.coursework import finding, versions
from oodlib.coursework import make as coursework
from oodlib.coursework.master import Cell, Master, read_master
from oodlib.coursework.regions import UNWRITTEN, Region, split
from oodlib.errors import OodlibError
from oodlib.experiments.profiles import load_profile

ROOT = Path(__file__).parents[2]
PATHS = sorted((ROOT / "notebooks" / "coursework").glob("*.ipynb"))
UNDONE = getattr(builtins, UNWRITTEN)
each_master = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def cell(kind: str, source: str, role: str = "", exercise: str = "q1", points: float | None = None, **given) -> dict:
    facts = {"exercise": exercise} | ({} if points is None else {"points": points}) if role else {}
    metadata = ({"tags": [role]} if role else {}) | ({"oodlib": facts} if facts else {})
    return {
        "cell_type": kind,
        "id": given.get("id", f"{role or kind}-{exercise}"),
        "metadata": metadata,
        "source": source,
    }


def sound() -> dict:
    """A small master in order: one task in code, one in words."""
    cells = [
        cell("markdown", "# Twice", id="title"),
        cell("markdown", "### Task 1\n\nDouble it.", "exercise", points=2),
        cell("code", "def twice(x):\n    # start: add\n    # solution:\n    return x + x\n    # end", "solution"),
        cell("code", "assert twice(2) == 4, 'two and two'", "test", points=1),
        cell("code", "assert twice(5) == 10", "hidden-test", points=1),
        cell("markdown", "### Task 2\n\nWhy?", "exercise", "q2", points=3),
        cell("markdown", "Because of a secret.", "answer", "q2", points=3),
    ]
    about = {"title": "Twice", "minutes": 60, "cpu_seconds": 1, "goals": ["double"], "needs": "nothing"}
    return {"cells": cells, "metadata": {"oodlib": {"coursework": about}}, "nbformat": 4, "nbformat_minor": 5}


def written(folder: Path, book: dict) -> Path:
    path = folder / "made_up.ipynb"
    path.write_text(json.dumps(book), encoding="utf-8")
    return path


@pytest.fixture
def master(tmp_path) -> Master:
    return read_master(written(tmp_path, sound()))


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    """Everything that `oodlib coursework` makes, with the data of few pictures."""
    folder = tmp_path_factory.mktemp("course") / "coursework"
    done = CliRunner().invoke(app, ["coursework", "--small", "--output", str(folder)])
    assert done.exit_code == 0, done.output
    assert f"{len(PATHS)} assignment" in done.output
    return folder


def joined(book: dict) -> str:
    return "\n".join("".join(cell["source"]) for cell in book["cells"])


def bodies(master: Master) -> list[str]:
    """What students must write, line by line."""
    sources = [cell.source for cell in master.cells if cell.role == "solution"]
    return [line for source in sources for part in split(source) if isinstance(part, Region) for line in part.body]


def secrets(master: Master) -> set[str]:
    """Lines of solutions, hidden checks and answers that are nowhere in what everybody sees, if long enough to tell."""
    hidden = [cell.source for cell in master.cells if cell.role in ("hidden-test", "answer")]
    public = "\n".join(cell.source for cell in master.cells if cell.role in ("", "exercise", "test"))
    lines = {line.strip() for line in [*bodies(master), *"\n".join(hidden).split("\n")]}
    return {line for line in lines if len(line) > 20 and line not in public}


# masters


@each_master
def test_masters_are_sound_and_stripped(path):
    book = json.loads(path.read_text(encoding="utf-8"))
    nbformat.validate(nbformat.from_dict(book))
    master = read_master(path)
    assert 60 <= master.minutes <= 90
    assert 10 <= master.points <= 14
    assert any(cell.role == "answer" for cell in master.cells), "one question in words"
    for cell in book["cells"]:
        assert cell["cell_type"] == "markdown" or (cell["outputs"], cell["execution_count"]) == ([], None)
    typed = [cell.source for cell in master.cells if cell.kind == "markdown" and re.search(r"\d[.,]\d", cell.source)]
    assert typed == [], "numbers come from code"


@pytest.fixture(scope="module")
def solved(course) -> Callable[[str], dict]:
    """The names that a solution leaves behind when all of its cells have run, by the master's name; run once each."""

    @cache
    def run(name: str) -> dict:
        master = read_master(ROOT / "notebooks" / "coursework" / f"{name}.ipynb")
        names: dict = {"__name__": "__main__"}
        with contextlib.chdir(course / "solution"), pytest.MonkeyPatch.context() as patch:
            patch.setenv("MPLBACKEND", "Agg")
            patch.setattr("matplotlib.pyplot.show", lambda *_, **__: plt.close("all"))
            started = time.process_time()
            for cell in versions.solution(master)["cells"]:
                if cell["cell_type"] == "code":
                    exec(compile(cell["source"], f"{name}: {cell['id']}", "exec"), names)
        assert time.process_time() - started < 3 * master.cpu_seconds, "far longer than the notebook says"
        return names

    return run


@each_master
def test_checks_pass_on_the_solution_and_fail_without_it(path, solved):
    """The solution runs as a whole; then every task is left undone by itself, and each of its checks must fail."""
    master, names = read_master(path), solved(path.stem)
    complete = dict(names)  # `names` is changed in place: functions look their helpers up there
    stubs = {cell["id"]: cell["source"] for cell in versions.student(master)["cells"]}
    places = {cell.id: place for place, cell in enumerate(master.cells)}
    try:
        for exercise in master.exercises:
            for check in master.of(exercise, "test", "hidden-test"):
                first = places[master.of(exercise, "solution")[0].id]
                between = [cell for cell in master.cells[first : places[check.id]] if cell.kind == "code"]
                redone = [cell for cell in between if "test" not in cell.role]  # the task, and what is computed with it
                for name in set().union(*(defined(cell.source) for cell in redone)):
                    names.pop(name, None)
                for cell in redone:
                    with contextlib.suppress(UNDONE, NameError):
                        exec(stubs[cell.id], names)
                with pytest.raises((AssertionError, NameError, UNDONE)):
                    exec(check.source, names)
                names |= complete
    finally:
        names |= complete


def defined(source: str) -> set[str]:
    """Names that a cell defines at its top level."""
    names = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        else:
            names |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return names


MISTAKES = {
    "1_scores_and_thresholds": {
        "q1": "def mcm(c, temperature=1.0):\n    p = np.exp(c / temperature)\n    return p.max(1) / p.sum(1)",
        "q2": "def energy(c, temperature):\n    return -temperature * np.log(np.exp(c / temperature).sum(1))",
        "q3": "def auroc(a, b):\n    return float(np.mean(a[:, None] > b[None, :]))",
        "q4": "def cut_at_recall(id_scores, recall=0.95):\n    return float(np.quantile(id_scores, 1 - recall))",
        "q5": "def fpr95_ood(a, b):\n    return float(np.mean(a < np.quantile(b, 0.95)))",
        "q6": "def conformal_cut(scores, error=0.05):\n    return float(np.sort(scores)[int(error * len(scores))])",
    },
    "2_outlier_words": {
        "q1": "def known_mass(c, w, temperature):\n    p = np.exp(np.c_[c, w] / temperature)\n"
        "    return p[:, : c.shape[1]].max(1) / p.sum(1)",
        "q2": "def is_free(words, names):\n    return ~np.isin(words, names)",
        "q3": "def nearness(word_text, class_text, quantile=0.95):\n"
        "    return np.quantile(word_text @ class_text.T, quantile, axis=0)",
        "q4": "def farthest(near, kinds, keep=0.15):\n    return np.argsort(near)[: int(len(near) * keep)]",
        "q5": "def paired_difference(a, b, c, d, rng, times=300):\n"
        "    r = lambda x: rng.choice(x, len(x))\n"
        "    drawn = [auroc(r(a), r(b)) - auroc(r(c), r(d)) for _ in range(times)]\n"
        "    return auroc(a, b) - auroc(c, d), *np.quantile(drawn, [0.025, 0.975])",
        "q6": "def captured(c, w):\n    return float(np.mean(w.max(1) >= c.max(1)))",
    },
}


@pytest.mark.parametrize(("name", "exercise"), [(name, exercise) for name in MISTAKES for exercise in MISTAKES[name]])
def test_likely_mistakes_do_not_pass(name, exercise, solved):
    master, names = read_master(ROOT / "notebooks" / "coursework" / f"{name}.ipynb"), dict(solved(name))
    exec(MISTAKES[name][exercise], names)
    checks = "\n".join(check.source for check in master.of(exercise, "test", "hidden-test"))
    with np.errstate(all="ignore"), pytest.raises(AssertionError):
        exec(checks, names)


# versions


def test_students_see_heads_hints_and_public_checks_only(master):
    text = joined(versions.student(master))
    assert f'def twice(x):\n    # add\n    raise {UNWRITTEN}("your code: q1")' in text
    assert "assert twice(2) == 4" in text
    assert versions.YOUR_ANSWER in text
    assert "*2 points*" in text
    for secret in ("x + x", "twice(5)", "secret", "solution:", "# end"):
        assert secret not in text


def test_students_get_no_metadata(master):
    book = versions.student(master)
    assert set(book["metadata"]) == {"kernelspec", "language_info"}
    assert [cell["metadata"] for cell in book["cells"]] == [{}] * len(book["cells"])
    assert all(cell.get("outputs", []) == [] for cell in book["cells"])


def test_the_solution_has_everything_but_the_markers(master):
    text = joined(versions.solution(master))
    assert "    # add\n    return x + x" in text
    assert "twice(5)" in text
    assert "secret" in text
    assert "# solution:" not in text
    assert "# end" not in text


LINES = st.lists(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=6), min_size=1, max_size=5)


@given(body=LINES, indent=st.integers(0, 3), hint=st.none() | st.just("think"))
def test_no_solution_reaches_a_student(body, indent, hint):
    """Whatever a region holds, it is in the solution and in the graders' sources, and not in the student's notebook."""
    space = "    " * indent
    lines = [f"{space}answer = 'SECRET{line}'" for line in body]
    head = [f"{'    ' * k}if True:" for k in range(indent)]
    start = [f"{space}# start: {hint}"] if hint else []
    source = "\n".join([*head, *start, f"{space}# solution:", *lines, f"{space}# end"])
    cells = (
        Cell("a", "markdown", "exercise", "Do it.", "q1", 2),
        Cell("b", "code", "solution", source, "q1"),
        Cell("c", "code", "test", "assert answer", "q1", 1),
        Cell("d", "code", "hidden-test", "assert 'SECRET' in answer", "q1", 1),
    )
    master = Master("m", "M", 60, 1, ("do",), "nothing", (Cell("t", "markdown", "", "# M"), *cells))
    for version in (versions.student, versions.solution, versions.otter, versions.nbgrader):
        text = joined(version(master))
        assert all((line in text) == (version is not versions.student) for line in lines)
    student = versions.student(master)
    assert "SECRET" not in json.dumps(student)
    ast.parse(student["cells"][3]["source"])


def test_otter_blocks_pair_up_and_points_are_those_of_the_master(master):
    raw = ["".join(cell["source"]) for cell in versions.otter(master)["cells"] if cell["cell_type"] == "raw"]
    assert raw[0].startswith("# ASSIGNMENT CONFIG\nname: made_up\n")
    opened = []
    for text in raw[1:]:
        verb, what = re.match(r"# (BEGIN|END) (QUESTION|SOLUTION|TESTS)", text).groups()
        if verb == "BEGIN":
            opened.append(what)
        else:
            assert opened.pop() == what
    assert opened == []
    assert raw[1] == "# BEGIN QUESTION\nname: q1\npoints: 2"
    assert "# BEGIN QUESTION\nname: q2\npoints: 3\nmanual: true" in raw
    assert 'points: 1\nhidden: true\n""" # END TEST CONFIG\nassert twice(5)' in joined(versions.otter(master))


def test_otter_checks_show_no_values(tmp_path):
    """otter-grader runs a check as a doctest: a value that an expression shows would fail it."""
    book = sound()
    book["cells"][4]["source"] = "found = []\nfor x in (1, 2):\n    found.append(x); 'é', twice(x)\ntwice(found)"
    expected = "found = []\nfor x in (1, 2):\n    _ = found.append(x); _ = 'é', twice(x)\n_ = twice(found)"
    assert expected in joined(versions.otter(read_master(written(tmp_path, book))))


def test_nbgrader_metadata_follows_its_rules(master):
    book = versions.nbgrader(master)
    graded = {cell["metadata"]["nbgrader"]["grade_id"]: cell for cell in book["cells"] if cell["metadata"]}
    flags = {
        name: tuple(cell["metadata"]["nbgrader"][k] for k in ("grade", "solution", "locked"))
        for name, cell in graded.items()
    }
    assert flags == {
        "q1": (False, False, True),
        "q1-solution-q1": (False, True, False),
        "q1-test-q1": (True, False, True),
        "q1-hidden-test-q1": (True, False, True),
        "q2": (False, False, True),
        "q2-answer-q2": (True, True, False),
    }
    points = [
        cell["metadata"]["nbgrader"]["points"] for cell in graded.values() if cell["metadata"]["nbgrader"]["grade"]
    ]
    assert sum(points) == master.points
    text = joined(book)
    for marker in ("SOLUTION", "HIDDEN TESTS"):
        assert text.count(f"### BEGIN {marker}") == text.count(f"### END {marker}") == 1


def test_a_right_answer_that_warns_keeps_its_points(tmp_path):
    """Nbgrader gives none for a test cell that passes while anything stands on its standard error."""
    made = sound()
    made["cells"][2]["source"] = (
        "import sys, warnings\nimport numpy as np\ndef twice(x):\n    # solution:\n    warnings.warn('odd')\n"
        "    np.log(np.zeros(1))\n    print('careful', file=sys.stderr)\n    return x + x\n    # end"
    )
    book = nbformat.from_dict(versions.nbgrader(read_master(written(tmp_path, made))))
    NotebookClient(book, kernel_name="python3").execute()
    code = [cell for cell in book.cells if cell.cell_type == "code" and cell.metadata["nbgrader"]["grade"]]
    assert len(code) == 2
    for graded in code:
        assert "careful" in str(graded.outputs)
        assert {output.name for output in graded.outputs} == {"stdout"}
        if importlib.util.find_spec("nbgrader"):
            rules = importlib.import_module("nbgrader.utils")
            graded.metadata["nbgrader"]["checksum"] = rules.compute_checksum(graded)
            assert rules.determine_grade(graded)[0] == 1


@pytest.mark.parametrize("version", ["student", "solution", "otter", "nbgrader"])
@each_master
def test_every_version_is_a_valid_notebook(path, version):
    book = getattr(versions, version)(read_master(path))
    nbformat.validate(nbformat.from_dict(book))
    ids = [cell["id"] for cell in book["cells"]]
    assert len(set(ids)) == len(ids)


# malformed masters


def change(**to):
    """A change of one cell of the sound master, by place: `c3={"source": ...}`."""

    def apply(book):
        for place, values in to.items():
            book["cells"][int(place[1:])] |= values

    return apply


def drop(place):
    return lambda book: book["cells"].pop(place)


def points(place, value):
    return lambda book: book["cells"][place]["metadata"]["oodlib"].update(points=value)


def about(**values):
    return lambda book: book["metadata"]["oodlib"]["coursework"].update(values)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (drop(2), "cell 1 .*'q1' has 0 solutions or answers"),
        (drop(6), "cell 5 .*'q2' has 0 solutions or answers"),
        (drop(3), "'q1' needs a test and a hidden-test"),
        (drop(4), "'q1' needs a test and a hidden-test"),
        (drop(1), "cell 1 .*'q1' is not stated above"),
        (points(3, 2), "'q1' has 2 points, its cells 3"),
        (points(1, 0), "cell 1 .*exercise cells have points"),
        (points(6, True), "cell 6 .*answer cells have points"),
        (change(c2={"source": "def twice(x):\n    # solution:\n    return x + x"}), "cell 2 .*not followed by '# end'"),
        (change(c2={"source": "def twice(x):\n    return x + x\n    # end"}), "line 3 has no partner"),
        (change(c2={"source": "def twice(x):\n    # Solution:\n    return x\n    # End"}), "looks like a marker"),
        (change(c2={"source": "def twice(x):\n    # solution\n    return x\n    # end"}), "looks like a marker"),
        (change(c2={"source": "# solution:\n# end"}), "nothing is between the markers"),
        (change(c2={"source": "# start: think\nx = 1\n# solution:\ny = 1\n# end"}), "a '# start:' line is above it"),
        (change(c2={"source": "def twice(x):\n    return x + x"}), "are missing from this solution cell"),
        (change(c3={"source": "# solution:\nx = 1\n# end"}), "cell 3 .*belong only in a solution cell"),
        (change(c3={"source": "assert twice(2 == 4"}), "cell 3 .*line 1 is not Python"),
        (change(c3={"source": "print(twice(2))"}), "a check speaks only when it fails"),
        (
            change(c3={"source": "y = 4\nassert twice(2) == y"}, c4={"source": "assert twice(2) == y"}),
            "'y' is defined by a check",
        ),
        (change(c3={"metadata": {"tags": ["hidden_test"], "oodlib": {"exercise": "q1"}}}), "cell 3 .*not one of"),
        (change(c4={"metadata": {"oodlib": {"exercise": "q1", "points": 1}}}), "cell 4 .*it has no tag|has no tag"),
        (
            change(c4={"metadata": {"tags": ["hidden-test"], "oodlib": {"exercise": "q9", "points": 1}}}),
            "'q9' is not stated",
        ),
        (change(c4={"metadata": {"tags": ["hidden-test"]}}), "does not name its exercise"),
        (change(c4={"cell_type": "markdown"}), "'hidden-test' is a tag of code cells"),
        (change(c4={"id": "title"}), "another cell has this id"),
        (change(c0={"source": "no title"}), "cell 0: begin with a markdown cell"),
        (change(c6={"source": " "}), "cell 6 .*it is empty"),
        (lambda book: book["cells"].append(book["cells"].pop(4)), "'q2' has begun already"),
        (about(minutes="sixty"), "does not say its minutes"),
        (about(author="me"), "'author' is not a key"),
        (lambda book: book["metadata"].clear(), "does not say its title"),
        (lambda book: book.pop("cells"), "is not a notebook"),
    ],
)
def test_a_malformed_master_is_refused_in_one_sentence(tmp_path, spoil, reason):
    book = sound()
    spoil(book)
    with pytest.raises(OodlibError, match=reason) as refused:
        read_master(written(tmp_path, book))
    assert "made_up.ipynb" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_master_and_a_missing_folder(tmp_path):
    with pytest.raises(OodlibError, match="cannot read"):
        read_master(tmp_path / "none.ipynb")
    with pytest.raises(OodlibError, match="no master notebook"):
        coursework.masters(tmp_path)


# what is made


def test_the_folder_has_every_version(course):
    found = {path.relative_to(course).as_posix() for path in course.rglob("*") if path.is_file()}
    expected = {"coursework.json", "coursework.zip", "nbgrader/nbgrader_config.py"}
    expected |= {f"{place}/{name}" for place in ("data", "otter/data") for name in versions.DATA} | {"data/README.md"}
    for path in PATHS:
        expected |= {f"{version}/{path.name}" for version in ("student", "solution", "otter")}
        expected.add(f"nbgrader/source/{path.stem}/{path.name}")
    assert found == expected


def test_made_twice_is_the_same(course, tmp_path):
    chosen = coursework.masters()
    (tmp_path / "data").mkdir()
    for name in versions.DATA:
        (tmp_path / "data" / name).write_bytes((course / "data" / name).read_bytes())
    (tmp_path / "data" / "README.md").write_bytes((course / "data" / "README.md").read_bytes())
    coursework.write_versions(tmp_path, chosen)
    coursework.pack(tmp_path / "coursework.zip", chosen, tmp_path / "data")
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (course / path.relative_to(tmp_path)).read_bytes(), path.name


def test_work_of_others_is_not_replaced(course, tmp_path):
    small = load_profile("pocket", small=True)
    (tmp_path / "thesis.txt").write_text("years", encoding="utf-8")
    with pytest.raises(OodlibError, match="holds something else"):
        coursework.make_coursework(small, tmp_path)
    grades = course / "nbgrader" / "gradebook.db"
    grades.write_bytes(b"grades")
    try:
        with pytest.raises(OodlibError, match=r"holds work of yours \(nbgrader/gradebook.db\)"):
            coursework.make_coursework(small, course)
        assert grades.read_bytes() == b"grades"
    finally:
        grades.unlink()


@each_master
def test_nothing_secret_is_where_students_look(path, course):
    """Its own student's notebook has no line of it; other notebooks and the book's pages have no line of a solution."""
    master = read_master(path)
    own = joined(json.loads((course / "student" / path.name).read_text(encoding="utf-8")))
    hidden = secrets(master)
    assert len(hidden) > 10, "there is something to look for"
    assert [line for line in hidden if line in own] == []
    answers = [cell.source for cell in master.cells if cell.role == "answer"]
    telling = {line.strip() for line in [*bodies(master), *"\n".join(answers).split("\n")] if len(line.strip()) > 30}
    assert telling
    elsewhere = {p.name: p.read_text(encoding="utf-8") for p in (ROOT / "book").rglob("*.md")}
    with zipfile.ZipFile(course / "coursework.zip") as archive:
        inside = [name for name in archive.namelist() if name.endswith(".ipynb")]
        elsewhere |= {name: joined(json.loads(archive.read(name))) for name in inside}
    assert len(inside) == len(PATHS)
    assert {
        place: found for place, text in elsewhere.items() if (found := [line for line in telling if line in text])
    } == {}


def test_the_site_gets_students_versions_only(tmp_path):
    small = load_profile("pocket", small=True)
    coursework.stage(tmp_path, small)
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    folder = "book/coursework/student"
    names = {f"{folder}/{path.name}" for path in PATHS}
    opening = {"fragments/coursework_finding.md", "figures/coursework.svg"}
    assert found == names | opening | {f"{folder}/coursework.zip", "fragments/coursework.md"}
    for path in PATHS:
        staged = json.loads((tmp_path / folder / path.name).read_text(encoding="utf-8"))
        assert staged == versions.student(read_master(path))
    table = (tmp_path / "fragments" / "coursework.md").read_text(encoding="utf-8")
    assert table.count("{download}") == len(PATHS)


def test_the_page_opens_with_what_the_data_say(course, tmp_path):
    with np.load(course / "data" / "emojishift.npz") as data:
        finding.open_page(tmp_path, data, n_boot=20)
        text = (tmp_path / "fragments" / "coursework_finding.md").read_text(encoding="utf-8")
        text_features, features = (data[name].astype(np.float64) for name in ("text", "features"))
        kappa, hands, sets = float(data["logit_scale"]), data["hand"], data["set"]
        text_features = text_features[data["name_set"] == "animals-food"]
    cosines = features @ text_features.T / np.outer(*(np.linalg.norm(x, axis=1) for x in (features, text_features)))
    score = np.log(np.exp(kappa * cosines).sum(axis=1))
    tested = np.isin(hands, ["twemoji", "fluent-emoji"])
    inside = score[tested & (sets == "animals-food")]

    def auroc(name: str) -> float:
        outside = score[tested & (sets == name)]
        return roc_auc_score(np.arange(len(inside) + len(outside)) < len(inside), np.r_[inside, outside])

    far = np.mean([auroc(name) for name in ("travel-places", "objects", "activities", "symbols")])
    said = [float(number) for number in re.findall(r"AUROC (\d+\.\d) %", text)]
    assert said == pytest.approx([100 * far, 100 * auroc("near")], abs=0.06)
    assert ":target: ../../_images/coursework." in text, "the page stands a folder deeper than the others"
    lost = re.search(r"`energy` (loses|cannot be said to lose or gain) (-?\d+\.\d)", text)
    assert float(lost[2]) == pytest.approx(said[0] - said[1], abs=0.11)


# data


def test_the_data_are_what_their_readme_says(course):
    readme = (course / "data" / "README.md").read_text(encoding="utf-8")
    with np.load(course / "data" / "emojishift.npz", allow_pickle=False) as file:
        data = {key: file[key] for key in file.files}
    for key, array in data.items():
        assert f"| `{key}` | {array.shape} |" in readme
    for key in ("features", "text", "word_text", "unknown_text", "no_text"):
        assert data[key].dtype == np.float16
        np.testing.assert_allclose(np.linalg.norm(data[key].astype(np.float32), axis=1), 1, atol=2e-3)
    own = data["name_set"] == coursework_data.ID_SET
    assert own[: own.sum()].all(), "the names of the ID classes come first"
    np.testing.assert_array_equal(data["set"], data["name_set"][data["label"]])
    assert len(data["no_text"]) == own.sum()
    assert len(set(data["names"])) == len(data["names"])
    assert set(data["hand"]) == {"twemoji", "openmoji", "fluent-emoji", "fluent-emoji-flat"}
    assert not set(data["hard_10"]) & set(data["hard_20"])


def test_the_features_are_those_of_the_book(course, pocket):
    """A picture and a name, encoded afresh."""
    from oodlib.datasets import emojishift
    from oodlib.datasets.images import read_image
    from oodlib.prompts.sets import templates

    with np.load(course / "data" / "emojishift.npz", allow_pickle=False) as file:
        data = {key: file[key] for key in file.files}
    table = emojishift.load()
    row = 5
    name, hand = data["names"][data["label"][row]], data["hand"][row]
    picture = table.select((table.table["label"] == name) & (table.table["hand"] == hand))
    np.testing.assert_allclose(
        pocket.encode_images([read_image(picture.paths()[0])])[0], data["features"][row], atol=2e-3
    )
    text = pocket.encode_texts([str(name)], templates=templates(load_profile("pocket").templates))[0]
    np.testing.assert_allclose(text, data["text"][data["label"][row]], atol=2e-3)


def test_the_full_data_stay_below_eight_megabytes():
    """Counted, not made: half-precision rows of all features, and every word as the text array that holds it."""
    run = load_profile("pocket")
    pictures = coursework_data._pictures(run)
    words = {kind: found[:: run.amounts.coursework.one_in[kind]] for kind, found in run.outlier_words().items()}
    names = pictures.table["label"].nunique()
    listed = 1000  # envisioned labels, "no" features and the like: a few hundred rows
    rows = len(pictures) + names + listed + sum(map(len, words.values()))
    sheet = len(pictures) * 32 * 32 / 4  # a quarter of a byte a pixel: drawings compress to less
    assert rows * 256 * 2 + sheet < 8e6


# the graders themselves

needs_graders = pytest.mark.skipif(
    importlib.util.find_spec("nbgrader") is None or importlib.util.find_spec("otter") is None,
    reason="nbgrader and otter-grader are not installed",
)


def ran(command: list[str], folder: Path, home: Path) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # nbgrader calls alembic by name
    environment = os.environ | {"MPLBACKEND": "Agg", "HOME": str(home), "PYTHONPATH": str(ROOT), "PATH": path}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
@needs_graders
@each_master
def test_otter_accepts_the_solution_and_gives_the_stub_nothing(path, course, tmp_path):
    otter = [sys.executable, "-m", "otter"]
    ran([*otter, "assign", path.name, str(tmp_path / "out")], course / "otter", tmp_path)  # runs all checks itself
    student = tmp_path / "out" / "student" / path.name
    assert [line for line in secrets(read_master(path)) if line in student.read_text(encoding="utf-8")] == []
    packed = next((tmp_path / "out" / "autograder").glob("*.zip"))
    ran([*otter, "run", "-a", str(packed), "-o", str(tmp_path), str(student)], tmp_path, tmp_path)
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["tests"]
    assert sum(result.get("score", 0) or 0 for result in results) == 0


@pytest.mark.slow
@needs_graders
@each_master
def test_nbgrader_grades_the_solution_and_the_stub(path, course, tmp_path):
    folder = tmp_path / "course"
    (folder / "source" / path.stem).mkdir(parents=True)
    shutil.copytree(course / "data", folder / "data")
    (folder / "nbgrader_config.py").write_bytes((course / "nbgrader" / "nbgrader_config.py").read_bytes())
    solved = (course / "nbgrader" / "source" / path.stem / path.name).read_bytes()
    (folder / "source" / path.stem / path.name).write_bytes(solved)
    nbgrader = [sys.executable, "-m", "nbgrader"]
    ran([*nbgrader, "generate_assignment", path.stem, "--create"], folder, tmp_path)
    stub = (folder / "release" / path.stem / path.name).read_bytes()
    assert [line for line in secrets(read_master(path)) if line in stub.decode()] == []
    for who, work in (("solved", solved), ("undone", stub)):
        (folder / "submitted" / who / path.stem).mkdir(parents=True)
        (folder / "submitted" / who / path.stem / path.name).write_bytes(work)
    ran([*nbgrader, "autograde", path.stem, "--create"], folder, tmp_path)
    ran([*nbgrader, "export", "--to", "grades.csv"], folder, tmp_path)
    rows = (folder / "grades.csv").read_text(encoding="utf-8").splitlines()
    head = rows[0].split(",")
    scores = {
        row.split(",")[head.index("student_id")]: float(row.split(",")[head.index("raw_score")]) for row in rows[1:]
    }
    master = read_master(path)
    by_hand = sum(cell.points for cell in master.cells if cell.role == "answer")
    assert scores == {"solved": master.points - by_hand, "undone": 0}
