"""The encoders that the papers on out-of-distribution detection use, each by architecture and tag of its weights.

Facts, not code: a test compares every row with open_clip's own tables. Papers say "ViT-B/16", which is several models.
"""

from __future__ import annotations

from dataclasses import dataclass

OPENAI = "MCM, EOE, NegLabel, CSP and nearly every table since"
BACKBONES = "MCM's comparison of backbones (in the tables of CoVer)"
NO_PAPER = "none of these papers; for comparison"


@dataclass(frozen=True)
class PaperEncoder:
    """One encoder.

    Parameters
    ----------
    name, pretrained : str
        Architecture and tag, as `oodlib.encoders.load_encoder` takes them.
    quick_gelu : bool
        Whether the weights were trained with the activation QuickGELU, as OpenAI's and MetaCLIP's were.
    width : int
        Numbers in a feature.
    side : int
        Side of the pictures in pixels.
    numbers : int
        Numbers in the weight file.
    used_by : str
        Which papers report it.
    """

    name: str
    pretrained: str
    quick_gelu: bool
    width: int
    side: int
    numbers: int
    used_by: str

    @property
    def bytes(self) -> int:
        """Size of the weights in float32; the file is larger by the names of its tensors, some ten kilobytes.

        Where the file's page on the hub could be read, its rounded size is this one within a megabyte: MetaCLIP's and
        LAION's ViT-B-16 (599 MB), OpenAI's ViT-B-32 (605 MB), ViT-L-14 (1.71 GB) and RN50 (408 MB), LAION's ViT-L-14
        (1.71 GB), SigLIP (813 MB). Those of OpenAI's ViT-B-16 and LAION's ViT-B-32 are not verified.
        """
        return 4 * self.numbers


B16, B32, L14, RN50, SIGLIP = 149_620_737, 151_277_313, 427_616_513, 102_060_385, 203_155_970

ENCODERS = (
    PaperEncoder("ViT-B-16", "openai", True, 512, 224, B16, OPENAI),
    PaperEncoder("ViT-B-32", "openai", True, 512, 224, B32, f"ZOC; {BACKBONES}"),
    PaperEncoder("ViT-L-14", "openai", True, 768, 224, L14, BACKBONES),
    PaperEncoder("RN50", "openai", True, 1024, 224, RN50, BACKBONES),
    PaperEncoder("ViT-B-16", "laion2b_s34b_b88k", False, 512, 224, B16, "CLIPN and OLE"),
    PaperEncoder("ViT-B-32", "laion2b_s34b_b79k", False, 512, 224, B32, NO_PAPER),
    PaperEncoder("ViT-L-14", "laion2b_s32b_b82k", False, 768, 224, L14, NO_PAPER),
    # Which of MetaCLIP's two sets of weights CoVer took is not verified.
    PaperEncoder("ViT-B-16", "metaclip_400m", True, 512, 224, B16, BACKBONES),
    # Trained with a sigmoid for every pair of picture and text: see `Encoder.logit_bias`. Its tokenizer is on the hub.
    PaperEncoder("ViT-B-16-SigLIP", "webli", False, 768, 224, SIGLIP, NO_PAPER),
)


def paper_encoder(name: str, pretrained: str | None) -> PaperEncoder | None:
    """The row of an architecture and a tag; None where no row is theirs.

    Examples
    --------
    >>> paper_encoder("ViT-B-16", "openai").bytes
    598482948
    """
    return next((row for row in ENCODERS if (row.name, row.pretrained) == (name, pretrained)), None)
