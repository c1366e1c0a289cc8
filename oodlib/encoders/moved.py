"""A model's folder that was moved or copied since it was made, and says where its text tower lay then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from oodlib.encoders.weight_files import CONFIG


def own_text_tower(folder: Path) -> dict[str, Any]:
    """What to tell open_clip, as a keyword, where a folder holds its text tower itself; nothing for other folders.

    open_clip hands `hf_model_name` to transformers, which needs a whole path. That of a folder that has been copied
    leads to the original, whose files would be read in place of the copy's until the original is gone.
    """
    try:
        text = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["model_cfg"]["text_cfg"]
        written = text["hf_model_name"]
        if not (isinstance(written, str) and Path(written).is_absolute() and (folder / "config.json").is_file()):
            return {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # open_clip says what is wrong with it
        return {}
    return {"text_cfg": text | {"hf_model_name": str(folder.absolute())}}
