import open_clip
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from PIL import Image, ImageDraw
from torch.nn import functional as F
from torch.testing import assert_close

from oodlib.encoders.load import load_encoder
from oodlib.encoders.patches import local_features
from oodlib.errors import OodlibError


@pytest.fixture(scope="module")
def vit():
    torch.manual_seed(0)
    return open_clip.create_model("ViT-S-16-alt").visual.eval()  # CLIP's ViT-B-16, but narrower


@pytest.fixture(scope="module")
def pictures():
    drawn = []
    for colour, size in (("red", (128, 128)), ("green", (300, 200)), ("blue", (90, 160))):
        picture = Image.new("RGB", size, "white")
        ImageDraw.Draw(picture).ellipse((10, 10, 80, 70), fill=colour)
        drawn.append(picture)
    return drawn


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def capture(module, run, what):
    """What goes into ("input") or comes out of ("output") a module while `run` runs."""
    kept = []
    hook = module.register_forward_hook(lambda _, args, out: kept.append(args[0] if what == "input" else out))
    try:
        with torch.inference_mode():
            run()
    finally:
        hook.remove()
    return kept[0]


def test_vit_features_are_those_of_a_last_attention_that_is_the_identity_matrix(vit):
    batch = noise(2, 3, 224, 224)
    diagonal = torch.full((197, 197), float("-inf")).fill_diagonal_(0.0)
    hook = vit.transformer.resblocks[-1].register_forward_pre_hook(
        lambda _, args, kwargs: (args, kwargs | {"attn_mask": diagonal}), with_kwargs=True
    )
    try:
        tokens = capture(vit.ln_post, lambda: vit(batch), "output")
    finally:
        hook.remove()
    with torch.inference_mode():
        local, usual = local_features(vit, batch), capture(vit.ln_post, lambda: vit(batch), "output")
        expected, mixed = tokens[:, 1:] @ vit.proj, usual[:, 1:] @ vit.proj
    assert local.shape == (2, 196, 256)
    assert_close(local, expected, atol=1e-5, rtol=1e-5)
    assert (local - mixed).norm() > 0.05 * local.norm()  # attention did something


def test_vit_features_are_the_authors_formula(vit):
    """Value projection, output projection, residual, MLP, residual, norm, projection, each written out."""
    batch = noise(1, 3, 224, 224, seed=1)
    block = vit.transformer.resblocks[-1]
    x = capture(block, lambda: vit(batch), "input")[:, 1:]
    with torch.inference_mode():
        *_, w = block.attn.in_proj_weight.chunk(3)
        *_, b = block.attn.in_proj_bias.chunk(3)
        x = x + (block.ln_1(x) @ w.T + b) @ block.attn.out_proj.weight.T + block.attn.out_proj.bias
        x = x + block.mlp(block.ln_2(x))
        assert_close(local_features(vit, batch), vit.ln_post(x) @ vit.proj, atol=1e-5, rtol=1e-5)


def test_pocket_features_are_the_head_at_each_place_of_the_last_map(pocket, pictures):
    visual = pocket.model.visual
    batch = pocket.prepare(pictures)
    features = capture(visual.trunk.bn2, lambda: visual(batch), "output")
    assert features.shape == (3, 1280, 4, 4)
    with torch.inference_mode():
        convolved = F.conv2d(features, visual.head.proj.weight[:, :, None, None])
    local = pocket.encode_patches(pictures)
    assert (local.shape, local.dtype) == ((3, 16, 256), torch.float32)
    for n in range(3):
        for row in range(4):
            for column in range(4):
                expected = F.normalize(convolved[n, :, row, column], dim=0)
                assert_close(local[n, 4 * row + column], expected, atol=1e-5, rtol=1e-4)


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6), size=st.sampled_from([96, 128, 160]), contrast=st.floats(0.1, 3))
def test_mean_of_pockets_features_is_the_global_feature(pocket, seed, size, contrast):
    batch = contrast * noise(2, 3, size, size, seed=seed)
    with torch.inference_mode():
        local, whole = local_features(pocket.model.visual, batch), pocket.model.encode_image(batch)
    assert local.shape == (2, (size // 32) ** 2, 256)
    assert_close(local.mean(1), whole, atol=1e-4, rtol=1e-4)


def test_features_have_length_one_and_do_not_depend_on_the_batch(pocket, pictures):
    together, single = pocket.encode_patches(pictures), pocket.encode_patches(pictures, batch_size=1)
    assert_close(together.norm(dim=-1), torch.ones(3, 16))
    assert_close(together, single, atol=1e-5, rtol=1e-4)
    assert_close(together, pocket.encode_patches(pocket.prepare(pictures)))


def test_a_patch_sees_its_own_corner(pocket):
    """A mark in one corner changes that corner's feature most: the order of the patches is row by row."""
    plain, marked = (Image.new("RGB", (128, 128), "white") for _ in range(2))
    ImageDraw.Draw(marked).rectangle((100, 4, 124, 28), fill="red")
    before, after = pocket.encode_patches([plain, marked])
    change = 1 - (before * after).sum(-1)
    assert change.view(4, 4)[:2, 2:].max() == change.max()
    assert change.view(4, 4)[3, 0] < 0.5 * change.max()


def test_half_precision_is_near(pocket, pictures):
    rough = load_encoder("pocket", precision="bf16")
    cosine = (rough.encode_patches(pictures) * pocket.encode_patches(pictures)).sum(-1)
    assert cosine.mean() > 0.9


def test_clips_resnet_features_are_value_and_output_projection_without_positions():
    torch.manual_seed(0)
    tower = ModifiedResNet([1, 1, 1, 1], output_dim=24, heads=2, image_size=64, width=8).eval()
    batch = noise(2, 3, 64, 64)
    features = capture(tower.layer4, lambda: tower(batch), "output")
    with torch.inference_mode():
        local = local_features(tower, batch)
        assert local.shape == (2, 4, 24)
        for place in range(4):
            vector = features[:, :, place // 2, place % 2]
            expected = tower.attnpool.c_proj(tower.attnpool.v_proj(vector))
            assert_close(local[:, place], expected, atol=1e-5, rtol=1e-5)


def small_vit(**options):
    return VisionTransformer(32, 16, width=32, layers=2, heads=2, mlp_ratio=2.0, output_dim=16, **options)


@pytest.mark.parametrize(
    ("tower", "name"),
    [
        (lambda: small_vit(attentional_pool=True, attn_pooler_heads=2), "VisionTransformer"),
        (lambda: TimmModel("convnext_atto", 16, 64), "TimmModel of ConvNeXt"),
        (lambda: TimmModel("mobilenetv3_small_050", 16, 64), "TimmModel of MobileNetV3"),
        (lambda: TimmModel("test_efficientnet", 16, 64, pool="rot_attn", proj=""), "TimmModel of EfficientNet"),
        (lambda: TimmModel("test_efficientnet", 16, 64, proj="mlp"), "TimmModel of EfficientNet"),
        (lambda: TimmModel("test_vit", 16, 160), "TimmModel of VisionTransformer"),
    ],
)
def test_a_tower_that_pools_in_another_way_is_named(tower, name):
    torch.manual_seed(0)
    visual = tower().eval()
    side = 160 if "of Vision" in name else visual.image_size[0]
    with torch.inference_mode(), pytest.raises(OodlibError, match=f"image tower {name}: use one of CLIP's"):
        local_features(visual, noise(1, 3, side, side))


def test_no_pictures_are_refused(pocket):
    with pytest.raises(OodlibError, match="no pictures"):
        pocket.encode_patches([])
