"""The base class of probes: cases from a scene family, general conditions on a clip, and the score."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import cv2
import numpy as np

from sora_eval.alignment.align import given_frames, kept_at
from sora_eval.metrics import continuation as motion_overlap
from sora_eval.metrics.audio.onsets import match_onsets, onset_times
from sora_eval.tracking.surroundings import ground, neutral, taken_for_ground
from sora_eval.tracking.world import named_colours
from sora_eval.types import MODES, Audio, Case, Floats, Frames, Mode, Profile, Score, Tracks, Video
from sora_eval.video import resample, resize
from sora_eval.video.caching import clip_cache
from sora_eval.world import clip, scene_of
from sora_eval.world.families import Family, Params, family
from sora_eval.world.families.params import with_look
from sora_eval.world.looks import PLAIN_WORLD, LookOptions
from sora_eval.world.palette import COLOURS

_LEAST_PART = 0.25
"""Share of an object's area from which on what may be taken for ground is missing from it."""
_LEAST_MERGED = 0.2
"""Share of the frames that show an object from which on that happens to it."""


class UnjudgeableError(Exception):
    """Raised inside `judge` when a clip does not show what the prompt describes, with the reason in one line."""


@dataclass(frozen=True)
class Draft:
    """A case before it has a size."""

    family: str
    """The scene family."""
    params: Params
    """The parameters of the scene."""
    prompt: str
    """The caption; `Probe.cases` adds the family's setting."""
    expect: Mapping[str, Any] = field(default_factory=dict)
    """Further facts that the probe checks, as JSON values."""
    source: Params | None = None
    """The parameters of what the source clip shows, in mode edit."""

    @property
    def scene(self) -> dict[str, Any]:
        """The scene as it stands in a case."""
        source = {} if self.source is None else {"source": self.source.to_json()}
        return {"family": self.family, "params": self.params.to_json(), **source}


@dataclass(frozen=True)
class Verdict:
    """The result of judging a clip."""

    value: float
    """The score, 0 to 1."""
    components: Mapping[str, float] = field(default_factory=dict)
    """The partial scores and measured values behind it."""


class Probe(ABC):
    """A test of one claim about the world, on scenes of one family.

    Subclasses set the class attributes and implement `judge`.
    """

    suite: ClassVar[str]
    """The suite that it belongs to."""
    name: ClassVar[str]
    """Its name in cases and on the command line, unique over all suites."""
    scenes: ClassVar[str] = ""
    """The scene family of its cases; "" for the family of the probe's name."""
    claim: ClassVar[str]
    """The claim under test, in one line."""
    source: ClassVar[str]
    """Where the measure comes from."""
    version: ClassVar[int] = 1
    """Raised whenever scores change."""
    unit: ClassVar[str] = "share of the claim that holds, 0 to 1"
    """Unit of the score."""
    higher_is_better: ClassVar[bool] = True
    """Direction of the score; true for every score of 0 to 1."""
    modes: ClassVar[tuple[Mode, ...]] = MODES
    """The modes that it supports."""
    chance: ClassVar[float] = 0.0
    """The expected score of a random guess."""
    violations: ClassVar[tuple[str, ...]] = ()
    """The faults that it must detect."""
    blind_to: ClassVar[Mapping[str, str]] = {}
    """Known blind spots: control or fault -> why it scores like the truth."""
    blind_modes: ClassVar[tuple[Mode, ...]] = ("t2v",)
    """The modes that the blind spots are confined to."""
    continued: ClassVar[bool] = False
    """Whether the conditioning frames determine the rest, so that a v2v clip can be compared with the true one (components only)."""

    lengths_s: ClassVar[tuple[int, ...]] = ()
    """Lengths of its cases in seconds, by turns; () for the profile's own length."""
    aspects: ClassVar[tuple[str, ...]] = ()
    """Aspect ratios of its cases, such as "16:9", by turns; () for the profile's own size."""
    single_image: ClassVar[bool] = False
    """Whether its clips have a single frame."""
    in_white_light: ClassVar[bool] = True
    """Whether clips are judged in white light, as far as their light is known; else with the colours that they came with."""
    whole_frame: ClassVar[bool] = False
    """Whether clips are judged as they came, bars, crops and stretched pictures included; else in the part that shows the case's frame."""

    random: ClassVar[bool] = False
    """Whether the outcome of its scenes is left to chance: `expect["outcomes"]` has probabilities by name, and further samples of a case
    are other draws of it, which the oracle answers as well."""

    @property
    def family(self) -> Family[Any]:
        """The scene family of its cases."""
        return family(self.scenes or self.name)

    def sample(self, rng: np.random.Generator) -> Params:
        """Return the parameters of a random scene."""
        params: Params = self.family.sample(rng)
        return params

    def draft(self, rng: np.random.Generator, flip: bool) -> Draft:
        """Return a random case; with `flip` its mirrored twin, which draws the same numbers from `rng`."""
        params = self.sample(rng)
        params = self.family.mirrored(params) if flip else params
        return Draft(self.family.name, params, self.family.caption(params, rng))

    def drafts(self, count: int, seed: int) -> list[Draft]:
        """Return the drafts of `count` cases, in pairs of twins."""
        return [self.draft(self._rng(seed, i // 2), flip=bool(i % 2)) for i in range(count)]

    def of_length(self, draft: Draft, length_s: float, rng: np.random.Generator) -> Draft:
        """Return a draft for clips of a length in seconds, which have round(length_s * fps) + 1 frames. By default the draft itself.

        rng: equal generators for twins.
        """
        return draft

    def of_frames(self, draft: Draft, frames: int, fps: float) -> Draft:
        """Return a draft for clips of so many frames at a rate, where its scene depends on these. By default the draft itself."""
        return draft

    def of_aspects(
        self, drafts: Sequence[Draft], profile: Profile, aspects: Sequence[str]
    ) -> tuple[list[Draft], list[tuple[int, int]]]:
        """Return drafts for frames of `aspects`, pair by pair in turn, and the (height, width) of each; by default the profile's."""
        return list(drafts), [(profile.height, profile.width)] * len(drafts)

    def _in_look(self, draft: Draft, i: int, seed: int, look: LookOptions) -> Draft:
        """Return draft i in a look; twins have the same materials, the second one's in a mirror."""
        materials = int(np.random.default_rng([*b"look", *self.name.encode(), seed, i // 2]).integers(1 << 31))
        style = with_look(draft.params.style, look, materials, flipped=bool(i % 2))
        source = (
            None if draft.source is None else replace(draft.source, style=replace(draft.source.style, look=style.look))
        )
        return replace(draft, params=replace(draft.params, style=style), source=source)

    def _rng(self, seed: int, pair: int) -> np.random.Generator:
        # Disjoint from the scenes of training sets, whose seeds hold no such word.
        return np.random.default_rng([*b"probe", *self.name.encode(), seed, pair])

    def of_sample(self, case: Case) -> Case:
        """Return a further sample of a case, as `stats.samples` makes it, with the scene that is its true answer; by default the same."""
        return case

    @abstractmethod
    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Return the verdict on a clip.

        Raises:
            UnjudgeableError: the clip does not show what the prompt describes.
        """

    def _with_lengths(
        self, drafts: Sequence[Draft], profile: Profile, seed: int, lengths_s: Sequence[int]
    ) -> tuple[list[Draft], list[int]]:
        """Return drafts for clips of `lengths_s` seconds, pair by pair in turn, and the frames of each: round(length * fps) + 1."""
        if self.single_image:
            return list(drafts), [1] * len(drafts)
        if not lengths_s:
            return list(drafts), [profile.frames] * len(drafts)
        lengths = [lengths_s[i // 2 % len(lengths_s)] for i in range(len(drafts))]
        rngs = (np.random.default_rng([*b"length", *self.name.encode(), seed, i // 2]) for i in range(len(drafts)))
        fitted = [self.of_length(*each) for each in zip(drafts, lengths, rngs, strict=True)]
        return fitted, [round(length * profile.fps) + 1 for length in lengths]

    def contacts(self, case: Case, tracks: Tracks) -> tuple[float, ...]:
        """Return the times in seconds at which a clip shows that something hits something, in order; () of a probe that measures none.

        They are all that happen up to the last of them: a sound at another time before that has no cause in the picture.

        Raises:
            UnjudgeableError: they can't be measured.
        """
        return ()

    def sound(self, case: Case, audio: Audio, tracks: Tracks) -> dict[str, float]:
        """Return how the sounds of a clip fit the contacts that it shows: components without influence on the score, {} where the probe
        measures no contact.

        A sound counts as one at the contact within one frame; what sounds after that of the last contact is not looked at.
        """
        try:
            times = self.contacts(case, tracks)
        except UnjudgeableError:
            return {}
        if not times:
            return {}
        frame_s = 1 / tracks.fps
        onsets = [t + audio.start_s for t in onset_times(audio.samples.astype(float), audio.rate)]
        # Pieces ring on and balls bounce again: after the sound nearest to the last contact anything may sound.
        near = [t for t in onsets if abs(t - times[-1]) <= frame_s]
        end = min(near, key=lambda t: abs(t - times[-1]), default=times[-1])
        fit = match_onsets([t for t in onsets if t <= end], times, frame_s)
        components = {
            "sound_recall": fit.recall,
            "sound_precision": fit.precision,
            "sound_f1": fit.f1,
            "sound_offset_s": fit.offset_s,
        }
        return {name: value for name, value in components.items() if value is not None}

    def cases(
        self,
        count: int,
        profile: Profile,
        mode: Mode,
        seed: int = 0,
        look: LookOptions = PLAIN_WORLD,
        lengths_s: Sequence[int] = (),
        aspects: Sequence[str] = (),
    ) -> list[Case]:
        """Return `count` cases, in pairs of twins; the same arguments give the same cases, and another look the same scenes in it.

        lengths_s: lengths of the clips in seconds, by turns; () for the probe's own, and where it has none for the profile's.
        aspects: aspect ratios of the clips, by turns, likewise.
        """
        drafts, frames = self._with_lengths(self.drafts(count, seed), profile, seed, lengths_s or self.lengths_s)
        drafts, sizes = self.of_aspects(drafts, profile, aspects or self.aspects)
        drafts = [self.of_frames(d, n, profile.fps) for d, n in zip(drafts, frames, strict=True)]
        drafts = [self._in_look(d, i, seed, look) for i, d in enumerate(drafts)]
        ids = [f"{self.suite}.{self.name}.{mode}.{i:04d}" for i in range(count)]
        return [
            Case(
                id=ids[i],
                suite=self.suite,
                probe=self.name,
                mode=mode,
                prompt=f"{d.prompt} {family(d.family).setting(d.params)}",
                size=sizes[i],
                fps=profile.fps,
                frames=frames[i],
                given=given_count(mode, frames[i], profile.given),
                seed=seed * 100_000 + i,
                scene=d.scene,
                expect=dict(d.expect),
                cluster=f"{self.suite}.{self.name}.{seed}.{i // 2}",
                twin=ids[i ^ 1] if (i ^ 1) < count else "",
            )
            for i, d in enumerate(drafts)
        ]

    def score(self, case: Case, video: Video, tracks: Tracks) -> Score:
        """Return the score of a clip: first the general conditions, then `judge`."""
        try:
            if len(video) < 5 and not self.single_image:
                raise UnjudgeableError(f"the clip has {len(video)} frames, at least 5 are needed")
            if tracks.unsure:
                raise UnjudgeableError(tracks.unsure)
            _given_kept(case, video)
            white = neutral(video)
            verdict = self.judge(case, white if self.in_white_light else video, tracks)
        except UnjudgeableError as reason:
            return Score(None, _lost_in_ground(case, tracks) or str(reason))
        if verdict.value < 0.5 and (
            lost := _lost_in_ground(case, tracks) or _merged_with_ground(case, white.frames, tracks)
        ):
            # What failed may be the tracker: a condition of the picture is never a wrong answer.
            return Score(None, lost)
        parts = {k: float(v) for k, v in verdict.components.items()}
        if self.continued and case.mode == "v2v":
            parts |= continuation(case, video)
        return Score(float(np.clip(verdict.value, 0, 1)), components=parts)


def given_count(mode: Mode, frames: int, given: int) -> int:
    """Return how many frames of a case of `frames` are given in a mode; given: those of v2v. At least a third of a clip is left to make."""
    match mode:
        case "t2v":
            return 0
        case "i2v":
            return 1
        case "v2v":
            return given
        case "extend_back" | "loop":
            return min(given, max(1, 2 * frames // 3))
        case "connect":
            return 2 * min(given, max(1, frames // 3))
        case "interpolate":
            return 2
        case "edit":
            return frames


def _lost_in_ground(case: Case, tracks: Tracks) -> str:
    """Return that the ground has the hue of something that the prompt names, "" where it has not."""
    named = named_colours(case.prompt)
    lost = [colour for colour in tracks.ground_colours if colour in named]
    return f"the ground has the hue of what the prompt calls {' and '.join(lost)}" if lost else ""


def _merged_with_ground(case: Case, frames: Frames, tracks: Tracks) -> str:
    """Return that a part of something that the prompt names may be taken for ground, "" where none may. frames: in white light.

    An object's shaded side, or its reflection, has the hue beside its own: on a ground of that hue it counts as ground.
    """
    named = named_colours(case.prompt)
    present = ground(frames).present
    colours = list(COLOURS)
    for k, own in enumerate(colours):
        if own not in named or not (ids := tracks.of(own)):
            continue
        # The object itself, not a fragment: most of its colour.
        i = max(ids, key=lambda j: float(tracks.area[j].sum()))
        seen = np.flatnonzero(tracks.visible[i])
        for other in (k - 1, (k + 1) % len(colours)):
            if present[other] and colours[other] not in named and len(seen):
                part = taken_for_ground(frames, tracks.box[i], colours[other])
                if (part[seen] >= _LEAST_PART * tracks.area[i, seen]).mean() >= _LEAST_MERGED:
                    return f"a part of what the prompt calls {own} may be taken for the {colours[other]} ground"
    return ""


def continuation(case: Case, video: Video) -> dict[str, float]:
    """Return the agreement of motion and pixels after the conditioning frames with the true clip, a variant of Physics-IQ.

    Components without influence on the score; empty when nothing moves in either clip. Source: after Motamed et al. 2025.
    """
    true = _true_frames(_scene_key(case))[case.given :]
    generated = resize(resample(video, case.fps, case.frames).frames, case.size)[case.given :]
    if len(generated) != len(true):
        return {}
    a, b = motion_overlap.motion_masks(true), motion_overlap.motion_masks(generated)
    if not (a | b).any():
        return {}
    return {
        "motion_spatial_iou": motion_overlap.spatial_iou(a, b),
        "motion_spatiotemporal_iou": motion_overlap.spatiotemporal_iou(a, b),
        "motion_weighted_spatial_iou": motion_overlap.weighted_spatial_iou(a, b),
        "true_clip_mse": motion_overlap.mean_squared_error(true, generated),
    }


def _scene_key(case: Case) -> str:
    """Return the case without the fields that its frames do not depend on: all samples of a prompt share them."""
    return json.dumps(replace(case, id="any", twin="", seed=0, sample=0).to_json())


@clip_cache(1 << 27)
def _true_frames(case_json: str) -> Frames:
    case = Case.from_json(json.loads(case_json))
    scene = scene_of(case.scene, (case.frames - 1) / case.fps)
    return clip(scene, case.size, case.fps, case.frames).video.frames


def _given_kept(case: Case, video: Video) -> None:
    """Check that the clip has the conditioning frames where they belong."""
    if not (keeps := case.keeps):
        return
    given = given_frames(case)
    # Of both ends the first and the last frame; the clip may have another frame rate: frames of the same moment are compared.
    ends = {0, len(given) - 1, *(j for k in range(1, len(keeps)) if keeps[k] > keeps[k - 1] + 1 for j in (k - 1, k))}
    at = kept_at(case, len(video), video.fps)
    where = "begin with them" if keeps == tuple(range(case.given)) else "have them where they belong"
    for k in ends:
        if likeness(given[k], video.frames[at[k]]) < 0.8:
            raise UnjudgeableError(
                f"the given frames were not kept: a clip must {where}, and no crop, padding, resize, shift or zoom of them "
                f"was found either; return them at {case.size[1]}x{case.size[0]}, or set profile.width and .height to the model's own size"
            )


def likeness(a: Frames, b: Frames) -> float:
    """Return the correlation of two images [H, W, 3] at 32 x 32 pixels, -1 to 1.

    Each row's mean is subtracted first: a common floor and sky would correlate any two scenes.
    """
    x, y = (_deviation(image) for image in (a, b))
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / norm if norm > 1e-6 else float(np.allclose(x, y))


def _deviation(image: Frames) -> Floats:
    small = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA).astype(float)
    return np.asarray((small - small.mean(axis=1, keepdims=True)).ravel())
