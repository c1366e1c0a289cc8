import numpy as np

from oodlib.report.grids import cell_pictures, heat_maps
from oodlib.report.style import ON_CELL


def test_cells_show_their_numbers_and_empty_ones_a_dash():
    tables = {"first": [[0.5, 1.0], [0.754, np.nan]], "second": np.full((2, 2), 0.6)}
    figure = heat_maps(tables, ["near", "far"], ["same hand", "grey"], xlabel="style", ylabel="meaning")
    first, second = figure.axes
    assert [text.get_text() for text in first.texts] == ["50", "100", "75", "–"]
    assert (first.texts[1].get_color(), first.texts[0].get_color()) == ON_CELL
    assert (first.get_title(), first.get_xlabel(), second.get_xlabel()) == ("first", "", "style")
    assert [label.get_text() for label in second.get_xticklabels()] == ["same\nhand", "grey"]
    figure.canvas.draw()


def test_each_cell_shows_its_first_picture(drawings):
    paths = [drawings["tiger"], drawings["banana"], drawings["rocket"]]
    figure = cell_pictures(paths, [0, 0, 1], [0, 0, 1], ["near", "far out"], ["same hand", "grey"])
    assert [len(axes.images) for axes in figure.axes] == [1, 0, 0, 1]
    assert [axes.get_title() for axes in figure.axes] == ["same\nhand", "grey", "", ""]
    assert [axes.get_ylabel() for axes in figure.axes] == ["near", "", "far\nout", ""]
    figure.canvas.draw()
