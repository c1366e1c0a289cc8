"""What the book runs: profiles, their pictures, and the protocols of papers.

The same notebooks run under each profile. A page whose subject is EmojiShift or PocketCLIP, or whose measurements need
real weights and no more, says `"profile": "pocket"` in its metadata and is the same in every book; a run of another
profile runs `pocket` first, because such a page may read any result of it.

A folder with a `SAMPLE.json` (made by `tools/sample_tree.py`) is a made-up sample: its profile gets the `small` block
and random weights without being asked, lies in a folder of its own, and every page of it carries a warning.

The profile `pocket` asks with the template set `drawings`, because its pictures are drawings; it was chosen before any
result was seen.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
