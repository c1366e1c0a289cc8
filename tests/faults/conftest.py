import pytest
from PIL import Image


@pytest.fixture
def album(tmp_path):
    """Three small pictures in a folder of their own."""
    folder = tmp_path / "album"
    folder.mkdir()
    for k, colour in enumerate(("red", "green", "blue")):
        Image.new("RGB", (40, 30), colour).save(folder / f"{k}.png")
    return folder
