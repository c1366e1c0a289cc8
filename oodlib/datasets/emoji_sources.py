"""The open emoji sets as they come from npm: which drawing of which hand shows which Unicode emoji."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from oodlib.errors import OodlibError

# The hands that teach PocketCLIP, and those that it never sees before the benchmark.
PRETRAINING_HANDS = ("noto", "noto-v1", "emojione", "emojione-v1", "fxemoji")
BENCHMARK_HANDS = ("twemoji", "openmoji", "fluent-emoji", "fluent-emoji-flat")
HANDS = PRETRAINING_HANDS + BENCHMARK_HANDS
# fluent-emoji's package has no table of code points, but its drawings are named as those of its flat twin.
_CHARS_FROM = {"fluent-emoji": "fluent-emoji-flat"}


@dataclass(frozen=True)
class Emoji:
    """One entry of Unicode's emoji list, by emojibase."""

    code: str
    name: str
    keywords: tuple[str, ...]
    group: str
    subgroup: str

    @property
    def codes(self) -> tuple[str, ...]:
        """Spellings of the code point: sets differ in whether they write the variation selector FE0F."""
        bare = self.code.replace("-fe0f", "")
        return tuple(dict.fromkeys((self.code, bare, f"{bare}-fe0f")))

    @property
    def slugs(self) -> tuple[str, ...]:
        """Names a set may file the drawing under: today's name, and Unicode's formal one, which older sets keep."""
        formal = (
            unicodedata.name(chr(int(self.code.split("-")[0], 16)), "") if len(self.codes[-1].split("-")) == 2 else ""
        )
        names = (self.name, f"{self.name} face", formal)
        return tuple(dict.fromkeys(re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") for name in names if name))


def node_modules() -> Path:
    """Folder of the npm packages: `OODLIB_NODE_MODULES`, or the nearest `node_modules` above here or above this file.

    Raises
    ------
    OodlibError
        If there is none.
    """
    if named := os.environ.get("OODLIB_NODE_MODULES"):
        return Path(named)
    for start in (Path.cwd(), Path(__file__).resolve().parent):
        for folder in (start, *start.parents):
            if (folder / "node_modules" / "emojibase-data").is_dir():
                return folder / "node_modules"
    raise OodlibError(
        "the npm packages are missing: run `npm ci` in a checkout of the book (`make setup` does it), or set "
        "OODLIB_NODE_MODULES"
    )


def read_json(package: str, file: str) -> Any:
    """Parse one JSON file of an npm package; a missing or broken file is an error that names the package."""
    path = node_modules() / package / file
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise OodlibError(
            f"the npm package {package} is missing (no {file}): run `npm ci` (`make setup` does it)"
        ) from None
    except (OSError, ValueError) as error:
        raise OodlibError(f"the npm package {package} is damaged ({file}: {error}): run `npm ci` again") from error


def version(package: str) -> str:
    """Installed version of an npm package."""
    return str(read_json(package, "package.json")["version"])


def credits(hand: str) -> dict[str, str]:
    """Author, licence and home of a hand, read from its package."""
    info = read_json(f"@iconify-json/{hand}", "info.json")
    return {
        "hand": hand,
        "author": info["author"]["name"],
        "licence": info["license"].get("spdx", info["license"]["title"]),
        "home": info["author"].get("url", ""),
        "version": version(f"@iconify-json/{hand}"),
    }


def emoji(groups: tuple[str, ...]) -> list[Emoji]:
    """Every emoji of the named Unicode groups, in Unicode's order; skin tones are not listed apart."""
    meta = read_json("emojibase-data", "meta/groups.json")
    group_names, subgroup_names = meta["groups"], meta["subgroups"]
    wanted = [
        Emoji(
            code=row["hexcode"].lower(),
            name=row["label"],
            keywords=tuple(row.get("tags", ())),
            group=group_names[str(row["group"])],
            subgroup=subgroup_names[str(row["subgroup"])],
        )
        for row in sorted(read_json("emojibase-data", "en/data.json"), key=lambda row: row.get("order", 10**9))
        if "group" in row and group_names[str(row["group"])] in groups
    ]
    if not wanted:
        raise OodlibError(f"emojibase-data knows no emoji in {groups}: is its version the pinned one?")
    return wanted


class Hand:
    """The drawings of one emoji set, found by code point or by name."""

    def __init__(self, name: str):
        package = f"@iconify-json/{name}"
        self.name = name
        data = read_json(package, "icons.json")
        self._icons: dict[str, dict[str, Any]] = data["icons"]
        self._aliases: dict[str, dict[str, Any]] = data.get("aliases", {})
        self._size = (data.get("width", 16), data.get("height", 16))
        # Sets that are not emoji list no code points.
        listed = name in HANDS
        self._chars: dict[str, str] = (
            read_json(f"@iconify-json/{_CHARS_FROM.get(name, name)}", "chars.json") if listed else {}
        )

    def keys(self) -> Iterable[str]:
        """Names of its own drawings, aliases left out."""
        return self._icons.keys()

    def key(self, emoji: Emoji, slugs: tuple[str, ...]) -> str | None:
        """Name of this hand's drawing of an emoji, or None; `slugs` are tried where no code points are listed."""
        for code in emoji.codes:
            if code in self._chars:
                return self._chars[code]
        for slug in slugs:
            # fxemoji writes names without hyphens.
            name = slug.replace("-", "") if self.name == "fxemoji" else slug
            if name in self._icons or name in self._aliases:
                return name
        return None

    def svg(self, key: str) -> str | None:
        """The drawing as an SVG document, or None where `key` is a turned or mirrored copy of another one."""
        while key not in self._icons:
            alias = self._aliases.get(key)
            if alias is None or {"hFlip", "vFlip", "rotate"} & set(alias):
                return None
            key = alias["parent"]
        icon = self._icons[key]
        left, top = icon.get("left", 0), icon.get("top", 0)
        width, height = icon.get("width", self._size[0]), icon.get("height", self._size[1])
        view = f"{left} {top} {width} {height}"
        return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view}">{icon["body"]}</svg>'


@lru_cache(maxsize=1)
def hands() -> tuple[Hand, ...]:
    """All nine hands, pretraining hands first."""
    return tuple(Hand(name) for name in HANDS)


def all_slugs(emoji: Emoji) -> tuple[str, ...]:
    """The names of an emoji in the sets that list code points, then its own: what the other sets are searched by."""
    listed = (hand.key(emoji, ()) for hand in hands())
    return tuple(dict.fromkeys((*(key for key in listed if key), *emoji.slugs)))
