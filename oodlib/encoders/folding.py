"""The same convolutional network with fewer operations: batch norm folded into the convolution before it.

At inference a batch norm only scales and shifts, so the convolution can do it. On a CPU such layers cost as much as the
arithmetic does: each reads and writes a whole feature map. TensorFlow's "same" padding, which pads one row more below
than above, costs another copy; a leading row and column of zeros in the kernel make the padding even.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.nn import functional as F


def fold_batch_norm(model: nn.Module, side: int) -> int:
    """Fold every batch norm of timm that directly follows its convolution, in place.

    Parameters
    ----------
    model : nn.Module
        A network in evaluation mode.
    side : int
        Side of its pictures in pixels. Only a multiple of 32 stays even at every stride of such networks, as the change
        of padding needs; with any other side nothing is done.

    Returns
    -------
    int
        How many were folded. Features change by rounding alone (about 1e-6).
    """
    folded = 0
    if side % 32:
        return folded
    for parent in list(model.modules()):
        children = list(parent.named_children())
        for (name, conv), (norm_name, norm) in pairwise(children):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, BatchNormAct2d):
                setattr(parent, name, _folded(conv, norm))
                setattr(parent, norm_name, norm.act)
                if hasattr(norm.act, "inplace"):
                    setattr(norm.act, "inplace", True)  # noqa: B010  # one pass over the map instead of two
                folded += 1
    return folded


@torch.no_grad()
def _folded(conv: nn.Conv2d, norm: BatchNormAct2d) -> nn.Conv2d:
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    factor = norm.weight / (variance + norm.eps).sqrt()
    weight = conv.weight * factor[:, None, None, None]
    bias = norm.bias - mean * factor
    if conv.bias is not None:
        bias = bias + conv.bias * factor
    padding = cast("tuple[int, int]", conv.padding)
    if isinstance(conv, Conv2dSame):
        padding = (conv.kernel_size[0] // 2, conv.kernel_size[1] // 2)
        if conv.stride[0] == 2:
            weight = F.pad(weight, (1, 0, 1, 0))
    size = (weight.shape[-2], weight.shape[-1])
    stride, dilation = cast("tuple[int, int]", conv.stride), cast("tuple[int, int]", conv.dilation)
    new = nn.Conv2d(conv.in_channels, conv.out_channels, size, stride, padding, dilation, conv.groups)
    new.weight, new.bias = nn.Parameter(weight, requires_grad=False), nn.Parameter(bias, requires_grad=False)
    return new.eval()
