from typing import Any, Literal

import numpy as np
import pytest

from oodlib.detectors import get_detector, list_detectors, parameters_of
from oodlib.errors import OodlibError
from oodlib.experiments.typed import read_parameters
from oodlib.feature_detectors import get_feature_detector
from oodlib.registry import check_values

TYPES = {
    "rate": float,
    "count": int,
    "flag": bool,
    "title": str,
    "note": str | None,
    "maybe": float | None,
    "start": int | str,
    "pair": tuple[float, float],
    "several": list[int],
    "bare": list,
    "rule": Literal["first", "last"],
    "table": dict,
    "free": Any,
}


def read(*texts: str) -> dict[str, Any]:
    return read_parameters(texts, TYPES, "mine")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("rate=1e-2", 0.01),
        ("rate = 1", 1.0),
        ("rate=-.5", -0.5),
        ("count=1_000", 1000),
        ("flag=True", True),
        ("title=1e-2", "1e-2"),
        ("title=none", "none"),
        ("title=nan", "nan"),
        ("title=a=b # c", "a=b # c"),
        ("title=(a) and [b", "(a) and [b"),
        ("title='1'", "1"),
        ("note=null", None),
        ("note=5", "5"),
        ("maybe=None", None),
        ("maybe=3", 3.0),
        ("start=4", 4),
        ("start='4'", "4"),
        ("start=a photo of a", "a photo of a"),
        ("pair=[0, 1]", (0.0, 1.0)),
        ("pair=(0, 1e-1)", (0.0, 0.1)),
        ("several=[1, 2]", [1, 2]),
        ("several=(1, 2)", [1, 2]),
        ("bare=[a, 1]", ["a", 1]),
        ("rule=last", "last"),
        ("table={a: 1}", {"a": 1}),
        ("free=1e-2", 0.01),
        ("free=text", "text"),
    ],
)
def test_a_value_has_the_type_that_its_parameter_takes(text, value):
    (found,) = read(text).values()
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["rate"], "'rate' is not NAME=VALUE"),
        (["=1"], "is not NAME=VALUE"),
        (["a b=1"], "is not NAME=VALUE"),
        ([""], "is not NAME=VALUE"),
        (["rate="], "has no value"),
        (["title= "], "has no value"),
        (["rat=1"], "mine has no parameter 'rat': did you mean 'rate'"),
        (["zzz=1"], "mine has no parameter 'zzz': it takes rate, count"),
        (["rate=1", "rate=1"], "rate is there twice"),
        (["rate=warm"], "rate of mine takes a number, not warm"),
        (["rate='1'"], "rate of mine takes a number"),
        (["rate=true"], "rate of mine takes a number, not true"),
        (["rate=none"], "rate of mine takes a number, not none"),
        (["rate=nan"], "rate of mine, nan, is not a finite number"),
        (["rate=" + "9" * 400], "rate of mine takes a number"),
        (["count=2.5"], "count of mine takes a whole number, not 2.5"),
        (["count=1e3"], "count of mine takes a whole number, not 1e3"),
        (["flag=1"], "flag of mine takes true or false, not 1"),
        (["flag=no"], "flag of mine takes true or false, not no"),
        (["maybe=x"], "maybe of mine takes a number or none, not x"),
        (["pair=[1]"], "pair of mine takes a list"),
        (["pair=1"], "pair of mine takes a list"),
        (["several=[1, b]"], "several of mine takes a list"),
        (["rule=middle"], "rule of mine takes one of first, last, not middle"),
        (["free=[1"], "cannot be read: put text in quotes"),
        (["free=inf"], "is not a finite number"),
    ],
)
def test_what_does_not_fit_is_one_sentence(texts, message):
    with pytest.raises(OodlibError, match=message) as caught:
        read(*texts)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", list_detectors())
def test_a_detector_says_what_each_parameter_takes(name):
    """No annotation is lost: text for a number is refused whatever the detector, before it is made."""
    takes = parameters_of(name)
    assert set(takes) == set(get_detector(name).get_params())
    assert Any not in takes.values()
    for parameter in takes:
        with pytest.raises(OodlibError, match=f"{parameter} of {name} takes"):
            get_detector(name, **{parameter: {"a": 1}})


def test_arrays_are_left_to_the_detectors_own_checks():
    assert get_feature_detector("vim", weight=[[1.0]], dim=2).weight == [[1.0]]
    with pytest.raises(OodlibError, match="dim of vim takes a whole number or none, not '2'"):
        get_feature_detector("vim", dim="2")


def test_numbers_and_truth_values_of_numpy_are_taken():
    check_values({"flag": np.True_, "rate": np.float32(0.5), "count": np.int64(3)}, TYPES, "mine")
