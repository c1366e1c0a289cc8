import pytest
import torch
from torch.nn.functional import normalize

from oodlib.concepts import Concepts
from oodlib.outlier_labels.lexicon import Lexicon


class Lengths:
    """An encoder whose feature of a text tells the text's length and its template's."""

    digest = "c" * 64

    def encode_texts(self, texts, templates=None):
        rows = [[len(text), sum(map(len, templates)), 1.0, 0.0] for text in texts]
        return normalize(torch.tensor(rows, dtype=torch.float32), dim=1)

    def as_features(self, kept):
        return torch.from_numpy(kept)


@pytest.fixture
def lexicon(tmp_path):
    words = {"noun": ["Cup", "ice cream", "tow-truck"], "adjective": ["red"]}
    return Lexicon.encode(Lengths(), words, {"noun": ["{}"], "adjective": ["this is {}"]}, home=tmp_path)


def test_each_kind_has_its_own_templates(lexicon):
    assert lexicon.words == ("Cup", "ice cream", "tow-truck", "red")
    assert lexicon.kinds == ("noun",) * 3 + ("adjective",)
    assert torch.equal(lexicon.text[3:], Lengths().encode_texts(["red"], ["this is {}"]))
    assert len(lexicon.only("noun")) == 3


def test_class_names_are_left_out_however_they_are_spelled(lexicon):
    text = normalize(torch.eye(4)[:3], dim=1)
    concepts = Concepts(names=["cup", "Ice_Cream", "tow truck"], text=text, no_text=text.flip(0), logit_scale=7.0)
    extended = lexicon.add_to(concepts)
    assert extended.outlier_names == ("red",)
    assert extended.outlier_kinds == ("adjective",)
    assert torch.equal(extended.outlier_text, lexicon.text[3:])
    assert extended.logit_scale == 7.0
    assert torch.equal(extended.no_text, concepts.no_text)
    assert extended.names == concepts.names
