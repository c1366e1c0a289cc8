"""Pictures, texts and words: what yields a Manifest or a TextSet and cuts benchmarks out of it, and WordNet.

EmojiShift's `sha256` is that of the SVG source, not of the drawn PNG: a renderer may round differently on another
processor, and the manifest's hash must be the same on any machine. The hash of the drawn pixels, which finds copies, is
a column of its own and not part of the manifest's hash. Sets of photographs have one YAML card each in `cards/`,
instead of a module each, because they differ in facts and not in code.
"""

from oodlib.datasets.base import Benchmark, Manifest

__all__ = ["Benchmark", "Manifest"]
