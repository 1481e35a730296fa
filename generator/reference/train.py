"""Training of the bundled networks: data -> network -> loss, one class each. The optimiser's step is `sora_eval.training.loop.fit`.

    loss, figures = training.loss(step)     # batch of dataset.py, network in bfloat16 where that is fast, loss of losses.py
    loss.backward()
    for optimiser in training.optimisers(): # Muon for matrices, AdamW for the rest
        optimiser.step()

Batch and noise of a step depend on the seed and its number alone, so that a run that was stopped resumes to the same weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sora_eval.data.vocabulary import Vocabulary
from sora_eval.generator.reference import diffusion, losses
from sora_eval.generator.reference.autoencoder import Autoencoder
from sora_eval.generator.reference.dataset import Batch, LatentDataset, PixelDataset
from sora_eval.generator.reference.model import Model
from sora_eval.generator.reference.recipe import AutoencoderRecipe, Phase, TransformerRecipe
from sora_eval.generator.reference.sampler import Sampler
from sora_eval.generator.reference.transformer import Transformer
from sora_eval.training import loop
from sora_eval.training.muon import Muon
from sora_eval.training.tensors import to_tensor, to_uint8
from sora_eval.types import Frames
from sora_eval.video import write_png
from sora_eval.video.sheets import contact_sheet
from sora_eval.world import palette

PREVIEWS: tuple[str, ...] = (
    "A red ball rolls to the left.",
    "A blue cube slides to the right.",
    "A yellow cone floats up.",
    "A green cylinder slides closer to us.",
    "A cyan ball stands to the left of a purple cube, and the camera moves slowly closer.",
    "A pink wall stands in the middle; an orange ball rolls steadily from left to right behind it and comes out again.",
    "In a world made of blocks, a little figure in red walks forward, turns left, walks forward and places a block.",
)
"""Prompts of the sample sheets of a training, with the seeds 0, 1, ..."""
_BETAS = (0.9, 0.95)


class AutoencoderTraining:
    """Reconstruct windows of chunks through noisy latents.

    rate: of Muon. decoder_only: freeze the encoder, and with it the latents that transformers were trained on.
    """

    def __init__(
        self,
        network: Autoencoder,
        data: PixelDataset,
        recipe: AutoencoderRecipe,
        rate: float,
        decoder_only: bool = False,
    ) -> None:
        self.network, self.data, self.recipe, self.rate = network, data, recipe, rate
        self._device = next(network.parameters()).device
        if decoder_only:
            network.encoder.requires_grad_(False)
            network.standard.eval()

    def loss(self, step: int, rank: int = 0) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of a step, and PSNR over all pixels of the batch."""
        r = self.recipe
        chunks = self.data.batch(step, rank).to(self._device)  # (B, K, 12, H, W)
        noise = loop.noise_of(self.data.seed, step, f"autoencoder {rank}")
        with loop.autocast(self._device):
            z = self.network.encode_chunks(chunks)  # (B, K, C, h, w)
            z = z + r.latent_noise * torch.randn(z.shape, generator=noise).to(z)
            out, _ = self.network.decoder(z)  # (B, K, 12, H, W)
        loss, squared = losses.reconstruction_loss(out, chunks, r.squared, r.saturation)
        return loss, {"psnr": float(-10 * torch.log10(squared / 4)), "clips": float(len(chunks))}

    def optimisers(self) -> list[torch.optim.Optimizer]:
        """Return Muon for the convolutions and AdamW for the rest."""
        trained = [p for p in self.network.parameters() if p.requires_grad]
        kernels, rest = [p for p in trained if p.ndim == 4], [p for p in trained if p.ndim != 4]
        return [Muon(kernels, lr=self.rate), _adamw(rest, self.recipe.adamw)]

    @torch.no_grad()
    def preview(self, weights: Mapping[str, Tensor], path: Path) -> None:
        """Write clips above their reconstructions (PNG)."""
        network = Autoencoder(self.network.config).to(self._device).eval()
        network.load_state_dict(dict(weights))
        firsts = [s.frames()[0] for s in self.data.shards[:24]]
        rows: list[Frames] = []
        for clip in ([c for c in firsts if c.shape[:2] == (17, 64)] or firsts)[:6]:
            reconstructed = network.decode(network.encode(to_tensor(clip)[None].to(self._device)))
            rows += [np.asarray(clip), to_uint8(reconstructed)[0]]
        write_png(path, contact_sheet(rows, columns=9))


class DiffusionTraining:
    """Predict clean latents from noisy ones, and from the text alone which object is where and which word is which."""

    def __init__(self, network: Transformer, autoencoder: Autoencoder, words: Vocabulary, data: LatentDataset) -> None:
        self.network, self.autoencoder, self.words, self.data = network, autoencoder, words, data
        self.recipe = data.recipe
        self._device = next(network.parameters()).device
        self._colours = torch.full((len(words),), -1)  # index of each word's colour
        for k, name in enumerate(palette.COLOURS):
            self._colours[words.ids[name]] = k

    def loss(self, step: int, rank: int = 0) -> tuple[Tensor, dict[str, float]]:
        """Return velocity loss plus grounding loss of a step, with figures for the log."""
        batch = self.data.batch(step, rank).to(self._device)
        z = batch.latents  # (B, K, C, h, w)
        noise = loop.noise_of(self.data.seed, step, f"diffusion {rank}")
        t, given, eps, captions = draw(batch, self.data.phase(step), self.recipe, noise)
        ids = self.encode(captions)
        with loop.autocast(self._device):
            text = self.network.text_encoder(ids)
            predicted = self.network.denoise(
                diffusion.add_noise(z, eps, t), t, given, text, batch.actions, batch.camera
            )
        velocity = losses.velocity_loss(predicted, z, t, given)
        grounding, sides = self.text_loss(text.words, ids, batch.targets)
        figures = {"clips": float(len(z)), f"loss{z.shape[1]}": float(velocity.detach())}
        figures |= {"words": float(grounding.detach()), "sides": float(sides)}
        return velocity + self.recipe.grounding * grounding, figures

    def text_loss(self, words: Tensor, ids: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return grounding loss plus word loss of encoded words (B, L, W), and how often an object is put on its side of the frame."""
        predicted = self.network.grounding_head(words.float())  # (B, L, 6)
        grounding, sides = losses.grounding_loss(predicted, self._colours.to(ids.device)[ids], targets)
        table = self.network.text_encoder.word_embed.weight
        return grounding + self.recipe.words * losses.word_loss(words, table, ids), sides

    def encode(self, captions: list[str]) -> Tensor:
        """Return the ids (B, L) of captions."""
        return self.words.encode(captions, self.network.config.text_length).to(self._device)

    def optimisers(self) -> list[torch.optim.Optimizer]:
        """Return Muon for the matrices of blocks and AdamW for the rest."""
        return optimisers_of(self.network, self.recipe)

    @torch.no_grad()
    def preview(self, weights: Mapping[str, Tensor], path: Path) -> None:
        """Write clips of PREVIEWS (PNG)."""
        # A copy: the network in training may be compiled, for its own shapes only.
        network = Transformer(self.network.config)
        network.load_state_dict({k: v.cpu() for k, v in weights.items()})
        write_previews(Sampler(Model(self.autoencoder, network.eval(), self.words, "preview", "", {})), path)


class TextTraining:
    """Train the text encoder and its grounding head alone, on the same batches.

    It comes first. In a network that draws already, the velocity loss holds the text encoder as it is: 1,600 steps of both losses left the
    sides at chance (.50 to .55), where 2,000 of this, a tenth of the time each, got .85 of them right.
    """

    def __init__(self, diffusion_training: DiffusionTraining) -> None:
        self.whole = diffusion_training
        data, network = diffusion_training.data, diffusion_training.network
        self._first_step = data.recipe.text_unit * data.unit
        self.network = nn.ModuleDict({"text_encoder": network.text_encoder, "grounding_head": network.grounding_head})

    def loss(self, step: int, rank: int = 0) -> tuple[Tensor, dict[str, float]]:
        """Return the grounding loss of a step."""
        whole = self.whole
        batch = whole.data.batch(self._first_step + step, rank)
        ids = whole.encode(batch.captions)
        with loop.autocast(ids.device):
            text = whole.network.text_encoder(ids)
        loss, sides = whole.text_loss(text.words, ids, batch.targets.to(ids.device))
        return loss, {"clips": float(len(ids)), "sides": float(sides)}

    def optimisers(self) -> list[torch.optim.Optimizer]:
        """Return Muon for the matrices of blocks and AdamW for the rest."""
        return optimisers_of(self.network, self.whole.recipe)

    def preview(self, weights: Mapping[str, Tensor], path: Path) -> None:
        """Write nothing: a text encoder samples no clips."""


def draw(
    batch: Batch, phase: Phase, recipe: TransformerRecipe, noise: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, list[str]]:
    """Draw noise levels (B, K), conditioning chunks (B, K), noise (B, K, C, h, w) and captions, of which some are left out, for a batch.

    Levels, chunks and noise are on the device of the batch.
    """
    z = batch.latents
    acted = batch.actions.any(dim=2).any(dim=1).cpu()
    from_image = acted & (torch.rand(len(z), generator=noise) < recipe.action_given)
    t, given = diffusion.noise_levels(z.shape[0], z.shape[1], noise, phase.given, phase.ends, from_image)
    eps = torch.randn(z.shape, generator=noise).to(z)
    left_out = given.any(dim=1) & (torch.rand(len(z), generator=noise) < recipe.given_dropout)
    captions = ["" if out else caption for out, caption in zip(left_out.tolist(), batch.captions, strict=True)]
    return t.to(z), given.to(z.device), eps, captions


def write_previews(sampler: Sampler, path: Path) -> None:
    """Write clips of PREVIEWS (PNG)."""
    clips = [sampler.text_to_video(prompt, 17, (64, 64), seed).frames for seed, prompt in enumerate(PREVIEWS)]
    write_png(path, contact_sheet(clips, columns=9))


def optimisers_of(network: nn.Module, recipe: TransformerRecipe) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices of a transformer's blocks (Jordan 2024) and AdamW for the rest; frozen parameters have neither."""
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, p in network.named_parameters():
        if not p.requires_grad:
            continue
        matrix = p.ndim == 2 and "blocks." in name and "table" not in name
        (matrices if matrix else rest).append(p)
    return [Muon(matrices, lr=recipe.muon), _adamw(rest, recipe.adamw)]


def _adamw(params: list[nn.Parameter], rate: float) -> torch.optim.AdamW:
    return torch.optim.AdamW(params, lr=rate, betas=_BETAS, weight_decay=0.0)
