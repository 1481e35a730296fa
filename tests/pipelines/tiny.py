"""Small pipelines of real classes, with random weights and a tokenizer of single letters, saved as models are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    LlamaConfig,
    LlamaModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

_LETTERS = [chr(i) for i in range(97, 123)]


def _t5() -> dict[str, Any]:
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

    vocab = {t: i for i, t in enumerate(["<pad>", "</s>", "<unk>", *_LETTERS])}
    letters = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    letters.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    letters.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=letters, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=64
    )
    config = T5Config(vocab_size=len(vocab), d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    return {"tokenizer": tokenizer, "text_encoder": T5EncoderModel(config)}


def _clip(folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True)
    tokens = [*_LETTERS, *(f"{c}</w>" for c in _LETTERS), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)
    config = CLIPTextConfig(
        vocab_size=len(tokens), hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        eos_token_id=len(tokens) - 1, bos_token_id=len(tokens) - 2, pad_token_id=len(tokens) - 1,
    )  # fmt: skip
    return {"tokenizer": tokenizer, "text_encoder": CLIPTextModel(config)}


def _wan(**_: Any) -> Any:
    vae = diffusers.AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )
    network = diffusers.WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=16, out_channels=16, text_dim=32, freq_dim=16,
        ffn_dim=32, num_layers=1, rope_max_seq_len=32,
    )  # fmt: skip
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    return diffusers.WanPipeline(vae=vae, transformer=network, scheduler=scheduler, **_t5())


def _cogvideox(kind: Any, channels: int) -> Any:
    network = diffusers.CogVideoXTransformer3DModel(
        num_attention_heads=2, attention_head_dim=16, in_channels=channels, out_channels=4, time_embed_dim=2, text_embed_dim=32,
        num_layers=1, sample_width=8, sample_height=8, sample_frames=17, use_rotary_positional_embeddings=True, max_text_seq_length=226,
    )  # fmt: skip
    vae = diffusers.AutoencoderKLCogVideoX(
        block_out_channels=(8, 8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
    )
    return kind(vae=vae, transformer=network, scheduler=diffusers.DDIMScheduler(), **_t5())


def _cogvideox_from_text() -> Any:
    made = _cogvideox(diffusers.CogVideoXPipeline, 4)
    made.scheduler = diffusers.CogVideoXDDIMScheduler(
        prediction_type="v_prediction", rescale_betas_zero_snr=True, snr_shift_scale=3.0, timestep_spacing="trailing"
    )
    return made


def _ltx(kind: Any) -> Any:
    network = diffusers.LTXVideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        num_attention_heads=4,
        attention_head_dim=8,
        cross_attention_dim=32,
        num_layers=1,
        caption_channels=32,
    )
    ones = (1, 1, 1, 1, 1)
    vae = diffusers.AutoencoderKLLTXVideo(
        latent_channels=8, block_out_channels=(8, 8, 8, 8), decoder_block_out_channels=(8, 8, 8, 8), layers_per_block=ones,
        decoder_layers_per_block=ones, spatio_temporal_scaling=(True, True, False, False),
        decoder_spatio_temporal_scaling=(True, True, False, False), patch_size=1,
    )  # fmt: skip
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    return kind(vae=vae, transformer=network, scheduler=scheduler, **_t5())


def _hunyuan(folder: Path) -> Any:
    network = diffusers.HunyuanVideoTransformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=8, num_layers=1, num_single_layers=1, num_refiner_layers=1,
        patch_size=2, text_embed_dim=16, pooled_projection_dim=8, rope_axes_dim=(2, 2, 4),
    )  # fmt: skip
    vae = diffusers.AutoencoderKLHunyuanVideo(
        latent_channels=4, block_out_channels=(8, 8, 8, 8), layers_per_block=1, norm_num_groups=4, mid_block_add_attention=False
    )  # fmt: skip
    letters = _t5()["tokenizer"]
    config = LlamaConfig(
        vocab_size=len(letters), hidden_size=16, intermediate_size=16, num_hidden_layers=3, num_attention_heads=2, pad_token_id=0
    )  # fmt: skip
    words = {"text_encoder": LlamaModel(config), "tokenizer": letters}
    words |= {f"{k}_2": v for k, v in _clip(folder / "letters").items()}
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0)
    return diffusers.HunyuanVideoPipeline(vae=vae, transformer=network, scheduler=scheduler, **words)


def _animatediff(folder: Path) -> Any:
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(8, 8), layers_per_block=1, sample_size=8, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=8, norm_num_groups=2,
    )  # fmt: skip
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4, norm_num_groups=2,
    )  # fmt: skip
    adapter = diffusers.MotionAdapter(
        block_out_channels=(8, 8), motion_layers_per_block=1, motion_norm_num_groups=2, motion_num_attention_heads=4
    )
    scheduler = diffusers.DDIMScheduler(clip_sample=False)
    return diffusers.AnimateDiffPipeline(
        vae=vae, unet=unet, motion_adapter=adapter, scheduler=scheduler, **_clip(folder / "letters")
    )


PIPELINES: dict[str, Callable[[Path], Any]] = {
    "WanPipeline": lambda _: _wan(),
    "CogVideoXImageToVideoPipeline": lambda _: _cogvideox(diffusers.CogVideoXImageToVideoPipeline, 8),
    "CogVideoXVideoToVideoPipeline": lambda _: _cogvideox(diffusers.CogVideoXVideoToVideoPipeline, 4),
    "CogVideoXPipeline": lambda _: _cogvideox_from_text(),
    "LTXConditionPipeline": lambda _: _ltx(diffusers.LTXConditionPipeline),
    "LTXPipeline": lambda _: _ltx(diffusers.LTXPipeline),
    "HunyuanVideoPipeline": _hunyuan,
    "AnimateDiffPipeline": _animatediff,
}


def saved(name: str, folder: Path) -> Path:
    """Save a small pipeline of a class; return its folder."""
    torch.manual_seed(0)
    model = folder / name
    PIPELINES[name](folder).save_pretrained(model)
    return model
