import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from oodlib.datasets.images import read_image
from oodlib.report.scale import Slope, lines, photographs, read_gpu, slope, words

MEASURED = {
    "device": "A device",
    "kind": "cuda",
    "cores": 8,
    "encode": [
        {"model": "ViT-B-16", "precision": "fp32", "batch": 64, "images_per_second": 100.0, "low": 90.0, "high": 110.0},
        {
            "model": "ViT-B-16",
            "precision": "fp16",
            "batch": 64,
            "images_per_second": 500.0,
            "low": 400.0,
            "high": 510.0,
        },
        {"model": "ViT-L-14", "precision": "fp16", "batch": 64, "images_per_second": 90.0, "low": 80.0, "high": 95.0},
    ],
    "readers": "processes",
    "end_to_end": [
        {"model": "ViT-B-16", "precision": "fp32", "files": 64, "images_per_second": 50.0, "low": 40.0, "high": 60.0},
        {"model": "ViT-B-16", "precision": "fp16", "files": 64, "images_per_second": 80.0, "low": 70.0, "high": 90.0},
    ],
    "decode": {"seconds": 0.01, "low": 0.009, "high": 0.011, "pictures": 64},
    "score": [
        {"detector": "mcm", "classes": 1000, "words": 0, "seconds": 1e-6, "low": 1e-6, "high": 2e-6, "pictures": 2048}
    ],
}


def test_a_slope_is_the_median_of_its_rounds_without_the_first():
    pauses = iter([0.2, 0.01, 0.03, 0.02])
    measured = slope(lambda: time.sleep(next(pauses)), pictures=2, rounds=3)
    assert measured.low <= measured.seconds <= measured.high
    assert measured.low == pytest.approx(0.005, abs=0.004)
    assert measured.seconds == pytest.approx(0.010, abs=0.004)
    assert measured.high < 0.08


def test_hours_are_shared_by_workers():
    assert Slope(0.36, 0.3, 0.4, 10).hours(1_000_000) == pytest.approx(100)
    assert Slope(0.36, 0.3, 0.4, 10).hours(1_000_000, workers=4) == pytest.approx(25)


def test_made_photographs_are_the_same_every_time_and_hold_detail(tmp_path):
    one, other = (tmp_path / name for name in ("one", "other"))
    for folder in (one, other):
        folder.mkdir()
    made, again = (photographs(folder, 2, (200, 150)) for folder in (one, other))
    assert [path.read_bytes() for path in made] == [path.read_bytes() for path in again]
    assert made[0].read_bytes() != made[1].read_bytes()
    assert read_image(made[0]).size == (200, 150)
    plain = tmp_path / "plain.jpg"
    Image.new("RGB", (200, 150), "teal").save(plain, quality=90)
    assert made[0].stat().st_size > 5 * plain.stat().st_size


@given(st.floats(1e-4, 1e12), st.sampled_from("sB"))
def test_an_amount_in_words_is_short_and_right(amount, unit):
    number, name = words(amount, unit).split(" ")
    size = {"ms": 1e-3, "s": 1, "min": 60, "h": 3600, "days": 86400, "years": 365.25 * 86400}
    size |= {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15}
    assert float(number.replace(",", "")) * size[name] == pytest.approx(
        amount, rel=0.051, abs=0.051 * min(1, size[name])
    )


def test_what_a_gpu_measured_is_read_at_its_fastest(tmp_path):
    path = tmp_path / "h100.json"
    assert read_gpu(path) == ("", {})
    path.write_text(json.dumps(MEASURED))
    device, stages = read_gpu(path)
    assert device == "A device"
    assert stages["read and scale, 8 cores beside one A device"] == (Slope(0.01, 0.009, 0.011, 64), 8)
    assert stages["image tower, ViT-B-16, fp16, one A device"] == (Slope(1 / 500, 1 / 510, 1 / 400, 64), 1)
    assert stages["from files to features, read by processes, ViT-B-16, one A device"][0].seconds == 1 / 80
    assert not any(name.startswith("from files") and "ViT-L-14" in name for name in stages)
    assert "score, 1,000 names, MCM, one A device" in stages


def test_lines_are_labelled_and_logarithmic():
    figure = lines({"image tower, " + 60 * "x": (Slope(0.01, 0.009, 0.02, 8), 2)}, {"a million": 1e6})
    axes = figure.axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    figure.canvas.draw()
    (legend,) = figure.legends
    assert legend.get_window_extent().width < figure.bbox.width, "no name is cut off"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["a million"]
    low, high = axes.get_ylim()
    assert low < axes.lines[0].get_ydata().min() < axes.lines[0].get_ydata().max() < high < 24 * 365
    (x, y) = axes.lines[0].get_data()
    assert y[0] == pytest.approx(x[0] * 0.01 / 2 / 3600)
