"""What a reader cannot see or can hardly read on a page: code or tables that are cut off, letters below a size."""

from __future__ import annotations

import re
from typing import Any

SMALLEST = 9  # pixels
# What is wider than a box that neither scrolls nor lets it out; or sticks out of the page; or, on a wide screen, code
# that one must scroll to read. Folds are opened to look inside.
CLIPPED = """wide => {
    document.querySelectorAll('main details').forEach(fold => { fold.open = true; });
    const name = e => `${e.tagName.toLowerCase()}.${e.className}: ${e.innerText.trim().slice(0, 60)}`;
    const scrolls = e => ['auto', 'scroll'].includes(getComputedStyle(e).overflowX);
    const hides = e => ['hidden', 'clip'].includes(getComputedStyle(e).overflowX);
    const found = [];
    for (const e of document.querySelectorAll('main pre, main table')) {
        const box = e.getBoundingClientRect();
        if (!e.checkVisibility()) continue;
        const right = box.left + Math.max(box.width, e.scrollWidth);
        if (wide && e.tagName === 'PRE' && e.closest('.cell_input') && e.scrollWidth > e.clientWidth + 1)
            found.push(name(e));
        for (let p = e; p; p = p.parentElement) {
            if (scrolls(p)) break;
            const end = p === document.documentElement ? innerWidth : p.getBoundingClientRect().right;
            if ((hides(p) || p === document.documentElement) && right > end + 1) { found.push(name(e)); break; }
        }
    }
    return found;
}"""
# Letters of the page itself, drawings inside it included: a drawing may be scaled, so its boxes say the size.
SMALL = """least => {
    const walk = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT), found = [];
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
        const e = node.parentElement;
        if (!node.data.trim() || !e.checkVisibility() || e.closest('mjx-container, script, style, sub, sup')) continue;
        const scale = e.getScreenCTM ? Math.hypot(e.getScreenCTM().a, e.getScreenCTM().b) : 1;
        const size = scale * parseFloat(getComputedStyle(e).fontSize);
        if (size < least - 0.01) found.push(`${size.toFixed(1)} px: ${node.data.trim().slice(0, 60)}`);
    }
    return found;
}"""
# Figures that are files: their address, and how wide they are here.
FIGURES = """() => [...document.querySelectorAll('main figure img')].filter(i => i.getBoundingClientRect().width)
    .map(i => [i.currentSrc, i.getBoundingClientRect().width])"""
READ = "address => fetch(address).then(reply => reply.text())"


def clipped(tab: Any) -> list[str]:
    """The code and the tables of an open page of which a part cannot be seen."""
    found: list[str] = tab.evaluate(CLIPPED, tab.viewport_size["width"] >= 1200)
    return found


def small_letters(tab: Any, least: float = SMALLEST) -> list[str]:
    """The letters of an open page, those in its figures included, that are lower than so many pixels.

    Of a figure that is no drawing nothing is known: it counts as one whose letters are too small.
    """
    found: list[str] = tab.evaluate(SMALL, least)
    for address, width in tab.evaluate(FIGURES):
        name = address.rpartition("/")[2]
        size = lettering(tab.evaluate(READ, address), width) if name.endswith(".svg") else 0.0
        if size < least:
            found.append(f"{size:.1f} px in {name}" if size else f"{name} is no SVG")
    return found


def lettering(drawing: str, width: float) -> float:
    """Pixels of the smallest letters of an SVG file that a page shows so wide; infinite where there are none."""
    sizes = [float(size) for size in re.findall(r"<t(?:ext|span)[^>]*font(?:-size)?:[^;\"]*?([\d.]+)px", drawing)]
    box = re.search(r'viewBox="[-\d.]+ [-\d.]+ ([\d.]+)', drawing)
    return min(sizes, default=float("inf")) * width / float(box[1]) if box else 0.0
