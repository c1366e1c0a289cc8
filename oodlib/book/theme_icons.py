"""Making the theme lighter: of the two thousand icons that it brings, a page loads those that the book uses.

The theme draws its icons with Font Awesome's script, which holds the outlines of all of them: half of what a page may
weigh. An icon that no page and no other script of the site names is taken out of it. (The theme's style sheet names
them all, and draws its own from a font, which stays.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

# One icon in the script: its name, width, height, other names, code point, outline (or two, for icons in two tones).
ENTRY = re.compile(
    r"""(?:"(?P<quoted>[a-z0-9-]+)"|(?P<bare>[a-zA-Z0-9]+)):\[\d+,\d+,\[(?P<others>[^\]]*)\],"[0-9a-f]+","""
    r"""(?:"[^"]*"|\["[^"]*","[^"]*"\])\],?"""
)


def trim_icons(site: Path) -> int:
    """Take out of the site's icon script what the site does not name; returns how many icons stay.

    A script that this does not understand, such as that of a later theme, is left as it is; a test of the weight of
    pages then says so.

    Parameters
    ----------
    site : Path
        The folder of the built site.
    """
    script = site / "_static" / "scripts" / "fontawesome.js"
    if not script.is_file():
        return 0
    used = _names(path for kind in ("html", "js") for path in site.rglob(f"*.{kind}") if path != script)
    kept = 0

    def keep(entry: re.Match[str]) -> str:
        nonlocal kept
        names = {entry["quoted"] or entry["bare"], *re.findall(r'"([^"]+)"', entry["others"])}
        stays = not used.isdisjoint(names)
        kept += stays
        return entry[0] if stays else ""

    script.write_text(ENTRY.sub(keep, script.read_text(encoding="utf-8")), encoding="utf-8", newline="")
    return kept


def _names(paths: Iterable[Path]) -> set[str]:
    """Every icon name, `fa-NAME`, that stands in some files."""
    found: set[str] = set()
    for path in paths:
        found.update(re.findall(r"fa-([a-z0-9-]+)", path.read_text(encoding="utf-8", errors="ignore")))
    return found
