"""`oodlib detect` and `oodlib search` as a person and as a script use them."""

import base64
import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from oodlib import detect
from oodlib.cli.main import app

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("oodlib")
METHOD = ["--method", "outlier_softmax", "--outliers", "glasses", "bicycle", "rocket", "hammer"]
LABELS = ["--labels", "banana", "tiger", "pineapple"]


@pytest.fixture
def album(drawings, tmp_path):
    folder = tmp_path / "album"
    folder.mkdir()
    for name in ("banana", "tiger", "bicycle"):
        shutil.copy(drawings[name], folder / f"{name}.png")
    return folder


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def rows(result):
    return {Path(row["image"]).stem: row for row in json.loads(result.stdout)["images"]}


def environment(**more):
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "150", "LINES": "50", "TERM": "xterm", **more}


@pytest.mark.slow
@pytest.mark.skipif(not COMMAND.exists(), reason="the package is not installed here")
def test_in_a_pipe_there_is_data_on_stdout_and_no_bar_anywhere(album):
    (album / "bad.png").write_bytes(b"")
    done = subprocess.run(
        [COMMAND, "detect", album, *LABELS, *METHOD, "--format", "json"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 4, done.stderr
    decided = {Path(row["image"]).stem: row["decision"] for row in json.loads(done.stdout)["images"]}
    assert decided == {"banana": "in", "tiger": "in", "bicycle": "out", "bad": "unreadable"}
    assert re.fullmatch(r"2 in, 1 out, 1 unreadable; threshold 0\.5 .*\n", done.stderr)


@pytest.mark.slow
@pytest.mark.skipif(not COMMAND.exists(), reason="the package is not installed here")
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_there_is_a_bar_and_a_table(album):
    import pty

    for path in album.iterdir():  # contents of their own, so that there is something to embed
        with Image.open(path) as picture:
            picture.convert("RGB").crop((1, 1, 70, 69)).save(path)
    home = album.parent / "home"
    model = Path(os.environ["OODLIB_HOME"]) / "models"
    home.mkdir()
    (home / "models").symlink_to(model)
    main, side = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, "detect", album, *LABELS, *METHOD],
        env=environment(OODLIB_HOME=str(home)),
        stdin=side,
        stdout=side,
        stderr=side,
    )
    os.close(side)
    heard = b""
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not part:
            break
        heard += part
    os.close(main)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", heard.decode())
    assert process.wait(timeout=60) == 3, shown
    assert "embedding pictures" in shown
    assert "100%" in shown
    assert re.search(r"[│┃] *in *[│┃]", shown)
    assert "2 in, 1 out, 0 unreadable" in shown


def test_labels_are_words_up_to_the_next_option_or_have_commas(album):
    plain = run("detect", album, *LABELS, *METHOD, "--format", "json")
    commas = run("detect", album, "--labels", "banana,tiger", "pineapple", *METHOD, "--format", "json")
    before = run("detect", *LABELS, *METHOD, "--format", "json", "--", album)
    assert plain.exit_code == 3, plain.stderr
    assert plain.stdout == commas.stdout == before.stdout
    assert json.loads(plain.stdout)["labels"] == ["banana", "tiger", "pineapple"]


def test_exit_codes_tell_a_script_what_happened(album):
    assert run("detect", album / "tiger.png", *LABELS, *METHOD).exit_code == 0
    assert run("detect", album, *LABELS, *METHOD).exit_code == 3
    assert run("detect", album, album / "none.png", *LABELS, *METHOD).exit_code == 4
    assert run("detect", album, "--treshold", "0.5").exit_code == 2
    refused = run("detect", album, *LABELS, "--method", "mcm")
    assert refused.exit_code == 1
    assert refused.stdout == ""
    assert refused.stderr.count("\n") == 1
    assert "--calibrate FOLDER" in refused.stderr


def test_help_tells_the_exit_codes_and_every_rule():
    shown = " ".join(run("detect", "--help").stdout.replace("│", " ").split())
    for said in (
        "Exit code: 0 all pictures are in; 3 some are out; 4 some cannot be read",
        "id95",
        "conformal",
        "auto",
    ):
        assert said in shown


def test_csv_and_files_by_their_suffix(album, tmp_path):
    result = run("detect", album, *LABELS, *METHOD, "-o", tmp_path / "out.csv")
    assert result.stdout == ""
    with (tmp_path / "out.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["decision"] for row in read] == ["in", "out", "in"]
    assert {path.name for path in tmp_path.iterdir()} == {"album", "out.csv"}
    missing = run("detect", album, *LABELS, *METHOD, "-o", album / "tiger.png" / "out.csv")
    assert "cannot write" in missing.stderr


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.images = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attributes))


def test_the_report_is_one_page_that_fetches_nothing_and_trusts_no_name(album, tmp_path):
    hostile = album / "<script>alert(1)<\\script>\x1b[31m.png"
    shutil.copy(album / "bicycle.png", hostile)
    (album / '"><b>.png').write_bytes(b"")
    run("detect", album, *LABELS, *METHOD, "-o", tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not {"script", "link", "b"} & set(page.tags)
    assert not re.search(r"https?:|//\w|url\(|\x1b", re.sub(r"base64,[^\"]+", "", text))
    histogram, *thumbnails = page.images
    assert "Histogram of 4 scores" in histogram["alt"]
    assert "2 at or above the threshold 0.5, 2 below" in histogram["alt"]
    assert all(image["alt"] and image["src"].startswith("data:image/") for image in page.images)
    scores = [float(re.search(r"score ([\d.]+)", image["alt"])[1]) for image in thumbnails]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 4
    data = base64.b64decode(thumbnails[0]["src"].partition(",")[2])
    assert max(Image.open(io.BytesIO(data)).size) <= 112


def test_a_hostile_name_cannot_steer_the_terminal(album):
    shutil.copy(album / "bicycle.png", album / "a\x1b[2Jb\n.png")
    shown = run("detect", album, *LABELS, *METHOD).stdout
    assert "\x1b" not in shown
    assert "a\\x1b[2Jb\\n.png" in shown


def test_save_then_load_then_add_a_class(album, tmp_path):
    kept = tmp_path / "mine.safetensors"
    assert run("detect", *LABELS, *METHOD, "--save", kept).exit_code == 0
    plain = run("detect", album, *LABELS, *METHOD, "--format", "json")
    loaded = run("detect", album, "--load", kept, "--format", "json")
    assert loaded.stdout == plain.stdout
    more = run("detect", album, "--load", kept, "--labels", "bicycle", "--format", "json")
    assert rows(more)["bicycle"]["decision"] == "in"
    moved = run("detect", album, "--load", kept, "--threshold", "1.5", "--format", "json")
    assert {row["decision"] for row in rows(moved).values()} == {"out"}
    assert "--method is fixed in" in run("detect", album, "--load", kept, "--method", "mcm").stderr


def test_labels_and_descriptions_from_files(album, tmp_path):
    (tmp_path / "names.txt").write_text("banana\n# a comment\ntiger\n")
    result = run("detect", album, "--labels-file", tmp_path / "names.txt", *METHOD, "--format", "json")
    assert json.loads(result.stdout)["labels"] == ["banana", "tiger"]
    (tmp_path / "names.json").write_text('{"banana": ["a yellow fruit"], "tiger": []}')
    described = run("detect", album, "--labels-file", tmp_path / "names.json", *METHOD, "--format", "json")
    assert rows(described)["bicycle"]["score"] != rows(result)["bicycle"]["score"]
    (tmp_path / "names.json").write_text('{"0": ["n07753592", "banana"], "1": ["n02129604", "tiger"]}')
    indexed = run("detect", album, "--labels-file", tmp_path / "names.json", *METHOD, "--format", "json")
    assert indexed.stdout == result.stdout
    (tmp_path / "names.json").write_text('{"banana": "a yellow fruit"}')
    assert "does not say clearly which names" in run("detect", album, "--labels-file", tmp_path / "names.json").stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*LABELS], "which pictures?"),
        (["PATHS"], "which classes?"),
        (["PATHS", "--labels", ""], "label 1 is empty"),
        (["PATHS", *LABELS, "tiger"], "'tiger' and 'tiger' are the same"),
        (["PATHS", "--labels", "x" * 10_000], "has 10,000 characters"),
        (["PATHS", *LABELS, "--format", "xml"], "no format 'xml'"),
        (["PATHS", *LABELS, "-p", "temperature"], "NAME=VALUE"),
        (["PATHS", *LABELS, "-p", "threshold=1"], "no parameter 'threshold'"),
        (["PATHS", *LABELS, "-p", "temprature=1"], "did you mean 'temperature'"),
        (["PATHS", *LABELS, "-p", "temperature=warm"], "temperature of ole takes a number, not warm"),
        (["PATHS", *LABELS, "-p", "temperature=nan"], "is not a finite number"),
        (["PATHS", *LABELS, "-p", "temperature="], "has no value"),
        (["PATHS", *LABELS, "-p", "n_prototypes=1.5"], "n_prototypes of ole takes a whole number or none, not 1.5"),
        (["PATHS", *LABELS, "-p", "hard=yes"], "hard of ole takes true or false, not yes"),
        (["PATHS", *LABELS, "-p", "cluster=tree"], "cluster of ole takes one of kmeans, gmm, not tree"),
        (["PATHS", *LABELS, "-p", "mix=[0]"], "mix of ole takes a list"),
        (["PATHS", *LABELS, "-p", "temperature=1", "temperature=1"], "temperature is there twice"),
        (["PATHS", *LABELS, "--threshold", "best"], "no threshold 'best'"),
        (["PATHS", *LABELS, "--labels-file", "x.txt"], "not from both"),
        (["PATHS", *LABELS, "--pretrained", "openai"], "leave pretrained='openai' (--pretrained) out"),
        (
            ["PATHS", *LABELS, "--encoder", "pocket", "--pretrained", "/gone.pt"],
            "leave pretrained='/gone.pt' (--pretrained) out",
        ),
    ],
)
def test_mistakes_are_one_sentence(album, arguments, message):
    result = run("detect", *(album if word == "PATHS" else word for word in arguments))
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.startswith("error: ")


@pytest.mark.parametrize(
    ("method", "written", "plain"),
    [
        ("outlier_softmax", "temperature=1e-2", "temperature=0.01"),
        ("mcm", "temperature=.5", "temperature=0.5"),
        ("ole", "n_prototypes=1_00", "n_prototypes=100"),
        ("ole", "mix=(0, 5e-1)", "mix=[0.0, 0.5]"),
        ("energy", "temperature=None", "temperature=null"),
    ],
)
def test_a_value_means_the_same_however_it_is_written(album, method, written, plain):
    cut = ["--threshold", "1e-3"]
    results = [
        run("detect", album, *LABELS, *cut, "--method", method, "-p", p, "--format", "json") for p in (written, plain)
    ]
    assert results[0].stderr.splitlines()[-1].endswith("threshold 0.001 (as given)"), results[0].stderr
    assert results[0].stdout == results[1].stdout


def test_synonyms_and_other_files_are_notes(album):
    (album / "list.txt").write_text("")
    result = run("detect", album, "--labels", "car", "automobile", *METHOD)
    assert "note: 'car' and 'automobile' can mean the same" in result.stderr
    assert "passed over 1 file(s) not named like pictures (list.txt)" in result.stderr


def test_search_lists_the_best(album):
    result = run("search", "a yellow fruit", album, "--top", "2", "--format", "json")
    assert result.exit_code == 0, result.stderr
    assert next(iter(rows(result))) == "banana"
    (album / "bad.png").write_bytes(b"")
    plain = run("search", "a yellow fruit", album, "--top", "1")
    assert plain.exit_code == 4
    assert re.match(r"rank +image +cosine +reason\n1 +\S+banana.png +0\.\d+\n +\S+bad.png", plain.stdout)


@pytest.mark.parametrize("format", ["table", "json", "csv", "html"])
def test_one_name_that_is_not_utf_8_does_not_end_the_others(album, format):
    odd = Path(os.fsdecode(os.fsencode(album) + b"/caf\xe9\xff.png"))
    shutil.copy(album / "bicycle.png", odd)
    Path(os.fsdecode(os.fsencode(album) + b"/bad\xe9.png")).write_bytes(b"no picture")
    result = run("detect", album, *LABELS, *METHOD, "--format", format)
    assert result.exit_code == 4, result.output
    assert re.search(r"caf\\+udce9\\+udcff\.png", result.stdout)
    assert "2 in, 2 out, 1 unreadable" in result.stderr
    if format == "html":
        assert result.stdout.count("data:image/jpeg") == 4


def test_in_python_there_is_a_table_in_spite_of_such_a_name(album):
    shutil.copy(album / "bicycle.png", Path(os.fsdecode(os.fsencode(album) + b"/caf\xe9.png")))
    table = detect(album, ["banana", "tiger"], method="mcm", threshold=0.1)
    table.to_parquet(album.parent / "table.parquet")
    assert len(table) == 4


def test_where_results_cannot_go_is_told_before_the_work(album, monkeypatch):
    monkeypatch.setattr("oodlib.cli.detect._guard", lambda *_: pytest.fail("has begun"))
    for option, place in (("-o", album), ("-o", album / "tiger.png"), ("--save", album / "tiger.png" / "below")):
        refused = run("detect", album, *LABELS, *METHOD, option, place)
        assert refused.exit_code == 1, refused.output
        assert refused.stderr.startswith("error: ")
    assert "is a folder" in run("search", "a cat", album, "-o", album).stderr


def test_a_console_that_lacks_a_letter_shows_its_code(album):
    shutil.copy(album / "bicycle.png", album / "\N{BICYCLE}.png")
    done = subprocess.run(
        [sys.executable, "-m", "oodlib.cli", "detect", album, *LABELS, *METHOD],
        env=environment(PYTHONIOENCODING="ascii"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3, done.stderr
    assert "\\U0001f6b2.png" in done.stdout


@pytest.mark.parametrize(
    "words", [["detect", "ALBUM", *LABELS], ["search", "a cat", "ALBUM"], ["embed", "ALBUM"], ["compare", "ID", "OOD"]]
)
def test_what_a_weight_file_does_not_say_can_be_said(words, album, drawings, tmp_path):
    for part, names in (("ID/a", ["banana"]), ("ID/b", ["tiger"]), ("OOD", ["rocket"])):
        (tmp_path / part).mkdir(parents=True)
        for name in names:
            shutil.copy(drawings[name], tmp_path / part)
    file = tmp_path / "mine.pt"
    file.write_bytes(b"")
    places = {"ALBUM": album, "ID": tmp_path / "ID", "OOD": tmp_path / "OOD"}
    asked = [*(places.get(word, word) for word in words), "--encoder", "ViT-L-14", "--pretrained", file]
    for more, message in (
        ([], "--quick-gelu or --no-quick-gelu"),
        (["--quick-gelu"], "--like TAG"),
        (["--quick-gelu", "--like", "openai"], "mine.pt' cannot be loaded"),
        (["--like", "openai"], "mine.pt' cannot be loaded"),
    ):
        said = run(*asked, *more)
        assert said.exit_code == 1
        assert message in " ".join(said.output.split())


def test_names_that_the_model_cannot_read_or_tell_apart_are_one_sentence(album):
    for names, said in (
        (["猫", "鳥"], "cannot read the label '猫'"),
        (["cafe", "café"], "'cafe' and 'café' from each"),
    ):
        refused = run("detect", album, "--labels", *names, "--method", "mcm", "--threshold", "0.1")
        assert refused.exit_code == 1, refused.output
        assert refused.stderr.startswith("error: pocket cannot")
        assert said in refused.stderr
        assert refused.stderr.count("\n") == 1
