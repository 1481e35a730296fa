"""Sampling: text, image and video prompts, extension, loops, edits, transitions, long videos, actions, all with one set of weights.

Every task is the same call: some chunks of a latent are given, the others are sampled. Clips are sampled one by one, each from noise of
its own seed, so that a clip depends on nothing else in the batch; and on one thread, so that on one machine it has the same bytes
whatever the number of threads or processes.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sora_eval.data.cameras import pose_features
from sora_eval.data.shards import ACTIONS, FPS
from sora_eval.data.vocabulary import words_of
from sora_eval.errors import ConfigError, unknown
from sora_eval.generator.reference import diffusion
from sora_eval.generator.reference.autoencoder import CHUNK, STRIDE, chunks_of, to_chunks
from sora_eval.generator.reference.model import Model
from sora_eval.generator.reference.options import GRID, LARGEST, Options
from sora_eval.generator.reference.text import EncodedText, expand
from sora_eval.processes import one_torch_thread
from sora_eval.training.tensors import to_tensor, to_uint8
from sora_eval.types import Camera, Frames, Video, digest
from sora_eval.video import resize

VERSION = "5"
"""Raised whenever the same weights, options and case give other clips."""
WINDOW = 9
"""Chunks of the window of an extension: as many as the longest training clip has."""
CONTEXT = 5
"""Conditioning chunks of an extension: with 2 in a window of 5, shapes and directions were kept worse."""
_TRANSITION_CONTEXT = 2
"""Conditioning chunks at each end of a transition."""
_SAME = 10.0
"""Scale, in levels of 0..255, of the difference up to which two pixels count as the same."""
TRAINED_SIDE, TRAINED_FRAMES = 128, 33
"""Largest side and longest clip in the training set."""
Size = tuple[int, int]


class PromptWarning(UserWarning):
    """A request is carried out differently: unknown words, a size off the grid."""


@dataclass(frozen=True)
class Sampler:
    """A model with its options, and the tasks as methods. Clips are uint8 [T, H, W, 3] at 8 frames per second."""

    model: Model
    """Networks with their weights."""
    options: Options = field(default_factory=Options)
    """Options of sampling."""
    expanded: bool = True
    """Whether short prompts are expanded to descriptive captions."""

    def __post_init__(self) -> None:
        """Check `expanded`: a text such as "no" would count as true.

        Raises:
            ConfigError: it is neither true nor false.
        """
        if not isinstance(self.expanded, bool):
            raise ConfigError(f"expanded must be true or false, got {self.expanded}")

    def text_to_video(
        self, prompt: str, frames: int = 17, size: Size = (64, 64), seed: int = 0, camera: Camera | None = None
    ) -> Video:
        """Return a clip of a prompt. camera: the poses of its frames, at 8 per second; the last one stays.

        Raises:
            ConfigError: the prompt is empty, frames or size are below 1, or the model reads no camera poses.
        """
        if not prompt.strip():
            raise ConfigError("the prompt is empty: describe what is to be seen")
        _warn_if_long(frames, "task=long goes on from its own end")
        channels = self.model.transformer.config.channels
        window = _Window.open(chunks_of(_at_least(frames)), grid_size(size), channels)
        poses = self._poses(camera, len(window.given))
        return self._video(self._sample(self.caption(prompt, seed), window, seed, camera=poses), frames)

    def text_to_image(self, prompt: str, size: Size = (64, 64), seed: int = 0) -> Frames:
        """Return an image [H, W, 3] of a prompt."""
        return np.asarray(self.text_to_video(prompt, 1, size, seed).frames[0])

    def continue_video(
        self, given: Frames, prompt: str = "", frames: int = 17, seed: int = 0, camera: Camera | None = None
    ) -> Video:
        """Return a clip that begins with given frames [k, H, W, 3]: an image when k is 1. They are decoded like the rest.

        Frames beyond 1 + 4n are not read: the chunk that they begin is sampled. camera: the poses of all frames, at 8 per second.

        Raises:
            ConfigError: `given` is no clip, frames is below 1, or the model reads no camera poses.
        """
        _warn_if_long(frames, "task=extend goes on from its end")
        known = self._encode(given[: 1 + (len(given) - 1) // CHUNK * CHUNK])
        chunks = max(chunks_of(_at_least(frames)), known.shape[0])
        window, poses = _Window.starting(known, chunks), self._poses(camera, chunks)
        return self._video(self._sample(self.caption(prompt), window, seed, camera=poses), frames)

    def extend(
        self,
        video: Frames,
        prompt: str = "",
        frames: int = 16,
        seed: int = 0,
        backward: bool = False,
        own: bool = False,
    ) -> Video:
        """Return the clip with `frames` more after it, or before it. The clip itself is unchanged.

        own: whether the clip is the model's: it is then conditioned on at `history_level`.

        Raises:
            ConfigError: it is no clip, or frames is below 1.
        """
        video = fit(video)
        if backward:
            return Video(
                np.concatenate(
                    [self._extend_backward(video, self.caption(prompt), _at_least(frames), seed, own), video]
                ),
                FPS,
            )
        more = list(self._extend_forward(video, self.caption(prompt), _at_least(frames), seed, own=own))
        return Video(np.concatenate([video, *more])[: len(video) + frames], FPS)

    def rejoin(self, video: Frames, cut: int) -> Frames:
        """Return a clip with its own frames from `cut` on as `extend` would show them if the transformer predicted the true latents."""
        tail = _tail(video[:cut])
        shown, new = np.split(self.reconstruct(np.concatenate([tail, video[cut:]])), [len(tail)])
        return np.concatenate([video[:cut], restore_detail(new, shown[-1], tail[-1])])

    def _extend_backward(self, video: Frames, text: str, frames: int, seed: int, own: bool) -> Frames:
        made: list[Frames] = []
        head, done = video, 0
        while done < frames:
            known = self._encode_groups(head[: CONTEXT * CHUNK])
            window = self._at_history_level(_Window.ending(known, WINDOW), own or bool(made))
            clip = self._decode(self._sample(text, window, _window_seed(seed, len(made))))
            new, shown = np.split(clip, [len(clip) - CHUNK * len(known)])
            new = restore_detail(new, shown[0], head[0])
            made.insert(0, new)
            head, done = np.concatenate([new, head]), done + len(new)
        return np.concatenate(made)[-frames:]

    def _extend_forward(
        self, video: Frames, text: str, frames: int, seed: int, actions: Sequence[int] | None = None, own: bool = False
    ) -> Iterator[Frames]:
        """Yield `frames` frames or a few more, window by window; memory does not grow. own: whether the video is one of the model's."""
        done, number, tail = 0, 0, _tail(video)
        while done < frames:
            known = self._encode(tail)
            # No more than is asked for: under actions, what follows the last one would be drawn as a rest that no clip has.
            chunks = min(WINDOW, len(known) + -(-(frames - done) // CHUNK))
            window = self._at_history_level(_Window.starting(known, chunks), own or number > 0)
            window_actions = None if actions is None else _actions(actions, done - CHUNK * (len(known) - 1), chunks)
            clip = self._decode(self._sample(text, window, _window_seed(seed, number), window_actions))
            shown, new = np.split(clip, [len(tail)])
            new = restore_detail(new, shown[-1], tail[-1])
            yield new
            tail = _tail(np.concatenate([tail, new]))
            done, number = done + len(new), number + 1

    def _at_history_level(self, window: _Window, own: bool) -> _Window:
        """Return the window with its conditioning chunks at `history_level` where they are the model's `own`, else at 1."""
        return replace(window, level=self.options.history_level) if own else window

    def long_video(self, prompt: str, frames: int, size: Size = (64, 64), seed: int = 0) -> Iterator[Frames]:
        """Yield a video of any length piece by piece, by repeated extension in constant memory."""
        first = self.text_to_video(prompt, min(frames, 1 + (CONTEXT - 1) * CHUNK), size, seed).frames
        yield first
        left = frames - len(first)
        # The caption of the first window stays: it describes the whole video.
        for piece in self._extend_forward(first, self.caption(prompt, seed), left, seed, own=True):
            yield piece[:left]
            left -= len(piece)

    def connect(self, a: Frames, b: Frames, prompt: str = "", seed: int = 0, frames: int | None = None) -> Video:
        """Return a, a transition of `frames` (None: of 20, up to 28 where a clip has less than 8), and b.

        Raises:
            ConfigError: one is no clip, they differ in size, or `frames` is below 1.
        """
        a, b = fit(a), fit(b)
        if a.shape[1:] != b.shape[1:]:
            raise ConfigError(f"clips to connect must have one size, got {a.shape[1:3]} and {b.shape[1:3]}")
        return Video(np.concatenate([a, self._between(a, b, self.caption(prompt), seed, frames), b]), FPS)

    def loop(self, video: Frames, prompt: str = "", seed: int = 0, frames: int | None = None) -> Video:
        """Return the clip with a transition from its end to its beginning, to be played again and again; frames: as in `connect`.

        Raises:
            ConfigError: it is no clip, or `frames` is below 1.
        """
        video = fit(video)
        return Video(np.concatenate([video, self._between(video, video, self.caption(prompt), seed, frames)]), FPS)

    def _between(self, a: Frames, b: Frames, text: str, seed: int, frames: int | None) -> Frames:
        tail = _tail(a, _TRANSITION_CONTEXT)
        start, end = self._encode(tail), self._encode_groups(b[: _TRANSITION_CONTEXT * CHUNK])
        chunks = WINDOW if frames is None else len(start) + len(end) + -(-_at_least(frames) // CHUNK)
        _warn_if_long(1 + CHUNK * (chunks - 1), "make the transition shorter")
        window = _Window.between(start, end, chunks)
        clip = self._decode(self._sample(text, window, seed))
        before, new, after = np.split(clip, [len(tail), len(clip) - CHUNK * len(end)])
        share = np.linspace(0, 1, len(new))[:, None, None, None]
        new = _rounded(
            (1 - share) * restore_detail(new, before[-1], tail[-1]) + share * restore_detail(new, after[0], b[0])
        )
        # Chunks have four frames each: of a few more those nearest in time stay, so that the way is gone in the time that there is.
        return new if frames is None else new[np.rint(np.linspace(0, len(new) + 1, frames + 2)[1:-1]).astype(int) - 1]

    def edit(self, video: Frames, prompt: str, strength: float = 0.8, seed: int = 0) -> Video:
        """Return the clip redrawn by another text: 0 keeps it, 1 keeps nothing (SDEdit, arXiv:2108.01073).

        Raises:
            ConfigError: strength is not in 0..1, there is no text, or it is no clip.
        """
        if not 0 <= strength <= 1:
            raise ConfigError(f"strength must be between 0 and 1, got {strength}")
        if strength and not prompt.strip():
            raise ConfigError("the prompt is empty: describe what the clip is to show instead")
        _warn_if_long(len(video), "edit it piece by piece")
        known = self._encode(fit(video))
        if strength == 0:
            return self._video(known, len(video))
        window = _Window(known, torch.zeros(len(known), dtype=torch.bool))
        return self._video(self._sample(self.caption(prompt), window, seed, start=1 - strength), len(video))

    def rollout(self, image: Frames, actions: Sequence[str], prompt: str = "", seed: int = 0) -> Video:
        """Return what follows an image [H, W, 3] of the world of blocks under one action per frame.

        Raises:
            ConfigError: an action is unknown, or `image` is no image.
        """
        for action in actions:
            if action not in ACTIONS:
                raise unknown("action", action, ACTIONS)
        codes = [ACTIONS.index(a) for a in actions]
        first = fit(image[None])
        more = list(self._extend_forward(first, self.caption(prompt), len(codes), seed, codes))
        return Video(np.concatenate([first, *more])[: 1 + len(codes)], FPS)

    def _poses(self, camera: Camera | None, chunks: int) -> Tensor | None:
        """Return the poses of a camera per frame of so many chunks [K, 4, 8]; its last one is held.

        Raises:
            ConfigError: the model reads none.
        """
        if camera is None:
            return None
        if not self.model.transformer.config.camera:
            raise ConfigError(f"{self.model.name} reads no camera poses: describe the camera's move in the prompt")
        poses = pose_features(camera)
        frames = np.minimum(np.r_[[0] * CHUNK, 1 : 1 + CHUNK * (chunks - 1)], len(poses) - 1)
        return torch.from_numpy(poses[frames]).float().reshape(chunks, CHUNK, -1)

    @one_torch_thread()
    def _sample(
        self,
        text: str,
        window: _Window,
        seed: int,
        actions: Tensor | None = None,
        start: float = 0.0,
        camera: Tensor | None = None,
    ) -> Tensor:
        """Return the latent [K, C, h, w] with the chunks sampled that are not given; text: of `caption`."""
        m, o, given = self.model, self.options, window.given
        noise = torch.Generator().manual_seed(seed & (2**63 - 1))
        eps = torch.randn(window.known.shape, generator=noise)[None]
        # The unconditional branch of guidance: without the text; without text and image; or, where a clip shows the motion, without
        # that clip (history guidance, arXiv:2502.06764).
        clip = int(given.sum()) > 1
        scale = o.history if clip else o.guidance
        guided = scale != 1 and (bool(text) or bool(given.any()))
        texts = [text, text if clip else ""] if guided else [text]
        hold = given[:, None, None, None]
        mask = torch.stack([given, torch.zeros_like(given)] if guided else [given])  # (1 or 2, K)
        with torch.inference_mode():
            ids = m.words.encode(texts, min(m.transformer.config.text_length, max(1, len(words_of(text)))))
            encoded = m.transformer.text_encoder(ids)
            keys_values = m.transformer.keys_values(encoded)
            if actions is None:
                actions = torch.zeros(len(given), CHUNK, dtype=torch.long)
            actions = actions.expand(len(texts), -1, -1)  # (1 or 2, K, 4)
            poses = None if camera is None else torch.stack([camera, torch.zeros_like(camera)][: len(texts)])

            def predict(z: Tensor, t: Tensor) -> Tensor:
                # Given chunks are at level 1, the others all at one below it.
                guide = guided and float(t.min()) < o.guided_until
                if window.level < 1:
                    t = t.masked_fill(given, window.level)
                if guide:
                    z = torch.cat([z, torch.where(hold, eps, z)])
                    t = torch.cat([t, t.masked_fill(given, 0.0)])
                n = len(z)
                read = EncodedText(*(part[:n] for part in encoded))
                ready = [(k[:n], v[:n]) for k, v in keys_values]
                clean = m.transformer.denoise(
                    z, t, mask[:n], read, actions[:n], None if poses is None else poses[:n], ready
                )
                if not guide:
                    return clean
                conditional, unconditional = clean.chunk(2)
                return unconditional + scale * (conditional - unconditional)

            return diffusion.sample(predict, eps, window.known[None], window.given[None], o, start)[0]

    def caption(self, prompt: str, seed: int | None = None) -> str:
        """Return the caption that the model reads for a prompt; words that it does not know are named in a warning.

        seed: of the expander; None where an image or a clip is given: an expanded prompt might contradict it.
        """
        if not prompt.strip():
            return ""
        text = expand(prompt, seed) if self.expanded and seed is not None else prompt
        words, most = words_of(text), self.model.transformer.config.text_length
        if unknown_words := self.model.words.unknown(text):
            warnings.warn(
                f"words that the model does not know: {', '.join(unknown_words)}", PromptWarning, stacklevel=3
            )
        if not any(w in self.model.words.ids for w in words_of(prompt)):
            warnings.warn("the model knows no word of the prompt: it draws anything", PromptWarning, stacklevel=3)
        if len(words) > most:
            message = f"the prompt has {len(words)} words and stops, only the first {most} are read"
            warnings.warn(message, PromptWarning, stacklevel=3)
        return text

    def reconstruct(self, video: Frames) -> Frames:
        """Return the clip after encoding and decoding."""
        return self._decode(self._encode(video))[: len(video)]

    @one_torch_thread()
    def _encode(self, frames: Frames) -> Tensor:
        with torch.inference_mode():
            return self.model.autoencoder.encode(to_tensor(fit(frames))[None])[0]

    @one_torch_thread()
    def _encode_groups(self, frames: Frames) -> Tensor:
        """Encode frames [4n, H, W, 3] as n chunks, without the chunk of one frame that begins a clip; fewer than four are padded."""
        frames = np.concatenate([frames, np.repeat(frames[-1:], max(0, CHUNK - len(frames)), axis=0)])
        # The first chunk of a clip is its first frame four times: with one frame more, that one can be left out.
        whole = frames[: len(frames) // CHUNK * CHUNK]
        with torch.inference_mode():
            chunks = to_chunks(to_tensor(np.concatenate([whole[:1], whole]))[None])
            return self.model.autoencoder.encode_chunks(chunks[:, 1:])[0]

    @one_torch_thread()
    def _decode(self, z: Tensor) -> Frames:
        with torch.inference_mode():
            return np.concatenate([to_uint8(part[0]) for part in self.model.autoencoder.stream(z[None])])

    def _video(self, z: Tensor, frames: int) -> Video:
        return Video(self._decode(z)[:frames], FPS)


@dataclass(frozen=True)
class _Window:
    """A latent whose chunks are partly given."""

    known: Tensor
    """(K, C, h, w), zero where not given."""
    given: Tensor
    """(K,), True for conditioning chunks."""
    level: float = 1.0
    """Noise level that the network is conditioned on for these chunks."""

    @staticmethod
    def open(chunks: int, size: Size, channels: int) -> _Window:
        h, w = size[0] // STRIDE, size[1] // STRIDE
        return _Window(torch.zeros(chunks, channels, h, w), torch.zeros(chunks, dtype=torch.bool))

    @staticmethod
    def starting(known: Tensor, chunks: int) -> _Window:
        return _Window.between(known, known[:0], chunks)

    @staticmethod
    def ending(known: Tensor, chunks: int) -> _Window:
        return _Window.between(known[:0], known, chunks)

    @staticmethod
    def between(start: Tensor, end: Tensor, chunks: int) -> _Window:
        blank = torch.zeros(chunks - len(start) - len(end), *start.shape[1:])
        given = torch.tensor([True] * len(start) + [False] * len(blank) + [True] * len(end))
        return _Window(torch.cat([start, blank, end]), given)


def grid_size(size: Size) -> Size:
    """Return the nearest (height, width) that is a multiple of the patch size, with a warning where it differs.

    Raises:
        ConfigError: a side is below 1, or the whole too large.
    """
    if min(size) < 1:
        raise ConfigError(f"height and width must be at least 1, got {size[0]}x{size[1]}")
    height, width = (max(GRID, round(s / GRID) * GRID) for s in size)
    if (height, width) != tuple(size):
        message = f"{size[0]}x{size[1]} does not fit the grid of {GRID} pixels: {height}x{width} is made"
        warnings.warn(message, PromptWarning, stacklevel=3)
    if height * width > LARGEST**2:
        raise ConfigError(f"{height}x{width} is more than {LARGEST}x{LARGEST} pixels: set height= and width=")
    if max(height, width) > TRAINED_SIDE:
        message = f"sizes above {TRAINED_SIDE} pixels were never trained, {height}x{width} is drawn all the same"
        warnings.warn(message, PromptWarning, stacklevel=3)
    return height, width


def fit(frames: Frames) -> Frames:
    """Return frames [T, H, W, 3 or 4] as RGB at the nearest size of the patch grid; alpha is blended over white.

    Raises:
        ConfigError: the array is no clip.
    """
    if frames.ndim != 4 or frames.shape[-1] not in (3, 4) or 0 in frames.shape or frames.dtype != np.uint8:
        raise ConfigError(f"a clip must be uint8 [T, H, W, 3], got {frames.dtype} {frames.shape}")
    frames = over_white(frames)
    size = grid_size((frames.shape[1], frames.shape[2]))
    if size == frames.shape[1:3]:
        return frames
    return resize(frames, size)


def over_white(frames: Frames) -> Frames:
    """Return frames [T, H, W, 3 or 4] as RGB, alpha blended over white."""
    if frames.shape[-1] != 4:
        return frames
    alpha = frames[..., 3:].astype(np.float32) / 255
    rgb: Frames = (frames[..., :3] * alpha + 255 * (1 - alpha)).round().astype(np.uint8)
    return rgb


def _window_seed(seed: int, number: int) -> int:
    # Hashed: a first window with the seed of its clip would have the noise that the clip was sampled from.
    return int(digest(["window", seed, number], 8), 16)


def _tail(video: Frames, chunks: int = CONTEXT) -> Frames:
    """Return the last 1 + 4n frames, at most so many chunks."""
    most = min(len(video), 1 + (chunks - 1) * CHUNK)
    return video[-(1 + (most - 1) // CHUNK * CHUNK) :]


def restore_detail(new: Frames, shown: Frames, true: Frames) -> Frames:
    """Add the detail that the autoencoder lost of a given frame to new frames [T, H, W, 3], where they show the same.

    shown: the given frame [H, W, 3] after encoding and decoding; true: as it is. Without this, static areas flicker where a clip is
    extended, and lose detail with every window of a long video.
    """
    difference = np.abs(new.astype(np.float32) - shown).max(axis=-1, keepdims=True)
    same = np.exp(-np.square(difference / _SAME))
    return _rounded(new + same * (true.astype(np.float32) - shown))


def _rounded(values: NDArray[np.floating[Any]]) -> Frames:
    rounded: Frames = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded


def _at_least(frames: int) -> int:
    if frames < 1:
        raise ConfigError(f"a clip has at least 1 frame, got {frames}")
    return frames


def _warn_if_long(frames: int, better: str) -> None:
    if frames > TRAINED_FRAMES:
        message = f"takes of more than {TRAINED_FRAMES} frames were never trained, this one has {frames}: {better}"
        warnings.warn(message, PromptWarning, stacklevel=3)


def _actions(codes: Sequence[int], first: int, chunks: int) -> Tensor:
    """Return the actions of a window [K, 4], one per frame: none in its first chunk, codes from index `first` on after it."""
    row = [codes[i] if i < len(codes) else 0 for i in range(first, first + CHUNK * (chunks - 1))]
    return torch.cat([torch.zeros(1, CHUNK, dtype=torch.long), torch.tensor(row).reshape(-1, CHUNK)])
