"""Local image features: what each patch of a picture says, in the space of the text features.

GL-MCM and LoCoOp score patches as well as the whole picture. A contrastive model is trained on its global feature
only, but the part of its last layer that mixes patches can be left out, and what is left speaks of one patch at a time.
"""

from __future__ import annotations

from typing import Any

from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn

from oodlib.errors import OodlibError

# A tower with half-precision arithmetic agrees with itself to about one part in a hundred.
MEAN_TOLERANCE = 0.03


def local_features(visual: Any, batch: Tensor) -> Tensor:
    """Features of the patches of a batch of pictures, not normalised.

    Parameters
    ----------
    visual : nn.Module
        The image tower of an open_clip model in evaluation mode: a `VisionTransformer`, a `ModifiedResNet`, or a timm
        network that ends in a feature map, its mean and a linear head.
    batch : Tensor
        Prepared pictures, (N, 3, H, W).

    Returns
    -------
    Tensor
        (N, P, D), row by row from the top left. P is 196 for ViT-B-16 at 224 pixels, 49 for RN50, 16 for PocketCLIP.

    Raises
    ------
    OodlibError
        If no way to local features is known for this tower.

    References
    ----------
    Miyai et al., GL-MCM: Global and Local Maximum Concept Matching for Zero-Shot Out-of-Distribution Detection, IJCV
    2025, and the authors' code (AtsuMiyai/GL-MCM, clip/model.py); LoCoOp (NeurIPS 2023) uses the same features. The
    idea is that of Zhou et al., Extract Free Dense Labels from CLIP, ECCV 2022.
    """
    if isinstance(visual, VisionTransformer) and visual.attn_pool is None:
        return _vision_transformer(visual, batch)
    if isinstance(visual, ModifiedResNet):
        return _attention_pooled(visual, batch)
    if isinstance(visual, TimmModel):
        return at_places(visual, visual.trunk.forward_features(batch))
    raise _unknown(visual)


def _vision_transformer(visual: VisionTransformer, batch: Tensor) -> Tensor:
    """The last block with every patch attending to itself alone, then the final norm and the projection.

    Attention over one token returns that token's value, so the block runs on sequences of length one. Its residual
    connections and its MLP stay, as in the authors' code, although the paper's formula names the value projection only.
    """
    blocks = visual.transformer.resblocks
    if len(blocks) < 2:
        raise _unknown(visual)
    before = visual.forward_intermediates(
        batch, indices=[len(blocks) - 2], stop_early=True, intermediates_only=True, output_fmt="NLC"
    )["image_intermediates"][0]
    n, patches, width = before.shape
    alone = before.reshape(n * patches, 1, width)
    projected: Tensor = visual.ln_post(blocks[-1](alone)) @ visual.proj
    return projected.view(n, patches, -1)


def _attention_pooled(visual: ModifiedResNet, batch: Tensor) -> Tensor:
    """The value and output projections of CLIP's attention pooling, at each place of the last feature map."""
    features = visual.stem(batch)
    for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
        features = layer(features)
    pool = visual.attnpool
    projected: Tensor = pool.c_proj(pool.v_proj(features.flatten(2).transpose(1, 2)))
    return projected


def at_places(visual: TimmModel, features: Tensor) -> Tensor:
    """The head at each place of a timm network's last feature map; their mean is then the global feature exactly.

    That holds only if pooling is a mean and the head is linear. timm's networks differ in both, so both are checked.
    """
    linear = all(isinstance(layer, nn.Linear | nn.Dropout) for layer in visual.head)
    if features.ndim != 4 or not linear:
        raise _unknown(visual)
    pooled, mean = visual.trunk.forward_head(features).float(), features.float().mean((2, 3))
    if pooled.shape != mean.shape or (pooled - mean).norm() > MEAN_TOLERANCE * mean.norm():
        raise _unknown(visual)
    projected: Tensor = visual.head(features.flatten(2).transpose(1, 2))
    return projected


def _unknown(visual: Any) -> OodlibError:
    name = f"{type(visual).__name__} of {type(visual.trunk).__name__}" if hasattr(visual, "trunk") else ""
    return OodlibError(
        f"no way to local features is known for the image tower {name or type(visual).__name__}: "
        "use one of CLIP's ViTs or ResNets such as ViT-B-16, or 'pocket'"
    )
