import dataclasses

import numpy as np
import pytest
import torch

from oodlib.concepts import Concepts
from oodlib.detectors import get_detector
from oodlib.errors import OodlibError

EYE = torch.eye(3)


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_every_part_becomes_what_text_is(make):
    concepts = Concepts(
        names=["cat", "dog", "owl"],
        text=make(np.eye(3)),
        outlier_names=["car"],
        outlier_text=[[0.6, 0.8, 0.0]],
        shots=EYE[:2].half(),
        shot_labels=[2, 0],
        logit_scale=np.float32(50),
    )
    assert concepts.names == ("cat", "dog", "owl")
    assert concepts.outlier_names == ("car",)
    parts = (concepts.text, concepts.outlier_text, concepts.shots, concepts.shot_labels)
    library, kind = (torch, torch.Tensor) if make is torch.tensor else (np, np.ndarray)
    assert all(isinstance(part, kind) for part in parts)
    assert [part.dtype for part in parts] == [library.float32] * 3 + [library.int64]
    assert concepts.shot_labels.tolist() == [2, 0]
    assert concepts.logit_scale == 50
    assert type(concepts.logit_scale) is float


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("columns", [2, 3, 8, 16, 64, 128, 512, 1024, 4096])
def test_unit_rows_of_any_precision_pass_and_others_do_not(dtype, columns):
    exact = torch.nn.functional.normalize(torch.from_numpy(np.random.default_rng(0).normal(size=(500, columns))), dim=1)
    rounded, computed = exact.to(dtype), torch.nn.functional.normalize(exact.to(dtype), dim=1)
    for rows in (rounded, computed):
        concepts = Concepts(["name"] * 500, rows)
        assert concepts.text.dtype == torch.float32
        again = dataclasses.replace(concepts, logit_scale=10.0)  # the checks see float32 now
        again = get_detector("max_logit").fit(again)
        assert again.score_samples(rows).dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    with pytest.raises(OodlibError, match="text is not L2-normalised"):
        Concepts(["name"] * 500, 1.02 * rounded)


def test_optional_parts_are_absent_by_default():
    concepts = Concepts(["cat", "dog", "owl"], EYE)
    assert (concepts.outlier_names, concepts.outlier_text, concepts.shots, concepts.shot_labels) == (
        (),
        None,
        None,
        None,
    )
    assert concepts.logit_scale == 100


def test_is_frozen_hashable_and_equal_only_to_itself():
    one, two = Concepts(["a", "b", "c"], EYE), Concepts(["a", "b", "c"], EYE)
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.names = ()
    assert one == one
    assert one != two
    assert len({one, two}) == 2


def test_replace_keeps_the_checks():
    concepts = Concepts(["a", "b", "c"], EYE)
    with_shots = dataclasses.replace(concepts, shots=EYE, shot_labels=[0, 1, 2])
    assert with_shots.text is concepts.text
    with pytest.raises(OodlibError, match="shots and shot_labels belong together"):
        dataclasses.replace(concepts, shots=EYE)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"names": "cat"}, "names must be a sequence of strings"),
        ({"names": [1, 2, 3]}, "names must be a sequence of strings"),
        ({"names": []}, "names is empty"),
        ({"names": ["a", "b"]}, r"text has shape \(3, 3\) .*\(2, 3\).* names"),
        ({"text": torch.ones(3)}, r"text has shape \(3,\): pass a matrix"),
        ({"text": torch.ones(3, 3, dtype=torch.int64)}, "text holds int64: pass floating-point features"),
        ({"text": "cat"}, "text must be numbers, in a tensor or an array"),
        ({"text": 2 * EYE}, r"text is not L2-normalised \(lengths 2 to 2\)"),
        ({"text": EYE / 0}, "text has NaN or infinite values in 3 rows"),
        ({"outlier_names": ["car"]}, "outlier_names is given without outlier_text"),
        ({"outlier_text": EYE}, r"outlier_text has shape \(3, 3\) but should have \(0, 3\)"),
        ({"outlier_names": ["car"], "outlier_text": torch.eye(1)}, "as many columns as text"),
        ({"shots": EYE}, "shots and shot_labels belong together"),
        ({"shots": EYE, "shot_labels": [0]}, r"shots has shape \(3, 3\) but should have \(1, 3\)"),
        ({"shots": EYE, "shot_labels": [0, 1, 3]}, "shot_labels must be whole numbers from 0 to 2"),
        ({"shots": EYE, "shot_labels": [0.0, 1.0, 2.0]}, "shot_labels must be whole numbers"),
        ({"logit_scale": 0.0}, "logit_scale is 0.0"),
        ({"logit_scale": float("nan")}, "logit_scale is nan"),
    ],
)
def test_says_what_is_wrong(fields, message):
    with pytest.raises(OodlibError, match=message):
        Concepts(**{"names": ["a", "b", "c"], "text": EYE} | fields)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("outlier_text", r"OLE needs outlier labels: pass Concepts\(outlier_names=\.\.\., outlier_text=\.\.\.\)"),
        ("shots", r"OLE needs labelled pictures: pass Concepts\(shots=\.\.\., shot_labels=\.\.\.\)"),
    ],
)
def test_names_the_missing_part(field, message):
    with pytest.raises(OodlibError, match=message):
        Concepts(["a", "b", "c"], EYE).require(field, by="OLE")


def test_an_empty_list_of_outliers_is_a_missing_part():
    with pytest.raises(OodlibError, match="OLE needs outlier labels"):
        Concepts(["a", "b", "c"], EYE, outlier_text=torch.empty(0, 3)).require("outlier_text", by="OLE")


def test_gives_the_part_that_is_there():
    concepts = Concepts(["a", "b", "c"], EYE, outlier_names=["d"], outlier_text=EYE[:1])
    assert concepts.require("outlier_text", by="OLE") is concepts.outlier_text


class LetterEncoder:
    """Encodes a text by its first letter and the number of templates."""

    logit_scale = 20.0

    def encode_texts(self, texts, templates=None):
        self.templates = templates
        return torch.stack([EYE["abc".index(text[0])] for text in texts])


def test_is_made_from_an_encoder():
    encoder = LetterEncoder()
    concepts = Concepts.from_encoder(encoder, ["b", "a"], templates=("a photo of a {}",), outlier_names=["c"])
    assert encoder.templates == ("a photo of a {}",)
    assert concepts.names == ("b", "a")
    assert concepts.text.tolist() == EYE[[1, 0]].tolist()
    assert concepts.outlier_names == ("c",)
    assert concepts.outlier_text.tolist() == EYE[[2]].tolist()
    assert concepts.logit_scale == 20


def test_is_made_without_outliers():
    assert Concepts.from_encoder(LetterEncoder(), ["b"]).outlier_text is None
