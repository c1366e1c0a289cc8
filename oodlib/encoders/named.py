"""An encoder by its name, for whoever wants decisions soon: the small model comes without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oodlib.encoders.encoder import Encoder
    from oodlib.pocket.light import LightEncoder


def named_encoder(
    name: str,
    pretrained: str | None = None,
    *,
    precision: str = "fp32",
    device: str = "cpu",
    tensors: bool = False,
    **trained: Any,
) -> Encoder | LightEncoder:
    """`pocket` on the CPU as a `LightEncoder`, every other encoder as `oodlib.encoders.load_encoder` loads it.

    `trained` is what that function takes of weights in a file, and None counts as not given. With `tensors` a
    `LightEncoder`, too, gives its features as tensors.

    Raises
    ------
    OodlibError
        As `load_encoder`.
    """
    trained = {key: value for key, value in trained.items() if value is not None}
    if (name, pretrained, precision, device) == ("pocket", None, "fp32", "cpu") and not trained:
        from oodlib.pocket.light import LightEncoder

        return LightEncoder(tensors=tensors)
    from oodlib.encoders.load import load_encoder

    return load_encoder(name, pretrained, precision=precision, device=device, **trained)
