"""Options of every command: a dataclass each, with types, defaults, ranges and documentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from sora_eval.audit import BUNDLED_SCORERS
from sora_eval.config.suites import SuiteConfig
from sora_eval.errors import ConfigError
from sora_eval.fidelity.options import FidelityOptions
from sora_eval.generator.devices import check_devices
from sora_eval.generator.reference.options import CheckpointOptions, Plan, SampleOptions
from sora_eval.prompting.options import PromptFile, PromptOptions
from sora_eval.runs import sharding
from sora_eval.settings import REQUIRED, Settings, option
from sora_eval.stats.gate import GatePlan
from sora_eval.stats.samples import MOST
from sora_eval.types import Profile
from sora_eval.video import VideoOptions
from sora_eval.world.looks import LOOKS, PLAIN, PLAIN_WORLD, LookOptions


@dataclass(frozen=True)
class CasesConfig(Settings):
    """sora-eval cases: export prompts, given frames and a manifest template."""

    DEFAULTS: ClassVar[tuple[str, ...]] = ("suite: smoke", "profile: small")

    suite: SuiteConfig = option()
    """Which cases to export."""
    profile: Profile = option()
    """Size and length of the clips."""
    world: LookOptions = PLAIN_WORLD
    """Look of the scenes."""
    cases: str | None = None
    """Stored cases in place of suite, profile, seed and world: a cases.jsonl, as a run folder and an export hold it, or their
    folder. What this version no longer knows of it is listed on the terminal."""
    prompts: PromptFile = PromptFile()
    """Prompts of a file in place of a suite."""
    out: str | None = None
    """Folder to write to; null: cases-SUITE-PROFILE-SEED, with the look after the profile unless it is plain."""
    seed: int = option(0, least=0)
    """Seed of the scenes."""
    samples: int | None = option(None, least=1, most=MOST)
    """Videos wanted per case, each with a seed of its own; the manifest's column sample holds its number. null: as many as the cases of a
    file have, else 1."""
    workers: int | None = option(None, least=1)
    """Processes; null: one per core."""


@dataclass(frozen=True)
class GenerateConfig(Settings):
    """sora-eval generate: generate the videos of a suite and keep them as MP4."""

    DEFAULTS: ClassVar[tuple[str, ...]] = ("generator: careless", "suite: smoke", "profile: small")

    generator: dict[str, Any] = option()
    """`_target_`, the generator's class, and its options."""
    suite: SuiteConfig = option()
    """Which cases to generate."""
    profile: Profile = option()
    """Size and length of the clips."""
    world: LookOptions = PLAIN_WORLD
    """Look of the scenes."""
    cases: str | None = None
    """Stored cases in place of suite, profile, seed and world: a cases.jsonl, as a run folder and an export hold it, or their
    folder. What this version no longer knows of it is listed on the terminal."""
    prompts: PromptOptions = PromptOptions()
    """Prompts of a file in place of a suite, and how prompts are rewritten for the model."""
    out: str | None = None
    """Folder to write to; null: videos-GENERATOR-SUITE-PROFILE-SEED, with the look after the profile unless it is plain."""
    crf: int = option(20, least=0, most=51)
    """H.264 constant rate factor, 0 for lossless."""
    seed: int = option(0, least=0)
    """Seed of the scenes."""
    samples: int | None = option(None, least=1, most=MOST)
    """Clips per case, each with a seed of its own; null: as many as the cases of a file, or a folder of videos, have, else 1."""
    workers: int | None = option(None, least=1)
    """Processes; null: one per core. Generators that can't be copied run in one."""


@dataclass(frozen=True)
class RenderConfig(Settings):
    """sora-eval render: clips of the simulated world with their truth."""

    DEFAULTS: ClassVar[tuple[str, ...]] = ("profile: small",)

    profile: Profile = option()
    """Size and length of the clips."""
    looks: tuple[str, ...] = option((PLAIN,), choices=(PLAIN, *LOOKS), example="plain,indoor")
    """Looks of the clips, dealt out in turn over a family's clips: [plain,studio,indoor,outdoor] for an even mixture."""
    family: str = "all"
    """A scene family (sora-eval list families), or all."""
    count: int = option(8, least=1)
    """Clips per family."""
    out: str = "clips"
    """Folder to write to."""
    seed: int = option(0, least=0)
    """Clip i of a family is drawn from (seed, family, i). Probes draw from other streams: no training clip is a test clip."""
    truth: str = "states"
    """Truth beside each clip: none, states (poses, cameras, events) or full (masks and depth as well)."""
    workers: int | None = option(None, least=1)
    """Processes; null for one per core."""


@dataclass(frozen=True)
class RunConfig(Settings):
    """sora-eval run: generate the cases of a suite, score the videos, write a report."""

    DEFAULTS: ClassVar[tuple[str, ...]] = ("generator: oracle", "tracker: world", "suite: smoke", "profile: small")

    generator: dict[str, Any] = option()
    """`_target_`, the generator's class, and its options."""
    tracker: dict[str, Any] = option()
    """`_target_`, the tracker's class, and its options."""
    suite: SuiteConfig = option()
    """Which cases the run consists of."""
    profile: Profile = option()
    """Size and length of the clips."""
    world: LookOptions = PLAIN_WORLD
    """Look of the scenes; another one than plain is part of the run folder's name (smoke-small+look=indoor)."""
    cases: str | None = None
    """Stored cases in place of suite, profile, seed and world: a cases.jsonl, as a run folder and an export hold it, or their
    folder. What this version no longer knows of it is listed among the run's problems."""
    out: str | None = None
    """Run folder; null: runs/SUITE-PROFILE/MODEL/SLUG/SEED, for example runs/smoke-small/reference/4x-1c2f0a/0. SLUG is a checkpoint's stem
    and a hash of its bytes, a folder's name and a hash of its path, "default" without either; changed options are added to it
    (4x-1c2f0a+steps=8), and to SUITE-PROFILE (smoke-small+probes=relation), as is another tracker. suite.count is not: the same run with
    a higher count resumes in its folder and grows, and so does any run whose cases are a superset for the same model."""
    replace: bool = False
    """Whether a folder may be taken that holds another run: other or fewer cases, or another generator of that name."""
    shard: Any = None
    """A part of the cases, I/N: whole scenes, dealt out in turn. Shards of one run may share a folder, and the last one writes the report;
    or each has its own, and sora-eval merge puts them together."""
    references: tuple[str, ...] | None = option(None, example="frozen")
    """Generators to compare with: the oracle and controls that no metric may reward; [] for none. null: oracle, frozen, shuffled and
    mirrored; where a model is scored at a large size (10 million pixels a clip, such as profile=large), those of them whose clips are all
    cached, for making them would take longer than the rest of the run."""
    seed: int = option(0, least=0)
    """Seed of the scenes and of the generator's noise."""
    samples: int | None = option(None, least=1, most=MOST)
    """Clips per case that differ in the generator's seed. Scores are means over them, with intervals clustered by scene; the spread between
    samples and best of K stand apart. References are sampled once, fidelity is that of the first sample. It may grow in a folder.
    null: as many as a folder of videos has (column sample of its manifest), else 1."""
    workers: int | None = option(None, least=1)
    """Processes; null for one per core that this process may use, in a sweep the job's share of them."""
    devices: Any = None
    """Devices that the model runs on, in a process each: all for every GPU (of those in CUDA_VISIBLE_DEVICES), or a list such as [0,1] or
    [cuda:0,cuda:0]; the generator gets cuda:0, cuda:1, ... as its option device. null: it runs once, in the process of the run."""
    fidelity: FidelityOptions | None = option(FidelityOptions(), example="frechet")
    """Fidelity metrics; fidelity=null for none. An encoder without weights is a problem of the run (sora-eval weights list)."""
    video: VideoOptions = VideoOptions()
    """How clips are stored."""
    prompts: PromptOptions = PromptOptions()
    """Prompts of a file in place of a suite, and how prompts are rewritten before they are sent to the model."""
    tracking: bool = True
    """Whether to measure tracking metrics: HOTA, MOTA, IDF1, identity switches, TAP-Vid's point metrics, re-identification and exit errors
    against the true clip where frames are given (i2v, v2v); fragments, switches and counts in t2v."""
    players: int = option(3, least=0)
    """Clips shown per probe and model in report.html, the worst first."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: a value can't be used.
        """
        super().__post_init__()
        if self.shard is not None:
            sharding.parse(str(self.shard))
        check_devices(self.devices)

    @property
    def part(self) -> tuple[int, int] | None:
        """(i, n) of the shard, None for the whole run."""
        return None if self.shard is None else sharding.parse(str(self.shard))


@dataclass(frozen=True)
class PlanConfig(RunConfig):
    """sora-eval plan: cases, clips, disk, memory and time of a run before it starts; the options are those of run."""

    model_seconds: float | None = option(None, above=0)
    """Seconds that the model takes for a clip; null: its time is left out."""
    measured: int = option(3, least=1)
    """Clips that are rendered, tracked and scored to measure this machine's rates."""


@dataclass(frozen=True)
class WatchConfig(RunConfig):
    """sora-eval watch: score each checkpoint of a training as it appears; further options are those of run, out is not.

    A pattern of files may stand alone: sora-eval watch 'ckpts/*.safetensors'.
    """

    DEFAULTS: ClassVar[tuple[str, ...]] = (
        "generator: reference",
        "tracker: world",
        "suite: smoke",
        "profile: small",
    )

    checkpoints: Any = REQUIRED
    """Pattern of checkpoints, files or folders, or a list of them: ckpts/*.safetensors. Each one is generator.checkpoint of a run."""
    once: bool = False
    """Whether to end when all checkpoints that are there are scored."""
    idle_s: float | None = option(None, above=0)
    """End after so many seconds without a new checkpoint; null: wait for ever."""
    poll_s: float = option(10.0, above=0)
    """Seconds between looks at the files. A checkpoint is scored when it is whole and unchanged from one look to the next."""
    baseline: str | None = None
    """Folder of a baseline, or of a run, that each checkpoint is compared with as sora-eval gate does."""
    stop_on: str | None = option(None, choices=("gate",))
    """gate: end with exit code 1 at the first checkpoint that is worse than the baseline."""
    gate: GatePlan = GatePlan()
    """Options of the gate."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: a value can't be used.
        """
        super().__post_init__()
        if not self.patterns or not all(isinstance(p, str) and p for p in self.patterns):
            raise ConfigError(f"checkpoints must be a pattern of files or a list of them, got {self.checkpoints}")
        if self.out is not None:
            raise ConfigError(f"out={self.out} is the folder of one run, and each checkpoint has its own: leave it out")
        if self.shard is not None:
            raise ConfigError("shard is for one large run: leave it out")
        if self.stop_on is not None and self.baseline is None:
            raise ConfigError("stop_on=gate needs a baseline to compare with: set baseline=FOLDER")
        if "checkpoint" not in self.generator:
            raise ConfigError(
                f"the generator {self.generator.get('_target_')} has no option checkpoint: choose one whose weights it names"
            )

    @property
    def patterns(self) -> tuple[Any, ...]:
        """The patterns of checkpoints."""
        return tuple(self.checkpoints) if isinstance(self.checkpoints, list | tuple) else (self.checkpoints,)


@dataclass(frozen=True)
class ValidationFidelity(Settings):
    """Validation of fidelity metrics."""

    GROUP: ClassVar[str] = "fidelity"

    count: int = option(48, least=0)
    """Clips per condition, dealt into eight sets (a paired test needs six to be significant at .05); 0 leaves the metrics out."""


@dataclass(frozen=True)
class ValidateConfig(Settings):
    """sora-eval validate: the validity card, detection statistics of every probe and every fidelity metric."""

    DEFAULTS: ClassVar[tuple[str, ...]] = ("suite: smoke", "profile: small")
    SUITE_COUNT: ClassVar[int] = 8
    """Scenes per probe, one of each pair of mirrored twins; as many others are the noise floor."""

    suite: SuiteConfig = option()
    """Which cases the card is made from."""
    profile: Profile = option()
    """Size and length of the clips."""
    fidelity: ValidationFidelity = ValidationFidelity()
    """How fidelity metrics are validated."""
    out: str = "reports"
    """Folder of validity.md, validity.json and validity.html. A card there that has more subjects is kept, unless replace=true."""
    replace: bool = False
    """Whether a card with more subjects may be replaced."""
    cache: str = "runs/validity"
    """Folder of finished parts: the same command resumes with what is missing."""
    seed: int = option(0, least=0)
    """Seed of the scenes."""
    workers: int | None = option(None, least=1)
    """Processes; null for one per core."""


@dataclass(frozen=True)
class AuditConfig(Settings):
    """sora-eval audit: which wrong clips somebody's metric, reward model or judge prefers to the truth."""

    DEFAULTS: ClassVar[tuple[str, ...]] = ("suite: smoke", "profile: small")
    SUITE_COUNT: ClassVar[int] = 8
    """Scenes per probe, one of each pair of mirrored twins."""

    suite: SuiteConfig = option()
    """Which scenes are tried."""
    profile: Profile = option()
    """Size and length of the clips."""
    scorers: tuple[str, ...] = option(BUNDLED_SCORERS, example="[clipsim,'my_metric.py:score']")
    """Bundled ones by name; likelihood:CHECKPOINT, of the reference generator, or likelihood:diffusers:MODEL,option=value,..., of a
    pipeline of diffusers; module:function or FILE.py:function, with any of the keywords frames, video, prompt, fps, reference; or
    'command:PROGRAM {video} {prompt}', which prints the number as its last line."""
    lower: tuple[str, ...] = ()
    """Those of the scorers whose lower values are better."""
    timeout_s: float = option(600.0, least=1)
    """Longest time of a call, where a scorer is a command."""
    out: str = "runs/audit"
    """Folder of audit.md, audit.json and audit.html."""
    cache: str = "runs/audit/cache"
    """Folder of finished scenes: the same command resumes with what is missing."""
    seed: int = option(0, least=0)
    """Seed of the scenes."""
    workers: int | None = option(None, least=1)
    """Processes; null for one per core."""


@dataclass(frozen=True)
class EncodersConfig(Settings):
    """sora-eval encoders: sensitivity of the bundled encoders to corruptions, and what they discriminate."""

    DEFAULTS: ClassVar[tuple[str, ...]] = ()

    count: int = option(96, least=8)
    """Clips per corruption and severity, and as many real ones; scenes per question."""
    out: str = "reports"
    """Folder of encoders.md, encoders.json and encoders.png."""
    workers: int | None = option(None, least=1)
    """Processes; null for one per core."""


@dataclass(frozen=True)
class SampleConfig(CheckpointOptions, SampleOptions):
    """sora-eval sample: pictures and videos from the bundled reference generator."""


@dataclass(frozen=True)
class EvalTasksConfig(CheckpointOptions):
    """sora-eval eval-tasks: measures of everything that the reference generator can do, on held-out members of the world."""

    tasks: tuple[str, ...] = option((), example="text")
    """autoencoder, text, aspect, image, extend, loop, connect, edit, variations, long, actions; [] for all."""
    count: int = option(40, least=2)
    """Members per task; a minute of video is made of a tenth of them, variations of a quarter."""
    out: str | None = None
    """Folder to write to; null: runs/tasks-CHECKPOINT."""
    replace: bool = False
    """Whether measures of other weights, options or counts that are there may be replaced."""


@dataclass(frozen=True)
class TrainConfig(Plan):
    """sora-eval train: the bundled networks, from rendering their clips to their weights. Every stage resumes where it stopped."""

    stage: str = "all"
    """Stage of the reference generator: data, autoencoder, decoder, latents, words, transformer, or all of them in order; export writes the
    weights of a transformer's training as they are now, distil makes a checkpoint that samples in fewer steps."""
    encoder: str | None = None
    """Or a bundled encoder, on the clips of stage=data: world-video, world-clip or lpips-world."""
    steps: int | None = option(None, least=2)
    """Steps of the encoder; null for its usual number."""


COMMANDS: dict[str, type[Settings]] = {
    "run": RunConfig,
    "plan": PlanConfig,
    "watch": WatchConfig,
    "cases": CasesConfig,
    "generate": GenerateConfig,
    "render": RenderConfig,
    "validate": ValidateConfig,
    "audit": AuditConfig,
    "encoders": EncodersConfig,
    "train": TrainConfig,
    "sample": SampleConfig,
    "eval-tasks": EvalTasksConfig,
    "gate": GatePlan,
}
"""Settings of each command that takes a configuration."""
