"""The open-vocabulary tracker: what the case's words name, found by a detector of words and followed by masks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from typing import ClassVar

import numpy as np

from sora_eval.encoders import clip
from sora_eval.encoders.names import TEXT_IMAGE_ENCODERS
from sora_eval.encoders.world_clip import NAME as WORLD_CLIP
from sora_eval.errors import ConfigError, unknown
from sora_eval.tracking.labelled import labelled_tracks
from sora_eval.tracking.natural import answers
from sora_eval.tracking.natural import weights as natural
from sora_eval.tracking.natural.camera import camera_path
from sora_eval.tracking.natural.cuts import cut_probability
from sora_eval.tracking.natural.detector import Detection
from sora_eval.tracking.open_vocab import changes, detectors, hub, segmenter
from sora_eval.tracking.open_vocab import depth as depths
from sora_eval.tracking.open_vocab.following import Followed, linked, with_boxes, with_masks
from sora_eval.tracking.open_vocab.words import colour_of, phrases_of, states_of
from sora_eval.types import Case, Finding, Floats, Tracks, Video, digest

BOXES = "boxes"
"""The value of the option `masks` that takes each box as its mask."""
CORNERS = "corners"
"""Name of the camera's measure where the natural tracker's weights are missing: probes then take the picture's corners."""

NAMED = "named things"
"""Question whether anything that the case names was found."""


@dataclass(frozen=True)
class OpenVocabTracker:
    """Boxes of named things by Grounding DINO or OWLv2, masks by SAM 2, depth by Depth Anything; states by a text and image encoder.

    Raises:
        AbsentModelError: a network is neither here nor to be had, or transformers isn't installed.
        ConfigError: an option is out of its range, or a folder holds another kind of network.
    """

    name: ClassVar[str] = "open_vocab"
    version: ClassVar[int] = 1

    detector: str = ""
    """Folder or hub name of Grounding DINO or OWLv2."""
    masks: str = BOXES
    """Folder or hub name of SAM 2, or boxes: each box is its mask."""
    depth: str | None = None
    """Folder or hub name of Depth Anything; None for no depth."""
    states: str = WORLD_CLIP
    """Encoder that compares states in words with pictures: clip-b-32 or clip-l-14; the bundled one can't."""
    states_path: str | None = None
    """File of its weights, None for where they are looked for."""
    sure: float | None = None
    """Score from which on a box is what is asked for, 0 to 1; None for the detector's default."""
    unsure: float | None = None
    """Score from which on a box may be it; None for the detector's default."""
    shift: float | None = None
    """Least shift of the log-odds of the words for a state, above 0; None for no verdict on states: no threshold was measured yet."""
    looked: int = 24
    """Frames that the detector looks at, at most."""
    device: str = "auto"
    """cpu, cuda, cuda:N, or auto: a GPU where there is one."""

    def __post_init__(self) -> None:
        """Fail early: before a clip is made that can't be judged."""
        hub.transformers()
        if not self.detector:
            raise ConfigError(
                f"{detectors.OPTION}: name a folder or a hub name of Grounding DINO or OWLv2, such as IDEA-Research/grounding-dino-tiny"
            )
        if not 0 < self._unsure <= self._sure <= 1:
            raise ConfigError(
                f"tracker.unsure={self._unsure} and tracker.sure={self._sure}: 0 < unsure <= sure <= 1 is needed"
            )
        if self.looked < 2 or (self.shift is not None and not self.shift > 0):
            raise ConfigError(f"tracker.looked={self.looked} must be 2 or more, tracker.shift={self.shift} above 0")
        if self.states not in TEXT_IMAGE_ENCODERS:
            raise unknown("text and image encoder", self.states, TEXT_IMAGE_ENCODERS)
        assert self._models is not None
        assert self._encoder_hash is not None

    @cached_property
    def _detector(self) -> hub.HubModel:
        return hub.find_model(detectors.OPTION, self.detector, tuple(detectors.KINDS))

    @cached_property
    def _models(self) -> dict[str, hub.HubModel]:
        """The networks by option."""
        found = {"detector": self._detector}
        if self.masks != BOXES:
            found["masks"] = hub.find_model("tracker.masks", self.masks, segmenter.KINDS)
        if self.depth:
            found["depth"] = hub.find_model("tracker.depth", self.depth, depths.KINDS)
        return found

    @property
    def _sure(self) -> float:
        return detectors.KINDS[self._detector.kind].sure if self.sure is None else self.sure

    @property
    def _unsure(self) -> float:
        return detectors.KINDS[self._detector.kind].unsure if self.unsure is None else self.unsure

    @cached_property
    def _encoder_hash(self) -> str:
        """Encoder of states with a hash of its weights, its name alone where it can't judge."""
        return self.states if self.states == WORLD_CLIP else _encoder(self.states, self.states_path).protocol

    @cached_property
    def _camera(self) -> tuple[natural.NaturalWeights, ...]:
        """Weights that find the camera's motion and cuts, () where one is missing."""
        files = (natural.XFEAT, natural.TRANSNET)
        try:
            for file in files:
                natural.locate(file)
        except natural.AbsentNaturalWeightsError:
            return ()
        return files

    @property
    def fingerprint(self) -> str:
        """Hashes of all networks, what the camera is measured by, and the thresholds."""
        networks = [f"{option} {model.protocol}" for option, model in self._models.items()]
        networks += [f"masks {BOXES}"] if self.masks == BOXES else []
        camera = "+".join(f"{file.name}@{file.sha256[:8]}" for file in self._camera) or CORNERS
        options = [self._sure, self._unsure, self.shift, self.looked]
        constants = [changes.TEMPLATES, changes.UNRELATED, sorted([*k, v] for k, v in answers.THRESHOLDS.items())]
        return f"{' '.join(networks)} states {self._encoder_hash} camera {camera} thresholds@{digest([options, constants])[:8]}"

    def track(self, video: Video, case: Case | None) -> Tracks:
        """Return what the case names, with labels, and the findings on the clip; in doubt nothing but the reason."""
        phrases = phrases_of(case)
        device = hub.chosen_device(self.device)
        step = max(1, -(-len(video) // self.looked))
        found = {
            k: detectors.detect(self._detector, device, video.frames[k], phrases, self._unsure, self._sure)
            for k in range(0, len(video), step)
        }
        followed = self._followed(video, found, step, device)
        things = followed.things
        labels = [thing.label for thing in things]
        box = np.array([thing.box for thing in things]).reshape(len(things), len(video), 4)
        area = np.array([thing.area for thing in things]).reshape(len(things), len(video))
        tracks = labelled_tracks(labels, box, video.size, video.fps, area)
        # Natural things are asked for by label: "a red cup" is no "red ball".
        natural_case = case is not None and "kind" in case.expect
        colour = tuple("" if natural_case else colour_of(label) for label in labels)
        xy = np.array([thing.xy for thing in things]).reshape(len(things), len(video), 2)
        tracks = replace(
            tracks, colour=colour, xy=np.where(tracks.visible[..., None], xy, np.nan), unsure=followed.doubt
        )
        if "depth" in self._models and len(tracks):
            near = self._nearness(video, tracks, step, device)
            tracks = replace(tracks, shape={**tracks.shape, "nearness": near})
        return replace(tracks, findings=self._findings(video, tracks, case))

    def _followed(self, video: Video, found: dict[int, list[Detection]], step: int, device: str) -> Followed:
        tracks, doubt = linked(video, found, self._sure)
        if doubt:
            return Followed((), doubt)
        if self.masks == BOXES:
            return with_boxes(tracks, len(video), step)
        follow = partial(segmenter.masks_through, self._models["masks"], device, video.frames)
        return with_masks(tracks, found, self._sure, follow)

    def _nearness(self, video: Video, tracks: Tracks, step: int, device: str) -> Floats:
        """Return the nearness [N, T] of each thing, NaN in frames that were not looked at."""
        near = np.full(tracks.visible.shape, np.nan)
        for k in range(0, len(video), step):
            ranks = depths.nearness_map(self._models["depth"], device, video.frames[k])
            near[:, k] = [depths.nearness(ranks, box) for box in tracks.box[:, k]]
        return near

    def _findings(self, video: Video, tracks: Tracks, case: Case | None) -> dict[str, Finding]:
        # Labels are what it knows, also of a clip that shows nothing of what is named.
        found = {NAMED: Finding("yes" if len(tracks) else "no", 1.0)}
        if self._camera and len(video) > 1:
            path = camera_path(video.frames)
            found |= answers.decided_camera(answers.camera_guesses(path, cut_probability(video.frames)))
        if asked := states_of(case):
            found[changes.CHANGE] = self._change(video, tracks, asked)
        return found

    def _change(self, video: Video, tracks: Tracks, asked: tuple[str, str, str]) -> Finding:
        if self.states == WORLD_CLIP:
            why = f"{WORLD_CLIP}, the bundled encoder, knows the simulated world's words and pictures alone: set tracker.states=clip-b-32"
            return Finding("", 0.0, why)
        if self.shift is None:
            why = "words against pictures have no threshold that was measured on footage: measure one, and set tracker.shift"
            return Finding("", 0.0, why)
        region = changes.region_of(tracks)
        if region is None:
            return Finding("", 0.0, tracks.unsure or f"no {asked[0]} was found")
        return changes.change_finding(video.frames, region, asked, _encoder(self.states, self.states_path), self.shift)


@cache
def _encoder(name: str, path: str | None) -> clip.TextImageEncoder:
    return clip.load(name, path)
