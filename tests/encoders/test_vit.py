"""Video transformers: public state-dict layouts with random tensors, against torch's own transformer layers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sora_eval.encoders import vit
from sora_eval.errors import ConfigError

WIDTH, HEADS, HIDDEN, DEPTH, SIDE, PATCH, TUBELET = 32, 2, 64, 2, 8, 4, 2
TOKENS = 16 // TUBELET * (SIDE // PATCH) ** 2


def layer(seed: int) -> nn.TransformerEncoderLayer:
    """Return one of torch's own layers, with random weights everywhere."""
    torch.manual_seed(seed)
    made = nn.TransformerEncoderLayer(
        WIDTH, HEADS, HIDDEN, 0.0, "gelu", batch_first=True, norm_first=True, layer_norm_eps=1e-6
    )
    for p in made.parameters():
        nn.init.normal_(p, std=0.3)
    return made.eval()


def theirs(i: int, made: nn.TransformerEncoderLayer) -> dict[str, Tensor]:
    """Return a layer's weights as V-JEPA names them."""
    at = f"blocks.{i}."
    return {
        f"{at}norm1.weight": made.norm1.weight,
        f"{at}norm1.bias": made.norm1.bias,
        f"{at}attn.qkv.weight": made.self_attn.in_proj_weight,
        f"{at}attn.qkv.bias": made.self_attn.in_proj_bias,
        f"{at}attn.proj.weight": made.self_attn.out_proj.weight,
        f"{at}attn.proj.bias": made.self_attn.out_proj.bias,
        f"{at}norm2.weight": made.norm2.weight,
        f"{at}norm2.bias": made.norm2.bias,
        f"{at}mlp.fc1.weight": made.linear1.weight,
        f"{at}mlp.fc1.bias": made.linear1.bias,
        f"{at}mlp.fc2.weight": made.linear2.weight,
        f"{at}mlp.fc2.bias": made.linear2.bias,
    }


def parts() -> tuple[nn.Conv3d, list[nn.TransformerEncoderLayer], nn.LayerNorm, Tensor]:
    """Return patches, layers, the last norm and a clip."""
    layers = [layer(i) for i in range(DEPTH)]
    torch.manual_seed(9)
    norm = nn.LayerNorm(WIDTH, eps=1e-6)
    nn.init.normal_(norm.weight)
    patches = nn.Conv3d(3, WIDTH, (TUBELET, PATCH, PATCH), (TUBELET, PATCH, PATCH))
    return patches, layers, norm, torch.rand(2, 3, 16, SIDE, SIDE)


@torch.no_grad()
def test_videomae_is_the_mean_of_a_plain_transformer() -> None:
    patches, layers, norm, clip = parts()
    weights = {"patch_embed.proj.weight": patches.weight, "patch_embed.proj.bias": patches.bias}
    for i, made in enumerate(layers):
        # Theirs has a bias for queries and values alone.
        made.self_attn.in_proj_bias[WIDTH : 2 * WIDTH] = 0
        named = theirs(i, made)
        bias = named.pop(f"blocks.{i}.attn.qkv.bias")
        weights |= {
            **named,
            f"blocks.{i}.attn.q_bias": bias[:WIDTH],
            f"blocks.{i}.attn.v_bias": bias[2 * WIDTH :],
        }
    weights |= {"fc_norm.weight": norm.weight, "fc_norm.bias": norm.bias, "head.weight": torch.zeros(5, WIDTH)}
    found = vit.load_videomae(weights, HEADS, SIDE)(clip)
    x = patches(clip).flatten(2).transpose(1, 2) + vit._sinusoids(TOKENS, WIDTH)
    for made in layers:
        x = made(x)
    assert torch.allclose(found, norm(x.mean(dim=1)), atol=1e-5)


@torch.no_grad()
def test_vjepa_pools_by_one_query() -> None:
    patches, layers, norm, clip = parts()
    encoder = {"patch_embed.proj.weight": patches.weight, "patch_embed.proj.bias": patches.bias}
    encoder |= {"pos_embed": torch.randn(1, TOKENS, WIDTH), "norm.weight": norm.weight, "norm.bias": norm.bias}
    for i, made in enumerate(layers):
        encoder |= theirs(i, made)
    probe, query = layer(7), torch.randn(1, 1, WIDTH)
    probe.norm1.eps = probe.norm2.eps = 1e-5
    named = {k.removeprefix("blocks.0."): v for k, v in theirs(0, probe).items()}
    w, b = named.pop("attn.qkv.weight"), named.pop("attn.qkv.bias")
    named |= {"attn.q.weight": w[:WIDTH], "attn.q.bias": b[:WIDTH]}
    named |= {"attn.kv.weight": w[WIDTH:], "attn.kv.bias": b[WIDTH:]}
    block = "module.pooler.cross_attention_block."
    public = {block + k.replace("attn.", "xattn."): v for k, v in named.items()}
    public |= {"module.pooler.query_tokens": query, "module.linear.weight": torch.zeros(5, WIDTH)}
    network = vit.load_vjepa({f"module.backbone.{k}": v for k, v in encoder.items()}, public, HEADS, SIDE)

    x = patches(clip).flatten(2).transpose(1, 2) + encoder["pos_embed"]
    for made in layers:
        x = made(x)
    q, seen = query.expand(2, -1, -1), probe.norm1(norm(x))
    q = q + probe.self_attn(q, seen, seen, need_weights=False)[0]
    q = q + probe.linear2(nn.functional.gelu(probe.linear1(probe.norm2(q))))
    assert torch.allclose(network(clip), q[:, 0], atol=1e-5)


def test_what_does_not_fit_is_named() -> None:
    patches, layers, norm, clip = parts()
    encoder = {"patch_embed.proj.weight": patches.weight, "patch_embed.proj.bias": patches.bias}
    encoder |= {"fc_norm.weight": norm.weight, "fc_norm.bias": norm.bias}
    for i, made in enumerate(layers):
        encoder |= theirs(i, made)
    network = vit.load_videomae(encoder, HEADS, SIDE)
    with pytest.raises(ValueError, match="takes 32 patches, this clip has 16"):
        network(clip[:, :, :8])
    with pytest.raises(ConfigError, match=r"blocks\.1\.norm2\.bias is missing"):
        vit.load_videomae({k: v for k, v in encoder.items() if k != "blocks.1.norm2.bias"}, HEADS, SIDE)
    with pytest.raises(ConfigError, match="strange is unknown"):
        vit.load_videomae({**encoder, "strange": torch.zeros(1)}, HEADS, SIDE)
    with pytest.raises(ConfigError, match=r"patch_embed\.proj\.weight is missing"):
        vit.load_videomae({}, HEADS, SIDE)
