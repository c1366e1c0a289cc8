"""Depthwise convolutions whose backward pass runs in float32: what makes bfloat16 training on a CPU worth while."""

from __future__ import annotations

from typing import Any

import torch
from timm.layers.padding import pad_same
from torch import Tensor, nn


class _Depthwise(torch.autograd.Function):
    """oneDNN's bfloat16 gradient of a depthwise convolution is several times slower than its float32 gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        arguments = (None, stride, padding, (1, 1), False, (0, 0), weight.shape[0])
        convolved: Tensor = torch.ops.aten.convolution(x, weight, *arguments)
        return convolved

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, weight = ctx.saved_tensors
        grad = grad.float().contiguous(memory_format=torch.channels_last)
        arguments = (None, ctx.stride, ctx.padding, (1, 1), False, (0, 0), weight.shape[0], (True, True, False))
        of_x, of_weight, _ = torch.ops.aten.convolution_backward(grad, x.float(), weight.float(), *arguments)
        return of_x.to(x.dtype), of_weight.to(weight.dtype), None, None


def speed_up_depthwise(model: nn.Module) -> None:
    """Replace the forward pass of every depthwise convolution in `model`, in place; numbers change only by rounding."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1:
            module.forward = _forward(module)  # type: ignore[method-assign]


def _forward(conv: nn.Conv2d) -> Any:
    # timm's "same" convolutions pad by the input's size; plain ones hold their padding.
    pads_itself = type(conv) is nn.Conv2d

    def forward(x: Tensor) -> Tensor:
        weight, padding = conv.weight, (conv.padding if pads_itself else (0, 0))
        if not pads_itself:
            x = pad_same(x, list(conv.kernel_size), list(conv.stride))
        if torch.is_autocast_enabled("cpu"):
            kind = torch.get_autocast_dtype("cpu")
            x, weight = x.to(kind), weight.to(kind)
        convolved: Tensor = _Depthwise.apply(x, weight, conv.stride, padding)
        return convolved

    return forward
