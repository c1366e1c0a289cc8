import pytest
import torch
from torch.nn import functional as F

from oodlib.concepts import Concepts
from oodlib.evaluation.metrics import ood_metrics
from oodlib.experiments.precision import cosine_change, metric_change


def unit(n, seed):
    return F.normalize(torch.randn(n, 16, generator=torch.Generator().manual_seed(seed)), dim=-1)


@pytest.fixture(scope="module")
def sets():
    return {"id": unit(80, 1), "far": unit(60, 2), "near": unit(50, 3)}


def test_the_same_features_change_nothing(sets):
    concepts = Concepts(names=["a", "b", "c"], text=unit(3, 0))
    table = metric_change(sets, sets, concepts, n_boot=20)
    assert list(table.columns) == ["detector", "ood_set", "metric", "exact", "rough", "difference", "low", "high"]
    assert len(table) == 2 * 2 * 2
    assert (table[["difference", "low", "high"]] == 0).all(axis=None)
    change = cosine_change(sets["id"], sets["id"], concepts.text)
    assert change["text_largest"] == 0
    assert change["same_name"] == 1
    assert change["own_lowest"] == pytest.approx(1)


def test_a_difference_is_that_of_the_two_numbers(sets):
    text = unit(3, 0)
    rough = {name: F.normalize(found + 0.3 * unit(len(found), 9), dim=-1) for name, found in sets.items()}
    table = metric_change(sets, rough, Concepts(names=["a", "b", "c"], text=text), detectors=("max_logit",), n_boot=50)
    row = table[(table["ood_set"] == "far") & (table["metric"] == "auroc")].iloc[0]
    best = {
        kind: {name: (found[name] @ text.T).amax(-1) for name in sets} for kind, found in (("e", sets), ("r", rough))
    }
    for column, kind in (("exact", "e"), ("rough", "r")):
        assert row[column] == pytest.approx(ood_metrics(best[kind]["id"], best[kind]["far"])["auroc"])
    assert row["difference"] == pytest.approx(row["rough"] - row["exact"])
    assert row["low"] <= row["difference"] <= row["high"]


def test_bfloat16_changes_more_than_float16(pocket, drawings):
    """What the page finds must hold for any pictures: three digits fewer."""
    from oodlib.datasets.images import read_image
    from oodlib.encoders.load import load_encoder

    pictures = [read_image(path) for path in drawings.values()]
    text = pocket.encode_texts(list(drawings))
    exact = pocket.encode_images(pictures)
    apart = {}
    for kind in ("bf16", "fp16"):
        rough = load_encoder("pocket", precision=kind).encode_images(pictures)
        apart[kind] = cosine_change(exact, rough, text)["text_mean"]
    assert 0 < apart["fp16"] < apart["bf16"] / 2 < 0.01
