"""Options of sampling and of training, without the packages that these need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

from sora_eval.errors import ConfigError, unknown
from sora_eval.processes import cores
from sora_eval.settings import Settings, option
from sora_eval.world.families import BUNDLED
from sora_eval.world.looks import LOOKS, PLAIN

CHECKPOINTS: tuple[str, ...] = ("base", "4x", "42x")
"""Bundled transformers, by training compute; the last one is the default."""
STAGES: tuple[str, ...] = ("data", "autoencoder", "decoder", "latents", "words", "transformer")
GRID = 16
"""Pixels per patch: heights and widths are multiples of it (the autoencoder's stride of 8 times the patch of 2 latents)."""
LARGEST = 1024
"""Side of the largest square that is sampled, in pixels."""
EXPORT = "export"
"""Write the current weights of a transformer's training; not part of "all"."""
DISTIL = "distil"
"""Distil a checkpoint into one that samples in fewer steps; not part of "all"."""
WORDS, TRUNK = "words", "trunk"


@dataclass(frozen=True)
class DataPlan(Settings):
    """Training clips."""

    GROUP: ClassVar[str] = "data"

    folder: str = "${out}/data"
    """Clips of the world, a few gigabytes: `shards` of `size` clips."""
    shards: int = option(280, least=1)
    """Files of clips to render, and the most that a training reads of this set."""
    size: int = option(64, least=1)
    """Clips per file."""
    looks: tuple[str, ...] = option((PLAIN,), example="studio,indoor,outdoor")
    """Looks that are dealt out in turn over the clips: plain, studio, indoor, outdoor."""
    families: tuple[str, ...] = option((), example="two_places,to_and_fro")
    """Scene families, as many clips of each; by default those of the four suites, simple and hard ones more often."""
    more: tuple[str, ...] = option((), example="data/looks")
    """Folders of further sets, such as of other looks, which training reads whole as well."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: a look is unknown, or there is none.
        """
        super().__post_init__()
        for look in self.looks:
            if look not in (PLAIN, *LOOKS):
                raise unknown("look of data.looks", look, (PLAIN, *LOOKS))
        for name in self.families:
            if name not in BUNDLED:
                raise unknown("scene family of data.families", name, BUNDLED)
        if not self.looks:
            raise ConfigError("data.looks is empty: it names the looks of the training clips, plain by default")


@dataclass(frozen=True)
class AutoencoderPlan(Settings):
    """Training of the video autoencoder."""

    GROUP: ClassVar[str] = "autoencoder"

    steps: int = option(3000, least=1)
    """Optimiser steps."""
    decay: int = option(1000, least=0)
    """Last steps, over which the learning rate falls to 0."""
    rate: float = option(0.008, above=0)
    """Learning rate of Muon."""
    initial: str = ""
    """File of an autoencoder from whose weights a new run begins; a larger network takes over what fits, the rest begins anew."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: a value is out of range.
        """
        super().__post_init__()
        if self.decay > self.steps:
            raise ConfigError(f"autoencoder.decay must be in 0..{self.steps}, got {self.decay}")


@dataclass(frozen=True)
class DecoderPlan(Settings):
    """Finetuning of the decoder alone, with a falling learning rate: latents stay as they are."""

    GROUP: ClassVar[str] = "decoder"

    steps: int = option(2500, least=1)
    """Optimiser steps."""
    rate: float = option(0.006, above=0)
    """Learning rate."""


@dataclass(frozen=True)
class TransformerPlan(Settings):
    """Training of the diffusion transformer."""

    GROUP: ClassVar[str] = "transformer"

    name: str = ""
    """Folder of the run in `out`; by default base after one unit, 4x after four, square of the ablation."""
    units: int = option(0, least=0)
    """Compute of the run in units of `unit` steps; its last fifth is the decay, branched off the trunk. 0 is the trunk itself."""
    unit: int = option(875, least=5)
    """Steps of a unit."""
    trunk_units: int = option(42, least=1)
    """Units of the trunk."""
    words: int = option(3000, least=1)
    """Steps of stage=words before it: the text encoder alone is trained on captions."""
    start: str = ""
    """Weights from which a trunk resumes whose state was lost: what stage=export wrote, or a checkpoint."""
    initial: str = ""
    """Checkpoint from whose weights a new run begins at step 0, of other sizes, words or latents too: what fits is taken over, embeddings
    by their words, the rest begins anew."""
    branches: tuple[int, ...] = option((1, 4, 42), example="1,4")
    """Units at which the trunk's state is kept for branches."""
    tokens: int = option(1280, least=16)
    """Patches per process and step."""
    square: bool = False
    """The ablation: every clip cropped to its middle square."""
    compiled: bool = True
    """torch.compile, block by block."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: a value is out of range.
        """
        super().__post_init__()
        if any(units < 1 for units in self.branches):
            raise ConfigError(
                f"transformer.branches must be a list of whole numbers above 0, got {list(self.branches)}"
            )


@dataclass(frozen=True)
class DistilPlan(Settings):
    """Distillation of a checkpoint: the same network, sampled in fewer steps and without guidance."""

    GROUP: ClassVar[str] = "distil"

    teacher: str = CHECKPOINTS[-1]
    """Checkpoint whose clips are learnt: base, 4x, 42x or the path of a safetensors file."""
    sampling_steps: int = option(4, least=1)
    """Calls of the network per clip afterwards; those of the teacher must be a multiple of it."""
    steps: int = option(1100, least=1)
    """Optimiser steps, over which the learning rate falls to 0; a batch has transformer.tokens patches."""
    rate: float = option(0.008, above=0)
    """Learning rate of Muon; AdamW's has the recipe's ratio to it."""


@dataclass(frozen=True)
class Plan(Settings):
    """A whole training."""

    out: str = "runs/reference"
    """Folder of states, curves and weights."""
    recipe: str = "default"
    """Sizes of the networks, rates, losses and curriculum: default, or the path of a folder with autoencoder.yaml and transformer.yaml."""
    seed: int = option(0, least=0)
    """Seed of data and training."""
    workers: int | None = option(None, least=1)
    """Processes that render and train together; null for one per core."""
    save_s: float = option(120.0, above=0)
    """Seconds between two saves of the state; a killed run resumes from the last one."""
    data: DataPlan = DataPlan()
    """Folder and number of the training clips."""
    autoencoder: AutoencoderPlan = AutoencoderPlan()
    """Length and learning rate of the video autoencoder's training."""
    decoder: DecoderPlan = DecoderPlan()
    """Finetuning of the decoder alone, after the autoencoder: length and falling learning rate; latents stay as they are."""
    transformer: TransformerPlan = TransformerPlan()
    """Compute, branches and batch of the diffusion transformer's training."""
    distil: DistilPlan = DistilPlan()
    """Distillation of a checkpoint to fewer sampling steps: the teacher, its length and learning rate."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return the plan of plain values.

        Raises:
            ConfigError: an option is unknown, a value can't be used, or transformer.name can't be that of a branch.
        """
        plan = super().of(values)
        name, units = plan.transformer.name, plan.transformer.units
        if Path(name).name != name or (units and name in (*STAGES, TRUNK, "..")):
            raise ConfigError(
                f"transformer.name must be the name of a folder, and none of a stage or the trunk, got {name}"
            )
        if name and not units:
            raise ConfigError(
                f"transformer.name={name} is of a branch: the trunk (transformer.units=0) is called {TRUNK}"
            )
        return plan

    @property
    def folder(self) -> Path:
        """`out` as a path."""
        return Path(self.out)

    @property
    def processes(self) -> int:
        """Number of processes."""
        return self.workers or cores()


@dataclass(frozen=True)
class Options(Settings):
    """Options of the sampler."""

    steps: int = option(8, least=1)
    """Calls of the network (with guidance, of twice the batch)."""
    guidance: float = 3.0
    """Classifier-free guidance scale of text and image conditioning; 1 is none."""
    shift: float = option(3.0, above=0)
    """Timestep shift: above 1, more steps near pure noise, where layout is decided."""
    guided_until: float = option(0.45, above=0)
    """Noise level, 0 is noise and 1 is clean, from which on guidance is left out: late steps draw detail, at half the price without
    (guidance interval, arXiv:2404.07724)."""
    history: float = 1.0
    """Guidance scale of conditioning frames (history guidance, arXiv:2502.06764); 1 is none. Above 1, errors pile up in long videos, and
    extensions gain nothing."""
    history_level: float = option(0.9, above=0, most=1)
    """Noise level of generated context frames when a video is extended window by window, 1 is clean. Conditioned on a level below 1, the
    network corrects accumulated errors instead of copying them (Diffusion Forcing, arXiv:2407.01392). Frames of the user are at 1."""
    order: int = option(2, least=1, most=2)
    """Order of the solver: 2 is Adams-Bashforth; 1 is Euler, for distilled checkpoints, each of whose steps is learnt by itself."""


@dataclass(frozen=True)
class CheckpointOptions(Settings):
    """A checkpoint, and options of the sampler; null for the checkpoint's own: those that it was distilled for, else the defaults."""

    steps: int | None = option(None, least=1)
    """Calls of the network (with guidance, of twice the batch); null: the checkpoint's own, 8 unless it was distilled for fewer."""
    guidance: float | None = None
    """Classifier-free guidance scale of text and image conditioning, 1 is none; null: the checkpoint's own, 3, or 1 of a distilled one."""
    shift: float | None = option(None, above=0)
    """Timestep shift: above 1, more steps near pure noise, where layout is decided; null: the checkpoint's own, 3."""
    guided_until: float | None = option(None, above=0)
    """Noise level, 0 is noise and 1 is clean, from which on guidance is left out: late steps draw detail, at half the price without
    (guidance interval, arXiv:2404.07724); null: the checkpoint's own, 0.45."""
    history: float | None = None
    """Guidance scale of conditioning frames (history guidance, arXiv:2502.06764), 1 is none; null: the checkpoint's own, 1. Above 1,
    errors pile up in long videos, and extensions gain nothing."""
    history_level: float | None = option(None, above=0, most=1)
    """Noise level of generated context frames when a video is extended window by window, 1 is clean. Conditioned on a level below 1, the
    network corrects accumulated errors instead of copying them (Diffusion Forcing, arXiv:2407.01392); null: the checkpoint's own, 0.9."""
    order: int | None = option(None, least=1, most=2)
    """Order of the solver, 2 (Adams-Bashforth) or 1 (Euler); null: the checkpoint's own, 2, or 1 of a distilled one."""
    checkpoint: str = CHECKPOINTS[-1]
    """base, 4x, 42x or the path of a safetensors file."""
    expanded: bool = True
    """Whether prompts are expanded to descriptive captions before they are encoded; those of the suites are descriptive and stay as they
    are."""

    def sampling(self, own: Mapping[str, Any]) -> Options:
        """Return the options to sample with; own: those of the checkpoint, where they differ from the defaults."""
        asked = {f.name: value for f in fields(Options) if (value := getattr(self, f.name)) is not None}
        return Options.of({**own, **asked})


@dataclass(frozen=True)
class ReferenceOptions(CheckpointOptions):
    """Options of the reference generator on suites."""

    GROUP: ClassVar[str] = "generator"

    short_side: int | None = option(64, least=GRID, most=LARGEST)
    """Pixels of the shorter side that is sampled; null for the size of the case."""
    noise: int = option(0, least=0)
    """Another number draws other noise, and so other clips, for the same cases: the spread of a checkpoint."""


@dataclass(frozen=True)
class SampleOptions(Settings):
    """What `sora-eval sample` generates, and from what."""

    task: str = "text_to_video"
    """text_to_video, text_to_image, image_to_video, extend, loop, long, edit, connect or actions."""
    prompt: str = ""
    """The text prompt."""
    input: str | None = None
    """A picture or a video, for the tasks that begin with one; connect needs a second."""
    second: str | None = None
    """The second video of connect."""
    frames: int | None = option(None, least=1)
    """Frames of the result, at 8 per second (null: 17, of a long video 480), or, to extend, how many more (null: 16)."""
    height: int | None = option(None, least=1)
    """Pixels; null: 64, or that of a given picture or video."""
    width: int | None = option(None, least=1)
    """Pixels; null: 64, or that of a given picture or video."""
    seed: int = option(0, least=0)
    """Seed of the noise; another one gives a variation."""
    count: int = option(1, least=1)
    """Videos to write, seed after seed."""
    strength: float = 0.8
    """How much an edit may change, 0 to 1."""
    backward: bool = False
    """Extend before the video instead of after it."""
    actions: tuple[str, ...] = option((), example="forward,turn left", repeats=True)
    """One per frame: none, forward, turn left, turn right, break, place."""
    out: str = "sample.mp4"
    """File to write; the ending gives the format: .mp4, .mkv (lossless), .gif, or .png (a contact sheet for a video)."""
