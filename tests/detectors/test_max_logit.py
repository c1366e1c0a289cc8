import torch

from oodlib.detectors.max_logit import MaxLogit
from oodlib.evaluation.metrics import ood_metrics


def test_agrees_with_the_official_code(golden, golden_concepts, assert_matches):
    g = golden("mcm")
    detector = MaxLogit().fit(golden_concepts(g["id_text_raw"]))
    assert_matches(detector, (g["image_id"], g["image_ood"]), (g["score_maxlogit_id"], g["score_maxlogit_ood"]))


def test_the_logit_scale_changes_no_ranking(golden, golden_concepts):
    g = golden("mcm")
    concepts = golden_concepts(g["id_text_raw"])
    detector = MaxLogit().fit(concepts)
    inside, outside = (
        detector.score_samples(torch.nn.functional.normalize(torch.from_numpy(g[f"image_{part}"]), dim=1))
        for part in ("id", "ood")
    )
    assert ood_metrics(inside, outside) == ood_metrics(128 * inside, 128 * outside)
    assert inside.abs().max() <= 1
