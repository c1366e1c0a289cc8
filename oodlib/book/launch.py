"""Running a page elsewhere: links of a published edition, and notebooks that fetch and install that edition first."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import Any

from oodlib.errors import OodlibError

BRANCH = "launch"  # the publishing workflow puts the notebooks of every edition there, in a folder of its name
WORDS = """\
**Before you run this.** On a machine that has no `oodlib`, such as Google Colab's, the next cell fetches edition
`{ref}` of the book, installs its library and the packages that it needs, fetches the emoji sets, and prints the
versions; that takes a few minutes, once. Where `oodlib` is installed already, on Binder or on your own machine, it does
nothing."""
CODE = """\
import os
import runpy
import subprocess
from importlib.util import find_spec
from pathlib import Path

address, edition = "https://github.com/{repository}", "{ref}"
checkout = Path.home() / f"outliers-by-name-{{edition}}"
if find_spec("oodlib") is None or checkout.exists():
    if not (checkout / "tools" / "launch.py").exists():
        checkout.mkdir(exist_ok=True)
        for step in (["init"], ["fetch", "--depth", "1", address, edition], ["checkout", "FETCH_HEAD"]):
            subprocess.run(["git", "-C", checkout, *step, "--quiet"], check=True)
    runpy.run_path(str(checkout / "tools" / "launch.py"), run_name="__main__")
    os.chdir(checkout)"""


@dataclass(frozen=True)
class Edition:
    """A published state of the book, which never changes again.

    Parameters
    ----------
    repository : str
        "owner/name" on GitHub.
    ref : str
        The tag of a release, such as "v0.1.0", or a full commit. A branch moves, so it is refused.

    Raises
    ------
    OodlibError
        If one of them has another form.
    """

    repository: str
    ref: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", self.repository):
            raise OodlibError(f"the repository {self.repository!r} has another form: pass --repository OWNER/NAME")
        if not re.fullmatch(r"v\d+\.\d+[\w.+-]*|[0-9a-f]{40}", self.ref):
            raise OodlibError(f"{self.ref!r} names no release: pass --ref with a tag such as v0.1.0, or a full commit")

    @property
    def address(self) -> str:
        """The web page of the sources."""
        return f"https://github.com/{self.repository}/tree/{self.ref}"

    def colab(self, name: str) -> str:
        """The address that opens a page's launchable notebook in Google Colab."""
        return f"https://colab.research.google.com/github/{self.repository}/blob/{BRANCH}/{self.ref}/{name}.ipynb"

    def binder(self, name: str) -> str:
        """The address that opens a page's source notebook on mybinder.org, whose image installs the library itself."""
        return f"https://mybinder.org/v2/gh/{self.repository}/{self.ref}?urlpath=lab/tree/notebooks/{name}.ipynb"


def edition(repository: str | None, ref: str | None) -> Edition | None:
    """The edition that these name; None without either.

    Raises
    ------
    OodlibError
        If only one is given.
    """
    if not repository and not ref:
        return None
    if not repository or not ref:
        raise OodlibError("launch links need both: pass --repository OWNER/NAME and --ref TAG, or neither")
    return Edition(repository, ref)


def launchable(source: dict[str, Any], published: Edition) -> dict[str, Any]:
    """A stripped notebook that installs its edition of the book first: two cells after the title, nothing else changed.

    Parameters
    ----------
    source : dict
        A notebook as nbformat's JSON.
    published : Edition
    """
    notebook = copy.deepcopy(source)
    names = {"repository": published.repository, "ref": published.ref}
    words = {"cell_type": "markdown", "id": "launch-words", "metadata": {}, "source": WORDS.format(**names)}
    code = {"cell_type": "code", "id": "launch-code", "metadata": {"tags": ["launch"]}, "source": CODE.format(**names)}
    notebook["cells"][1:1] = [words, code | {"execution_count": None, "outputs": []}]
    return notebook
