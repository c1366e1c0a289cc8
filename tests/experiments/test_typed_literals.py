import pytest

from oodlib.experiments.typed import read_literal


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-2", 0.01),
        ("1E5", 100000.0),
        ("-2.5e+3", -2500.0),
        (".5", 0.5),
        ("-.5", -0.5),
        ("5.", 5.0),
        ("1_000", 1000),
        ("010", 10),
        ("-3", -3),
        ("+3", 3),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("None", None),
        ("null", None),
        ("~", None),
        ("no", "no"),
        ("off", "off"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("a # b", "a # b"),
        ("a=b", "a=b"),
        ("a: b", "a: b"),
        ("- a", "- a"),
        ("!!python/name:os.system", "!!python/name:os.system"),
        ("0x10", "0x10"),
        ("1-2", "1-2"),
        ('"1e-2"', "1e-2"),
        ("'none'", "none"),
        ('""', ""),
        ('"it\'s # = x"', "it's # = x"),
        ("[1, 1e-2, a b, 'none', None]", [1, 0.01, "a b", "none", None]),
        ('["a", true, [.5]]', ["a", True, [0.5]]),
        ("[]", []),
        ("(1, 0.5)", (1, 0.5)),
        ("(-1,)", (-1,)),
        ("{a: 1e-2, 'b': [no]}", {"a": 0.01, "b": ["no"]}),
    ],
)
def test_values(text, value):
    read = read_literal(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    "text", ["nan", "NaN", ".nan", "inf", "-inf", "-.inf", "Infinity", "1e999", "[1, nan]", "(1e999, 2)"]
)
def test_what_is_not_finite_is_no_number(text):
    with pytest.raises(ValueError, match="is not a finite number"):
        read_literal(text)


@pytest.mark.parametrize(
    "text", ["[1, 2", '"a', "'a' b", "(1, 2", "(a, b)", "{1", "(1+2j)", "({1, 2})", "[" * 5000, "(__import__('os'))"]
)
def test_what_cannot_be_read(text):
    with pytest.raises(ValueError, match="cannot be read: put text in quotes"):
        read_literal(text)


def test_a_number_of_ten_thousand_digits_is_refused_and_not_waited_for():
    with pytest.raises(ValueError, match="finite"):
        read_literal("9" * 10_000)
