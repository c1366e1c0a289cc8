"""The house style of figures: colour-blind safe in light and dark, and legible on a telephone.

A figure is drawn once, narrow, with letters that a telephone shows at nine pixels or more; a wide page enlarges it.
"""

from __future__ import annotations

from typing import Any

# Four of Okabe & Ito's colours and three darker ones: each has a contrast of 3:1 to white, as a thin line needs, and no
# two look alike to a reader who lacks one kind of cone. `ON_DARK` are as good on a dark page.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#882255", "#000000", "#8C6D31", "#CC79A7")
ON_DARK = ("#78C0F8", "#F1731C", "#2E8F78", "#C33BA5", "#F2F2F2", "#A18349", "#ECA5C1")
ID_COLOUR, OOD_COLOUR = COLOURS[0], COLOURS[1]
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)))  # curves differ by more than colour
GROUND, INK, EDGE, RULE, GRID = "#ffffff", "#000000", "#444444", "#666666", "#e4e4e4"
DARK_GROUND = "#121212"  # the page's own
DARK = dict(zip(COLOURS, ON_DARK, strict=True)) | {
    GROUND: DARK_GROUND,
    EDGE: "#aaaaaa",
    RULE: "#9a9a9a",
    GRID: "#333333",
}
# On a cell that has its own colour in both, text keeps its own too: it is not quite white, and not quite black.
ON_CELL = ("#fdfdfd", "#020202")

WIDTH = 4.1  # inches, of all figures, so that their letters have one size
SMALLEST = 8.6  # points: 9 pixels where a figure is 312 pixels wide, all that a telephone of 360 has for it
STYLE: dict[str, Any] = {
    "figure.facecolor": GROUND,
    "savefig.facecolor": GROUND,
    "font.size": 9,
    "font.sans-serif": ["DejaVu Sans", "Verdana"],  # letters of one width: what is drawn here has room there
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.labelsize": 9,
    "legend.fontsize": SMALLEST,
    "xtick.labelsize": SMALLEST,
    "ytick.labelsize": SMALLEST,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": EDGE,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}
