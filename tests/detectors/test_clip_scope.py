from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import normalize

from oodlib.concepts import Concepts
from oodlib.detectors import base
from oodlib.detectors.clip_scope import CLIPScope, both_ends, running_share
from oodlib.errors import OodlibError


def unit(raw):
    return normalize(torch.from_numpy(raw), dim=-1)


@pytest.fixture
def mined(golden):
    """The authors' words, encoded as they score them: another prompt for the far half than for the near half."""
    g = golden("clipscope")
    rows = both_ends(unit(g["word_text_the_raw"]), unit(g["id_text_raw"]), int(g["kth"]), int(g["k_each_side"]))
    far, near = np.split(rows, 2)
    text = torch.cat([unit(g["word_text_a_photo_of_a_raw"])[far], unit(g["word_text_a_photo_of_raw"])[near]])
    return far, near, text


def concepts(text, outlier_text):
    names, words = ([f"{what} {i}" for i in range(len(part))] for what, part in (("c", text), ("w", outlier_text)))
    return Concepts(names, text, words, outlier_text)


def test_mines_what_the_official_code_mines(golden, mined):
    g = golden("clipscope")
    far, near, _ = mined
    assert far.tolist() == g["selected_far"].tolist()
    assert near.tolist() == g["selected_near"].tolist()


# The stored scores are themselves up to 0.9e-5 from the exact ones: two chains in float32 differ by more than 1e-5.
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-5), (torch.float32, 2e-5)])
@pytest.mark.parametrize("suffix", ["full", "L"])
def test_agrees_with_the_official_code(golden, mined, suffix, dtype, tolerance):
    g = golden("clipscope")
    used = int(g[f"L_{suffix}"])
    stream = torch.cat([unit(g["image_id_raw"][:used]), unit(g["image_ood_raw"][:used])])[g[f"stream_order_{suffix}"]]
    detector = CLIPScope(each_side=int(g["k_each_side"])).fit(concepts(unit(g["id_text_raw"]), mined[2]))
    assert detector.rank_ == 50
    np.testing.assert_allclose(detector.score_samples(stream.to(dtype)), g[f"score_stream_{suffix}"], rtol=tolerance)
    predicted, _ = detector.predict_block(stream)
    assert predicted.tolist() == g[f"pred_stream_{suffix}"].tolist()


def test_the_stream_does_not_see_the_blocks(golden, mined, monkeypatch):
    g = golden("clipscope")
    detector = CLIPScope().fit(concepts(unit(g["id_text_raw"]), mined[2]))
    images = unit(g["image_id_raw"])
    whole = detector.score_samples(images)
    monkeypatch.setattr(base, "_CELLS", 5000)
    torch.testing.assert_close(detector.score_samples(images), whole)
    torch.testing.assert_close(detector.score_samples(images), whole)  # nothing is remembered between calls
    backwards = detector.score_samples(images.flip(0)).flip(0)
    assert not torch.allclose(backwards, whole)


@given(st.lists(st.integers(0, 4), max_size=40))
def test_the_prior_counts_what_came_before(predicted):
    counts, expected = Counter(dict.fromkeys(range(5), 1)), []
    for label in predicted:
        expected.append(counts[label] / counts.total())
        counts[label] += 1
    found = running_share(np.array(predicted, dtype=np.int64), classes=5)
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    ("classes", "rank", "used"), [(60, 50, 50), (50, 50, 50), (40, 50, 2), (6, 50, 1), (3, 4000, 3)]
)
def test_the_rank_with_few_classes(classes, rank, used):
    eye = torch.eye(64)
    assert CLIPScope(rank=rank).fit(concepts(eye[:classes], eye[60:])).rank_ == used


def test_few_words_are_all_used_once():
    eye = torch.eye(16)
    assert sorted(both_ends(eye[:5], eye[:2], 1, 3).tolist()) == [0, 1, 2, 3, 4]
    assert both_ends(eye[:7], eye[3:4], 1, 2).tolist() == [0, 1, 6, 3]
    with pytest.raises(OodlibError, match="rank and each_side are counts"):
        CLIPScope(rank=0).fit(concepts(eye[:2], eye[2:4]))
