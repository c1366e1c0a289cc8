"""Results as plain rows: the command prints them, and Python gets them as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Rows:
    """One dict a row, all with the same keys in the same order, and facts about all of them."""

    rows: list[dict[str, Any]]
    about: dict[str, Any]

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.rows[0])

    def table(self) -> pd.DataFrame:
        """The rows as a table whose ``attrs`` are the facts."""
        import pandas as pd

        table = pd.DataFrame(self.rows, columns=self.columns)
        table.attrs.update(self.about)
        return table
