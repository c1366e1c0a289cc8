import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from oodlib.cli.main import app
from oodlib.datasets import emojishift
from oodlib.errors import OodlibError
from oodlib.outlier_labels.envision import SHIPPED, EnvisionedList, envision, load_envisioned
from oodlib.outlier_labels.envision_prompts import FORMS, SUPER_TYPES, chats, clean, distinct_prompts, parse, read_names
from tests.chat_server import GOOD, KEY, completion, running_server

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server(monkeypatch):
    with running_server(monkeypatch) as running:
        yield running


# What is asked


def test_far_is_one_conversation_that_asks_for_fifty_more():
    (turns,) = chats(["cat", "hot dog"], "far", count=120)
    assert len(turns) == 3
    assert "cat, hot dog" in turns[0]
    assert "summarise" in turns[0]
    assert "no direct relation" in turns[0]
    assert all("50" in turn and "three words" in turn and '"- "' in turn for turn in turns)
    assert turns[1] == turns[2]


def test_near_is_one_conversation_for_each_name_with_worked_examples():
    turns = chats(["cat", "hot dog"], "near")
    assert [len(turn) for turn in turns] == [1, 1]
    assert "similar to: hot dog" in turns[1][0]
    assert "cat" not in turns[1][0]
    assert "name 3 things from other domains" in turns[1][0]
    assert len(parse(turns[0][0])) == 9
    assert "name 7 things" in chats(["cat"], "near", count=7)[0][0]


def test_fine_grained_names_the_family():
    (turns,) = chats(["robin", "crow"], "fine-grained", super_type="bird")
    assert len(turns) == 2
    assert "bird: robin, crow" in turns[0]
    assert "other kinds of bird" in turns[0]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ((["cat"], "nearby"), "no form 'nearby' .*: choose one of far, near, fine-grained"),
        (([], "far"), "at least one name"),
        ((["cat"], "fine-grained"), "need a super-type"),
        ((["cat"], "near", "pet"), "near labels use no super-type: leave 'pet' out"),
    ],
)
def test_what_cannot_be_asked_is_named(given, complaint):
    with pytest.raises(OodlibError, match=complaint):
        chats(*given[:2], super_type="".join(given[2:]))
    with pytest.raises(OodlibError, match="count of at least 1"):
        chats(["cat"], "near", count=0)


def test_braces_in_a_name_are_left_alone():
    assert "similar to: {x} {0}." in chats(["{x} {0}"], "near")[0][0]


# What is made of the replies


def test_only_lines_that_start_with_a_dash_are_labels():
    reply = "Sure!\n- Gray wolf.\n  - **red panda**\n* star\n1. one\n-none\n- \n-  two  words \n" + "- " + "x" * 61
    assert parse(reply) == ["Gray wolf", "red panda", "two words"]
    assert parse("") == []
    assert parse("- bell\x07 sound\n- \x1b[31mred") == []


def test_cleaning_lowers_unites_and_drops_names():
    came = ["Gray Wolf", "gray wolf", "CAT", "hot-dog", "cat food", "stone"]
    assert clean(came, ["cat", "Hot Dog"], "far") == ["gray wolf", "cat food", "stone"]
    assert clean(came, ["cat", "Hot Dog"], "fine-grained") == ["gray wolf", "cat food", "stone"]


def test_near_also_drops_labels_that_share_a_word_with_a_name():
    assert clean(["cat food", "hot water", "scatter", "dog-house", "stone"], ["cat", "Hot_Dog"], "near") == [
        "scatter",
        "stone",
    ]


def test_a_conversation_carries_its_earlier_turns():
    heard, conversations = [], []

    def answer(messages):
        conversations.append([dict(message) for message in messages])
        return f"- label {len(conversations)}"

    found = envision(
        ["cat"], "far", answer, id_set="x", source="y", count=150, heard=lambda *state: heard.append(state)
    )
    assert found.labels == ("label 1", "label 2", "label 3")
    assert [len(messages) for messages in conversations] == [1, 3, 5]
    assert conversations[2][1] == {"role": "assistant", "content": "- label 1"}
    assert heard == [(1, 3), (2, 3), (3, 3)]
    conversations.clear()
    near = envision(["cat", "dog"], "near", answer, id_set="x", source="y")
    assert [len(messages) for messages in conversations] == [1, 1]
    assert near.replies == (("label 1",), ("label 2",))


def test_replies_without_any_list_are_an_error_but_one_of_them_is_not():
    with pytest.raises(OodlibError, match='no line of the replies starts with "- "'):
        envision(["cat"], "near", lambda _: "I cannot help with that", id_set="x", source="y")
    answers = iter(["None.", "- stone"])
    found = envision(["cat", "dog"], "near", lambda _: next(answers), id_set="x", source="y")
    assert found.replies == ((), ("stone",))


# Files


@pytest.fixture
def example():
    return EnvisionedList("x", "near", "m at u", "", ("café",), ("p {name}",), (("Stone", "Café"),), ("stone",))


def test_written_and_read_is_the_same(example, tmp_path):
    example.write(tmp_path / "new" / "x.json")
    assert EnvisionedList.read(tmp_path / "new" / "x.json") == example
    kept = json.loads((tmp_path / "new" / "x.json").read_text(encoding="utf-8"))
    assert kept["counts"] == {"id_names": 1, "replies": 1, "came": 2, "labels": 1}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.json"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '"x"', '{"counts": {}}', '{"counts": {}, "labels": [1]}'])
def test_a_file_that_holds_something_else_is_named(text, tmp_path):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(OodlibError, match="is no list of envisioned labels"):
        EnvisionedList.read(tmp_path / "x.json")
    with pytest.raises(OodlibError, match="cannot read"):
        EnvisionedList.read(tmp_path / "y.json")


def test_names_are_read_from_a_file(tmp_path):
    path = tmp_path / "names.txt"
    path.write_bytes("\ufeff# mine\n cat \n\nhot dog\r\n".encode())
    assert read_names(path) == ["cat", "hot dog"]
    for content, complaint in [(b"# none\n", "no class name"), (b"a\nb\na\n", "'a' twice"), (b"\xff\xfe", "not UTF-8")]:
        path.write_bytes(content)
        with pytest.raises(OodlibError, match=complaint):
            read_names(path)
    with pytest.raises(OodlibError, match="No such file"):
        read_names(tmp_path / "no.txt")


# What the library ships


@pytest.fixture(scope="module")
def id_sets():
    return emojishift.benchmarks(emojishift.load())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("id_set", SUPER_TYPES)
def test_shipped_lists_follow_their_prompts(id_sets, id_set, form):
    kept = EnvisionedList.read(SHIPPED / f"{id_set}-{form}.json")
    names = id_sets[id_set].names
    assert kept.id_names == names
    assert (kept.id_set, kept.form, kept.source) == (id_set, form, "written for this project")
    assert kept.note
    per_name = 1 if id_set == "animals-food" else 3
    asked = {"count": per_name if form == "near" else 100}
    asked |= {"super_type": SUPER_TYPES[id_set]} if form == "fine-grained" else {}
    assert list(kept.prompts) == distinct_prompts(names, form, **asked)
    expected = [per_name] * len(names) if form == "near" else [50, 50]
    assert [len(reply) for reply in kept.replies] == expected
    came = [label for reply in kept.replies for label in reply]
    assert list(kept.labels) == clean(came, names, form) == load_envisioned(id_set, form)
    assert len(set(came)) == len(came)
    assert all(len(label.split()) <= 3 for label in came)
    assert parse("\n".join(f"- {label}" for label in came)) == came
    assert json.loads((SHIPPED / f"{id_set}-{form}.json").read_text(encoding="utf-8"))["counts"] == kept.counts


def test_nothing_else_is_shipped():
    assert {path.name for path in SHIPPED.iterdir()} == {
        f"{name}-{form}.json" for name in SUPER_TYPES for form in FORMS
    }


def test_a_list_that_is_not_shipped_is_named_with_the_choices():
    for id_set, form in [("hard-30", "far"), ("hard-10", "dissimilar"), ("../envisioned/hard-10", "far")]:
        with pytest.raises(OodlibError, match=r"`oodlib envision`.*choose among .*animals-food-far"):
            load_envisioned(id_set, form)


def test_a_list_is_frozen(example):
    with pytest.raises(dataclasses.FrozenInstanceError):
        example.labels = ()


# The command line


ENVIRONMENT = {"COLUMNS": "100", "NO_PROXY": "127.0.0.1"}


def process(*arguments, cwd, **environment):
    """The command as a person runs it."""
    return subprocess.run(
        [sys.executable, "-m", "oodlib.cli", "envision", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def oodlib(*arguments, cwd):
    """The command in this process, which takes a tenth of the time."""
    with contextlib.chdir(cwd):
        return CliRunner().invoke(app, ["envision", *map(str, arguments)], env=ENVIRONMENT)


@pytest.fixture
def names(tmp_path):
    (tmp_path / "pets.txt").write_text("cat\nhot dog\n")
    return tmp_path / "pets.txt"


def test_the_command_writes_the_list_and_no_key(server, names, tmp_path):
    arguments = ("--names", names, "--form", "near", "--base-url", server.url, "--model", "some-model")
    done = process(*arguments, cwd=tmp_path, OPENAI_API_KEY=KEY)
    assert done.returncode == 0, done.stderr
    assert f"asking some-model at {server.url} for near labels of 2 class names (2 requests)" in done.stderr
    assert "3 labels (of 6 as they came): pets-near.json" in done.stdout
    kept = EnvisionedList.read(tmp_path / "pets-near.json")
    assert kept.labels == ("gray wolf", "black stone", "red panda")
    assert (kept.id_set, kept.source, kept.id_names) == ("pets", f"some-model at {server.url}", ("cat", "hot dog"))
    assert kept.prompts == tuple(distinct_prompts(kept.id_names, "near"))
    assert server.asked[0][1]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in done.stdout + done.stderr + (tmp_path / "pets-near.json").read_text()


def test_the_command_leaves_the_old_file_when_a_later_reply_fails(server, names, tmp_path):
    server.answers = [completion(GOOD), (400, b"no such [model]")]
    (tmp_path / "kept.json").write_text("old")
    arguments = ("--names", names, "--base-url", server.url, "--model", "m", "-o", tmp_path / "kept.json")
    done = oodlib(*arguments, cwd=tmp_path)
    assert done.exit_code == 1
    assert "answered with status 400 (no such [model])" in done.stderr
    assert (tmp_path / "kept.json").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept.json", "pets.txt"]


@pytest.mark.skipif(os.name == "nt", reason="needs SIGINT")
def test_an_interruption_writes_nothing_and_says_so(server, names, tmp_path):
    running = []

    def interrupt(handler):
        running[0].send_signal(signal.SIGINT)
        time.sleep(1)

    server.answers = [interrupt]
    command = [sys.executable, "-m", "oodlib.cli", "envision", "--names", str(names), "--base-url", server.url]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
    # A shell starts background jobs deaf to interruptions, and their children stay so: listen while this one starts.
    ears = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with subprocess.Popen(
            [*command, "--model", "m"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
        ) as process:
            running.append(process)
            _, said = process.communicate(timeout=120)
    finally:
        signal.signal(signal.SIGINT, ears)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "interrupted; nothing was written"
    assert [path.name for path in tmp_path.iterdir()] == ["pets.txt"]


def test_a_reply_without_a_list_is_told(server, names, tmp_path):
    server.answers = [completion(GOOD), completion("Nothing.")]
    done = oodlib(*("--names", names, "--form", "near", "--base-url", server.url, "--model", "m"), cwd=tmp_path)
    assert done.exit_code == 0
    assert '1 reply of 2 had no line that starts with "- "' in done.stderr


def test_a_dry_run_shows_the_prompts_and_sends_nothing(names, tmp_path):
    arguments = ("--names", names, "--form", "fine-grained", "--super-type", "snack", "--count", "60", "--dry-run")
    done = oodlib(*arguments, cwd=tmp_path)
    assert done.exit_code == 0, done.stderr
    text = " ".join(done.stdout.split())
    for prompt in distinct_prompts(["cat", "hot dog"], "fine-grained", count=60, super_type="snack"):
        assert " ".join(prompt.split()) in text
    assert text.endswith("2 requests for 2 class names; nothing was sent")
    assert [path.name for path in tmp_path.iterdir()] == ["pets.txt"]


def test_the_command_knows_the_benchmarks():
    done = oodlib("--id-set", "hard-10", "--form", "near", "--dry-run", cwd=ROOT)
    assert done.exit_code == 0, done.stderr
    assert "10 requests for 10 class names; nothing was sent" in done.stdout
    done = oodlib("--id-set", "hard-30", cwd=ROOT)
    assert done.exit_code == 1
    assert "'hard-30': choose one of" in done.stderr
    assert "hard-20" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "error: whose look-alikes? Pass either --id-set or --names"),
        (("--names", "pets.txt", "--id-set", "hard-10"), "error: whose look-alikes?"),
        (("--names", "pets.txt"), "error: which model? Pass --model"),
        (("--names", "pets.txt", "--form", "distant"), "error: there is no form 'distant'"),
        (("--names", "pets.txt", "--form", "fine-grained"), "error: fine-grained labels need a super-type"),
        (("--names", "cats.txt"), "error: cannot read cats.txt (No such file or directory)"),
        (("--names", "pets.txt", "--model", "m", "--base-url", "localhost"), "error: 'localhost' is not the address"),
    ],
)
def test_what_is_missing_is_one_sentence(names, arguments, complaint):
    done = oodlib(*arguments, cwd=names.parent)
    assert done.exit_code == 1
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_help_explains_the_forms_and_the_key():
    done = oodlib("--help", cwd=ROOT)
    text = " ".join(done.stdout.replace("│", " ").split())
    assert done.exit_code == 0
    for words in (
        "near: look-alikes of each class",
        "environment variable with the API key",
        "Only the class names are",
    ):
        assert words in text
