import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from oodlib.detectors import get_detector
from oodlib.detectors.mcm import MCM
from oodlib.errors import OodlibError
from oodlib.evaluation.scoring import classify, name_detectors, of_pair, score


def test_scores_are_what_the_detectors_say(concepts, detectors, sets, scores):
    assert list(scores) == ["mcm", "mcm-half", "energy"]
    for name, detector in detectors.items():
        for set_name, features in sets.items():
            expected = type(detector)(**detector.get_params()).fit(concepts).score_samples(features)
            np.testing.assert_array_equal(scores[name][set_name], expected)
    assert not hasattr(detectors["mcm"], "text_")  # a copy was fitted


def test_detectors_may_be_given_by_name(concepts, sets):
    by_name = score(concepts, ["mcm", get_detector("energy", temperature=1.0)], sets)
    assert list(by_name) == ["mcm", "energy"]
    assert list(score(concepts, "mcm", sets)) == ["mcm"]
    with pytest.raises(OodlibError, match="Two detectors share a name: pass a mapping"):
        name_detectors([MCM(), MCM(0.5)])


def test_a_tuned_model_is_asked_once_for_all_detectors(concepts, sets):
    asked = []

    def match(features):
        asked.append(len(features))
        return 0.5 * features @ concepts.text.T

    tuned = replace(concepts, match=match)
    torches = {name: torch.as_tensor(features) for name, features in sets.items()}
    found = score(tuned, ["mcm", "energy", "max_logit"], torches)
    assert asked == [len(features) for features in torches.values()]
    for name in found:
        fitted = get_detector(name).fit(tuned)
        for part, features in torches.items():
            np.testing.assert_array_equal(found[name][part], fitted.score_samples(features).numpy())


def test_streams_of_mixed_pictures_do_not_fill_the_memory(with_words, sets):
    streams, alive = [], []

    def match(features):
        alive.append(sum(stream() is not None for stream in streams))
        streams.append(weakref.ref(features))
        return features @ with_words.text.T

    torches = {name: torch.as_tensor(features) for name, features in sets.items()}
    score(replace(with_words, match=match), ["clip_scope", "ada_neg"], torches, id_set="animals")
    assert len(alive) > 3
    assert max(alive) <= 1


@pytest.mark.parametrize("name", ["clip_scope", "ada_neg"])
def test_pairs_are_mixed_into_one_stream_and_put_back(with_words, sets, name):
    found = score(with_words, name, sets, id_set="animals", seed=3)[name]
    assert set(found) == {"animals beside objects", "objects", "animals beside siblings", "siblings"}
    order = np.random.default_rng(3).permutation(50)
    stream = torch.cat([sets["animals"], sets["objects"]])[order]
    mixed = get_detector(name).fit(with_words).score_samples(stream)
    inside, outside = of_pair(found, "animals", "objects")
    np.testing.assert_array_equal(np.concatenate([inside, outside])[order], mixed)


def test_the_seed_fixes_the_order_of_the_stream(with_words, sets):
    first, again, other = (
        score(with_words, "clip_scope", sets, id_set="animals", seed=seed)["clip_scope"]["objects"]
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_transductive_detector_must_know_the_id_set(with_words, sets):
    with pytest.raises(OodlibError, match=r"ada_neg .*: .*id_set="):
        score(with_words, "ada_neg", sets)


def test_classify_takes_the_best_match(concepts):
    assert classify(concepts, concepts.text[[2, 0, 1, 1]]).tolist() == [2, 0, 1, 1]
