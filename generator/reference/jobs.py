"""What is trained: the autoencoder on pixels, the transformer on latents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sora_eval.data.shards import ACTIONS, Item, Shard, mirrored, read
from sora_eval.data.vocabulary import PAD, Vocabulary
from sora_eval.files import replacing
from sora_eval.generator.reference import diffusion
from sora_eval.generator.reference.autoencoder import CHUNK, Autoencoder, to_chunks
from sora_eval.generator.reference.model import Model
from sora_eval.generator.reference.sampler import Sampler
from sora_eval.generator.reference.transformer import PATCH, TOLD, Transformer
from sora_eval.images import contact_sheet
from sora_eval.tracking.colours import states_of
from sora_eval.training import loop
from sora_eval.training.muon import Muon
from sora_eval.training.tensors import to_tensor, to_uint8
from sora_eval.types import Frames
from sora_eval.video import write_png
from sora_eval.world import palette
from sora_eval.world.families import FAMILIES, common

PREVIEWS: tuple[str, ...] = (
    "A red ball rolls to the left.",
    "A blue cube slides to the right.",
    "A yellow cone floats up.",
    "A green cylinder slides closer to us.",
    "A cyan ball stands to the left of a purple cube, and the camera moves slowly closer.",
    "A pink wall stands in the middle; an orange ball rolls steadily from left to right behind it and comes out again.",
    "In a world made of blocks, a little figure in red walks forward, turns left, walks forward and places a block.",
)
"""What training draws again and again, with the seeds 0, 1, ..."""
_WORDS_WEIGHT, _NAMED_WEIGHT = 0.3, 0.1
_ASIDE = 0.2
_WINDOW = 3
_MOST = 32
_USUAL = 5
_PIXELS = 12 * 64 * 64
_LATENT_NOISE = 0.05
_SATURATED = 5.0


class AutoencoderJob:
    """Reconstruct windows of three chunks: L1 and twice the squared error, saturated pixels counted more.

    Saturated pixels are the objects. (Weights like these are harmless here and ruinous in the diffusion loss.) Latents get noise of
    a twentieth of their spread, so that the decoder forgives small errors of the transformer.

    decoder_only: the encoder stays as it is, and with it the latents that transformers were trained on.
    """

    def __init__(
        self, network: Autoencoder, shards: Sequence[Shard], seed: int, rate: float, decoder_only: bool = False
    ) -> None:
        self.network = network
        self._shards, self._seed, self._rate = shards, seed, rate
        self._device = next(network.parameters()).device
        if decoder_only:
            network.encoder.requires_grad_(False)
            network.standard.eval()

    def optimisers(self) -> list[torch.optim.Optimizer]:
        """Return Muon for the convolutions and AdamW for the rest: AdamW alone needs five times as many steps."""
        learning = [p for p in self.network.parameters() if p.requires_grad]
        kernels = [p for p in learning if p.ndim == 4]
        rest = [p for p in learning if p.ndim != 4]
        return [Muon(kernels, lr=self._rate), torch.optim.AdamW(rest, lr=1.5e-3, betas=(0.9, 0.95), weight_decay=0.0)]

    def batch(self, step: int, rank: int = 0) -> Tensor:
        """Return windows of chunks [B, 3, 12, H, W] of one size; images give windows of one."""
        rng = np.random.default_rng([self._seed, *b"autoencoder", step, rank])
        shard = self._shards[int(rng.integers(len(self._shards)))]
        clips = shard.frames()
        n, t, h, w, _ = clips.shape
        size = max(1, round(_PIXELS / (h * w))) * (1 if t > 1 else _WINDOW)
        chosen = rng.choice(n, size=min(n, size), replace=False)
        parts = []
        for i in chosen:
            first = int(rng.integers(0, max(1, (t - 1) // CHUNK - _WINDOW + 2)))
            # A window that begins with chunk 0 has frame 0 four times; the others begin after it.
            chunks = to_chunks(to_tensor(clips[i])[None])[0] if first == 0 else None
            if chunks is None:
                begin = 1 + (first - 1) * CHUNK
                part = to_tensor(clips[i, begin : begin + _WINDOW * CHUNK])
                chunks = part.reshape(-1, 3 * CHUNK, h, w)
            parts.append(chunks[:_WINDOW])
        return torch.stack(parts).to(self._device)

    def loss(self, step: int, rank: int = 0) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of a step."""
        chunks = self.batch(step, rank)
        noise = loop.noise_of(self._seed, step, f"autoencoder {rank}")
        with loop.autocast(self._device):
            z = self.network.encode_chunks(chunks)
            z = z + _LATENT_NOISE * torch.randn(z.shape, generator=noise).to(z)
            out, _ = self.network.decoder(z)
        error = out.float() - chunks
        squared = error.square()
        weights = 1 + _SATURATED * _saturation(chunks)
        loss = (weights * (error.abs() + 2 * squared)).mean()
        # Over all pixels of the batch together; eval-tasks has the mean over frames.
        psnr = -10 * torch.log10(squared.detach().mean() / 4)
        return loss, {"psnr": float(psnr), "clips": float(len(chunks))}

    @torch.no_grad()
    def preview(self, weights: Mapping[str, Tensor], path: Path) -> None:
        """Write clips above their reconstructions."""
        network = Autoencoder(self.network.config).to(self._device).eval()
        network.load_state_dict(dict(weights))
        some = [s.frames()[0] for s in self._shards[:24]]
        clips = ([c for c in some if c.shape[:2] == (17, 64)] or some)[:6]
        rows: list[Frames] = []
        for clip in clips:
            made = to_uint8(network.decode(network.encode(to_tensor(clip)[None].to(self._device))))[0]
            rows += [np.asarray(clip), made]
        write_png(path, contact_sheet(rows, columns=9))


def _saturation(chunks: Tensor) -> Tensor:
    """Return the saturation of each pixel in 0..1, [B, K, 12, H, W], the same for its three colours."""
    b, k, c, h, w = chunks.shape
    pixels = chunks.reshape(b, k, CHUNK, 3, h, w)
    spread = (pixels.amax(dim=3, keepdim=True) - pixels.amin(dim=3, keepdim=True)) / 2
    return spread.expand_as(pixels).reshape(b, k, c, h, w)


@dataclass(frozen=True)
class Phase:
    """What is shown how often from some unit of training on.

    shares: of some families, the others share the rest. long: how many times as often clips of more than five chunks are drawn.
    given: the share of clips of which some chunks are given.
    """

    unit: int
    shares: Mapping[str, float]
    long: float = 1.0
    given: float = 0.3


@dataclass(frozen=True)
class Recipe:
    """What the transformer is shown.

    tokens: patches per batch. seed: of all that is drawn. image_share: share of batches of single images, at the beginning and from step
    `unit` on. dropped: share of captions left out, for guidance. square: crop every clip to its middle square (the ablation). unit: steps
    of a unit. phases: single things first; once they are learnt, more of two things, of long clips for extensions, and of the blocks; at
    last, more of what goes on from a picture or a clip.
    """

    tokens: int = 1280
    seed: int = 0
    image_share: tuple[float, float] = (0.7, 0.15)
    dropped: float = 0.1
    square: bool = False
    unit: int = 875
    phases: tuple[Phase, ...] = (
        Phase(0, {"single": 0.4, "relation": 0.12}),
        Phase(4, {"single": 0.3, "relation": 0.22}, long=2.5),
        Phase(6, {"single": 0.27, "relation": 0.22, "voxel": 0.09}, long=2.5),
        Phase(18, {"single": 0.27, "relation": 0.22, "voxel": 0.09}, long=4.0, given=0.5),
    )

    def phase(self, step: int) -> int:
        """Return the number of the phase that a step is in."""
        return sum(p.unit * self.unit <= step for p in self.phases) - 1


@dataclass(frozen=True)
class _Pool:
    """All clips of one size: latents [N, K, C, h, w], what is known of each; by phase, its chance in a batch and the share of batches."""

    latents: NDArray[np.float16]
    places: NDArray[np.float32]
    items: tuple[Item, ...]
    chance: tuple[NDArray[np.float64], ...]
    share: tuple[float, ...]


class DiffusionJob:
    """Predict clean latents from noisy ones, and from the words alone where things are and which word each is.

    The second, small loss teaches the text encoder which thing is meant to be on which side: the noise predicts a side so badly that
    15,000 steps without it left left and right at chance, while 500 with it taught the words. Its second part keeps the words apart:
    where a thing is can be told without knowing its colour, and a probe of the encoded words then found .16 of eight colours.
    """

    def __init__(
        self,
        network: Transformer,
        pixels: Autoencoder,
        words: Vocabulary,
        folder: Path,
        latents: Path,
        recipe: Recipe,
        limit: int | None = None,
    ) -> None:
        self.network, self.pixels, self.words, self.recipe = network, pixels, words, recipe
        self._device = next(network.parameters()).device
        self._colours = torch.full((len(words),), -1)
        for k, name in enumerate(palette.COLOURS):
            self._colours[words.ids[name]] = k
        self._pools = _pools(read(folder)[:limit], latents, recipe)
        sizes = np.array([pool.share for pool in self._pools])  # [pools, phases]
        self._sizes = sizes / sizes.sum(axis=0)

    def optimisers(self) -> list[torch.optim.Optimizer]:
        """Return Muon and AdamW."""
        return optimisers_of(self.network)

    def batch(self, step: int, rank: int = 0) -> tuple[Tensor, list[str], Tensor, Tensor]:
        """Return latents [B, K, C, h, w], captions, actions [B, K, 4], 0 where none is told, and places of colours [B, 8, 6]."""
        r = self.recipe
        rng = np.random.default_rng([r.seed, *b"diffusion", step, rank])
        phase = r.phase(step)
        pool = self._pools[int(rng.choice(len(self._pools), p=self._sizes[:, phase]))]
        n, k, _, h, w = pool.latents.shape
        early, late = r.image_share
        if rng.random() < late + (early - late) * max(0.0, 1 - step / r.unit):
            k = 1
        side = min(h, w)
        across = (side, side) if r.square else (h, w)
        size = max(1, round(r.tokens / (k * across[0] * across[1] / PATCH**2)))
        # Captions cost too: without a limit, a batch of small images would take twice the time of one of clips.
        size = min(size, _MOST)
        chosen = rng.choice(n, size=min(n, size), replace=True, p=pool.chance[phase])
        top, left = (h - across[0]) // 2, (w - across[1]) // 2
        z = pool.latents[chosen, :k, :, top : top + across[0], left : left + across[1]].astype(np.float32)
        items = [pool.items[i] for i in chosen]
        told = [bool(i.actions) and rng.random() < 0.7 for i in items]
        captions = [_caption(i, rng, r.dropped, t) for i, t in zip(items, told, strict=True)]
        places = pool.places[chosen].copy()
        if r.square:
            places = _in_crop(places, h, w)
        if k == 1:
            places[..., 3:] = np.nan
        whole = (torch.from_numpy(z), _actions(items, told, k), torch.from_numpy(places))
        latents, actions, there = (part.to(self._device) for part in whole)
        return latents, captions, actions, there

    def loss(self, step: int, rank: int = 0) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of a step."""
        z, captions, actions, places = self.batch(step, rank)
        noise = loop.noise_of(self.recipe.seed, step, f"diffusion {rank}")
        share = self.recipe.phases[self.recipe.phase(step)].given
        t, given = diffusion.levels(z.shape[0], z.shape[1], noise, share)
        eps = torch.randn(z.shape, generator=noise).to(z)
        t, given = t.to(z), given.to(z.device)
        ids = self.words.encode(captions, self.network.config.text_length).to(z.device)
        with loop.autocast(self._device):
            text = self.network.text(ids)
            found = self.network.denoise(diffusion.mix(z, eps, t), t, text, actions)
        loss = diffusion.velocity_loss(found, z, t, given)
        second, sides = self.words_error(text[0], ids, places)
        figures = {"clips": float(len(z)), f"loss{z.shape[1]}": float(loss.detach())}
        figures |= {"words": float(second.detach()), "sides": float(sides)}
        return loss + _WORDS_WEIGHT * second, figures

    def words_error(self, words: Tensor, ids: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of encoded words [B, L, W] of `ids` [B, L], and how often they put a thing on its side of the frame."""
        told, sides = told_error(self.network.told(words.float()), self._colours.to(ids.device)[ids], places)
        return told + _NAMED_WEIGHT * named_error(words, self.network.text.embed.weight, ids), sides

    @torch.no_grad()
    def preview(self, weights: Mapping[str, Tensor], path: Path) -> None:
        """Write clips of fixed prompts and seeds."""
        # A copy: the network in training may be compiled, for its own shapes only.
        network = Transformer(self.network.config)
        network.load_state_dict({k: v.cpu() for k, v in weights.items()})
        found = Model(self.pixels, network.eval(), self.words, "preview", "", {})
        sampler = Sampler(found, expanded=True)
        clips = [sampler.text_to_video(prompt, 17, (64, 64), seed).frames for seed, prompt in enumerate(PREVIEWS)]
        write_png(path, contact_sheet(clips, columns=9))


class WordsJob:
    """Learn from the words alone: the second loss without the first, on the same batches.

    It comes before the rest. In a network that draws already, the first loss holds the words as they are: 1,600 steps of both left the
    sides at chance (.50 to .55), where 2,000 of this, a tenth of the time each, told .85 of them.
    """

    def __init__(self, whole: DiffusionJob) -> None:
        self._whole = whole
        # Batches like those of the last phase: the first ones show hardly two things at once.
        self._first = whole.recipe.phases[-1].unit * whole.recipe.unit
        self.network = torch.nn.ModuleDict({"text": whole.network.text, "told": whole.network.told})

    def optimisers(self) -> list[torch.optim.Optimizer]:
        """Return Muon and AdamW."""
        return optimisers_of(self.network)

    def loss(self, step: int, rank: int = 0) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of a step."""
        z, captions, _, places = self._whole.batch(self._first + step, rank)
        network = self._whole.network
        ids = self._whole.words.encode(captions, network.config.text_length).to(z.device)
        with loop.autocast(z.device):
            words, _, _ = network.text(ids)
        loss, sides = self._whole.words_error(words, ids, places)
        return loss, {"clips": float(len(z)), "sides": float(sides)}

    def preview(self, weights: Mapping[str, Tensor], path: Path) -> None:
        """Write nothing: words alone draw no picture."""


def told_error(told: Tensor, colour: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Return the squared error of what words tell of their things, and how often they put one on its side of the frame.

    told: [B, L, 6] x, y and size in the first and the last frame. colour: [B, L] which colour a word is, -1 for none; only colours are
    asked. places: [B, 8, 6] where each colour is, NaN where it isn't.
    """
    wanted = places.gather(1, colour.clamp(min=0)[..., None].expand(-1, -1, TOLD))  # [B, L, 6]
    known = (colour >= 0)[..., None] & ~wanted.isnan()
    wanted = wanted.nan_to_num()
    error = torch.where(known, told - wanted, 0.0).square().sum() / known.sum().clamp(min=1)
    aside = known[..., 0] & (wanted[..., 0].abs() > _ASIDE)
    right = (aside & (told[..., 0] * wanted[..., 0] > 0)).sum() / aside.sum().clamp(min=1)
    return error, right.detach()


def named_error(words: Tensor, table: Tensor, ids: Tensor) -> Tensor:
    """Return the cross-entropy of which word each encoded one [B, L, W] is, by its likeness to the embeddings [V, W]; ids: [B, L]."""
    return F.cross_entropy((words.float() @ table.T).flatten(0, 1), ids.flatten(), ignore_index=PAD)


def optimisers_of(network: torch.nn.Module) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices of the blocks (Jordan 2024) and AdamW for the rest."""
    matrices: list[torch.nn.Parameter] = []
    rest: list[torch.nn.Parameter] = []
    for name, p in network.named_parameters():
        inside = ("blocks." in name or "layers." in name) and "table" not in name
        (matrices if p.ndim == 2 and inside else rest).append(p)
    return [Muon(matrices, lr=0.02), torch.optim.AdamW(rest, lr=1.5e-3, betas=(0.9, 0.95), weight_decay=0.0)]


def _pools(shards: Sequence[Shard], latents: Path, recipe: Recipe) -> list[_Pool]:
    """Group the clips and their mirror images by size; the shares of a phase hold over the whole set."""
    groups: dict[tuple[int, ...], list[Shard]] = {}
    arrays = {s.name: np.concatenate(np.load(latents / s.path.name)) for s in shards}
    shards = [replace(s, items=(*s.items, *(mirrored(i) for i in s.items))) for s in shards]
    for s in shards:
        groups.setdefault(arrays[s.name].shape[1:], []).append(s)
    counts = Counter(i.family for s in shards for i in s.items)
    shown = [_shown(phase.shares, counts) for phase in recipe.phases]
    pools = []
    for size, some in groups.items():
        items = tuple(i for s in some for i in s.items)
        often = [np.array([by_family[i.family] for i in items]) for by_family in shown]
        latent = np.concatenate([arrays[s.name] for s in some])
        places = np.concatenate([_places(s, latents) for s in some])
        longer = [phase.long if size[0] > _USUAL else 1.0 for phase in recipe.phases]
        share = tuple(float(o.sum()) * more for o, more in zip(often, longer, strict=True))
        pools.append(_Pool(latent, places, items, tuple(o / o.sum() for o in often), share))
    return pools


def _places(shard: Shard, folder: Path) -> NDArray[np.float32]:
    """Return where each colour is in the first and last frame of clips and then of their mirror images [2 N, 8, 6]; NaN for none.

    x and y in -1..1, and size: four times the root of its share of the frame.
    """
    path = folder / f"{shard.name}.places.npy"
    if not path.exists():
        clips = shard.frames()
        ends = np.stack([states_of(np.asarray(c)[[0, -1]]) for c in clips])  # [N, 8, 2, 3]
        root, xy = ends[..., :1], 2 * ends[..., 1:] - 1
        whole = np.concatenate([xy, 4 * root], axis=-1)
        whole = np.where(root > 0, whole, np.nan)
        both = np.concatenate([whole, whole * (-1, 1, 1)])
        with replacing(path) as part, part.open("wb") as file:
            np.save(file, both.reshape(len(both), len(palette.COLOURS), 6).astype(np.float32))
    found: NDArray[np.float32] = np.load(path)
    return found


def _in_crop(places: NDArray[np.float32], h: int, w: int) -> NDArray[np.float32]:
    """Return the places of things of frames [h, w] in their middle square; NaN for those whose middle is not in it."""
    side = min(h, w)
    grown = np.array([w / side, h / side, (h * w) ** 0.5 / side], dtype=np.float32)
    ends = places.reshape(*places.shape[:-1], 2, 3) * grown
    seen = (np.abs(ends[..., :2]) <= 1).all(axis=-1, keepdims=True)
    return np.where(seen, ends, np.float32(np.nan)).reshape(places.shape)


def _shown(shares: Mapping[str, float], counts: Mapping[str, int]) -> dict[str, float]:
    """Return how often one clip of each family is shown, so that some families get their share and the rest is even."""
    named = {f: share for f, share in shares.items() if f in counts}
    rest = 1 - sum(named.values())
    others = sum(n for f, n in counts.items() if f not in named)
    return {f: named[f] / n if f in named else rest / others for f, n in counts.items()}


def _caption(item: Item, rng: np.random.Generator, dropped: float, acted: bool) -> str:
    """Return a caption: long, short, or short with the sentence that ends a probe's prompt; "" to leave it out."""
    if rng.random() < dropped:
        return ""
    if acted and rng.random() < 0.5:
        return f"{common.article(str(item.params['colour']))} figure in a world made of blocks."
    short, long = (words[int(rng.integers(len(words)))] for words in (item.short, item.long))
    kind = rng.random()
    if kind < 0.5:
        return long
    return short if kind < 0.75 else f"{short} {FAMILIES[item.family].setting(item.params)}"


def _actions(items: Sequence[Item], told: Sequence[bool], k: int) -> Tensor:
    rows = torch.zeros(len(items), k, CHUNK, dtype=torch.long)
    for row, item, say in zip(rows, items, told, strict=True):
        if say and k > 1:
            row[1:] = torch.tensor(item.actions[1 : 1 + (k - 1) * CHUNK]).reshape(k - 1, CHUNK)
    assert int(rows.max()) < len(ACTIONS)
    return rows
