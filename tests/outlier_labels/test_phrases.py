from oodlib.outlier_labels.phrases import SUPERCLASSES, superclass_phrases


def test_draws_what_the_official_code_draws(golden):
    g = golden("csp")
    assert superclass_phrases(g["adj_words"].tolist(), int(g["phrase_rng_seed"])) == g["adj_phrases"].tolist()
    assert [f"{{}} {name}" for name in SUPERCLASSES] == g["superclass_templates"].tolist()


def test_the_seed_decides():
    words = [f"word {i}" for i in range(20)]
    assert superclass_phrases(words, seed=1) == superclass_phrases(words, seed=1) != superclass_phrases(words, seed=2)
    assert all(phrase.startswith(f"{word} ") for word, phrase in zip(words, superclass_phrases(words), strict=True))
    assert superclass_phrases([]) == []
