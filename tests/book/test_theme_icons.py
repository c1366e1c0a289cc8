"""The icon script without what nobody uses."""

import shutil
import subprocess
from pathlib import Path

import pytest

from oodlib.book.theme_icons import trim_icons

SCRIPT = (
    'var a={"magnifying-glass":[512,512,[128269,"search"],"f002","M1 2z"],bars:[448,512,["navicon"],"f0c9","M3z"],'
    '0:[320,512,[],"30","M5z"],tone:[1,2,[],"f1",["M6z","M7z"]],"last-one":[512,512,[],"f003","M4z"]},b=[1,2,"M9z"];'
    "console.log(JSON.stringify(a),b.length)"
)


def site(folder: Path, page: str, script: str = SCRIPT) -> Path:
    (folder / "_static" / "scripts").mkdir(parents=True)
    (folder / "_static" / "scripts" / "fontawesome.js").write_text(script, encoding="utf-8")
    (folder / "_static" / "theme.css").write_text(".fa-bars{} .fa-tone{}", encoding="utf-8")
    (folder / "page.html").write_text(page, encoding="utf-8")
    return folder / "_static" / "scripts" / "fontawesome.js"


def test_used_icons_stay_whole_and_the_rest_goes(tmp_path):
    script = site(tmp_path, '<i class="fa-solid fa-search"></i>')
    (tmp_path / "_static" / "theme.js").write_text("toggle('fa-last-one')", encoding="utf-8")
    assert trim_icons(tmp_path) == 2
    left = script.read_text(encoding="utf-8")
    kept = SCRIPT.replace('bars:[448,512,["navicon"],"f0c9","M3z"],', "")
    kept = kept.replace('0:[320,512,[],"30","M5z"],tone:[1,2,[],"f1",["M6z","M7z"]],', "")
    assert left == kept


@pytest.mark.parametrize("page", ["", '<i class="fa-bars"></i>', '<i class="fa-0 fa-search"></i>'])
def test_what_is_left_is_a_script(tmp_path, page):
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node on this machine")
    script = site(tmp_path, page)
    trim_icons(tmp_path)
    done = subprocess.run([node, script], capture_output=True, text=True, check=True)
    assert ("M3z" in done.stdout) == ("bars" in page)


def test_a_script_of_another_make_stays_as_it_is(tmp_path):
    script = site(tmp_path, "", "var icons = load();")
    assert trim_icons(tmp_path) == 0
    assert script.read_text(encoding="utf-8") == "var icons = load();"
    assert trim_icons(tmp_path / "nowhere") == 0
