"""A figure as SVG: the same bytes for the same figure, colours that follow the reader's scheme, values on hover.

The file brings its own ground. In a light page it is as drawn; where the page around it, or the reader's system, is
dark, a style sheet inside puts `oodlib.report.style.DARK` in the place of the house's colours. Text stays text, which
can be found and read aloud. Pictures inside are made small.
"""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from PIL import Image

from oodlib.report.style import DARK, INK, STYLE

DPI = 160  # of pictures inside
HOVER = "hover: "
SETTINGS = {"svg.hashsalt": "oodlib", "svg.fonttype": "none", "font.sans-serif": STYLE["font.sans-serif"]}


def hover(artist: Artist, texts: Sequence[str]) -> None:
    """Let marks say what they are: one text for each mark of an artist, in order.

    A browser shows them over a figure that is opened alone, as a click on it does.
    """
    artist.set_gid(HOVER + "\n".join(texts))


def svg(figure: Figure) -> str:
    """The file of a figure."""
    stream = io.StringIO()
    with rc_context(SETTINGS):
        figure.savefig(stream, format="svg", dpi=DPI, metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = re.sub(r"(?s)<metadata>.*?</metadata>|<\?xml.*?\?>\s*|<!DOCTYPE.*?>\s*", "", text)
    text = re.sub(r"data:image/png;base64,\s*([^\"]+)", lambda found: _small(base64.b64decode(found[1])), text)
    text = re.sub(r' (?:d|x|y)="[^"]*"', lambda found: re.sub(r"(\.\d\d)\d+", r"\1", found[0]), text)  # of a point
    text = re.sub(r"M (\S+) (\S+) \nL \1 \2 \n", r"M\1 \2h0", text)  # dots of `oodlib.report.maps`
    text = _with_titles(text)
    return re.sub(r"(<svg [^>]*>)", lambda root: f"{root[1]}<style>{_dark()}</style>", text, count=1)


def _dark() -> str:
    """The rules for a dark page. What is black in a drawing has no colour in the file: it inherits the root's."""
    rules = [f"svg{{fill:{DARK[INK]}}}"]
    for light, dark in DARK.items():
        for what in ("fill", "stroke"):
            rules.append(f'[style*="{what}: {light.lower()}"]{{{what}:{dark}!important}}')
    return "@media (prefers-color-scheme:dark){" + "".join(rules) + "}"


def _with_titles(text: str) -> str:
    """Each mark of a group that `hover` named with its text, as a title that browsers show."""
    before, *groups = re.split(f'<g id="{HOVER}([^"]*)">', text)
    parts = [before]
    for said, inside in zip(groups[::2], groups[1::2], strict=True):
        texts: Iterator[str] = iter(html.unescape(said).split("\n"))

        def titled(mark: re.Match[str], texts: Iterator[str] = texts) -> str:
            said = next(texts, None)
            return mark[0] if said is None else f"{mark[1]}><title>{html.escape(said)}</title></use>"

        parts += ["<g>", re.sub(r"(<use [^>]*?)\s*/>", titled, inside)]
    return "".join(parts)


def _small(png: bytes) -> str:
    """A picture inside a figure as WebP: without loss, or with one that nobody sees, whichever is smaller."""
    with Image.open(io.BytesIO(png)) as drawn:
        picture = drawn.convert("RGBA")
    kept = min(_webp(picture, lossless=True, quality=60), _webp(picture, quality=88), key=len)
    return f"data:image/webp;base64,{base64.b64encode(kept).decode()}"


def _webp(picture: Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "webp", method=4, **options)
    return stream.getvalue()
