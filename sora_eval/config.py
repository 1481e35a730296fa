"""Configurations of the commands: every option with type, default and range, in Hydra's ConfigStore; composed and parsed here alone.

`parse(name, overrides)` gives the settings of a command and how it was called; nothing below sees a DictConfig. From a notebook:

    with hydra.initialize_config_module("sora_eval.conf", version_base="1.3"):
        config = RunConfig.of(values_of(hydra.compose("run", ["suite.count=1"])))
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from hydra import compose, initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from sora_eval import registry
from sora_eval.audit import BUNDLED_SCORERS
from sora_eval.errors import ConfigError, unknown
from sora_eval.fidelity.options import FidelityOptions
from sora_eval.files import without_secrets
from sora_eval.generator.devices import check_devices
from sora_eval.generator.pipelines.options import PipelineOptions
from sora_eval.generator.reference.options import CheckpointOptions, Plan, ReferenceOptions, SampleOptions
from sora_eval.generator.service.api import Api
from sora_eval.generator.service.options import ServiceOptions
from sora_eval.plugins import include
from sora_eval.probes.base import Probe
from sora_eval.probes.framing import ratio_of
from sora_eval.probes.selection import select_cases, select_probes
from sora_eval.processes import cores
from sora_eval.prompting import case_sets
from sora_eval.prompting.case_sets import CaseSet
from sora_eval.prompting.options import PromptFile, PromptOptions
from sora_eval.runs import naming, sharding
from sora_eval.settings import REQUIRED, Settings, option
from sora_eval.stats.gate import GatePlan
from sora_eval.stats.samples import MOST
from sora_eval.types import MODES, Case, Mode, Profile
from sora_eval.video import VideoOptions
from sora_eval.world.looks import LOOKS, PLAIN, PLAIN_WORLD, LookOptions

GROUPS = ("generator", "tracker", "suite", "profile", "sweep")
MAX_COUNT = 100_000
"""Most cases per probe and mode; more would be listed for hours before the first is generated."""
LENGTHS_S = (4, 600)
"""Shortest and longest clip of long_range in seconds: below, nothing can be away and come back."""


@dataclass(frozen=True)
class SuiteConfig(Settings):
    """Which cases a run consists of."""

    GROUP: ClassVar[str] = "suite"

    name: str = option()
    """Name of the suite, part of the run folder's name."""
    count: int = option(least=1, most=MAX_COUNT)
    """Cases per probe and mode."""
    modes: tuple[Mode, ...] = option(choices=MODES, example="t2v")
    """Conditioning: t2v (prompt only), i2v (first frame given), v2v (first frames given)."""
    suites: tuple[str, ...] | None = option(None, example="left_right")
    """Suites, such as [left_right]; null for all but those that are chosen by name alone: [camera_control], [framing], [long_range]."""
    probes: tuple[str, ...] | None = option(None, example="relation")
    """Probes, such as [relation, bite]; null for all of the suites."""
    lengths_s: tuple[int, ...] | None = option(None, example="5,10")
    """Lengths of the clips of long_range in seconds, by turns, at the rate of the profile, such as [5, 10, 30, 60]; null for [5, 10]."""
    aspects: tuple[str, ...] | None = option(None, example="16:9")
    """Aspect ratios of the clips of framing, width:height, by turns, each beside a square twin, such as ['16:9', '9:16']; null for
    16:9, 9:16, 4:3, 21:9, 3:4 and 11:7. A clip has about as many pixels as one of the profile."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: a value can't be used.
        """
        super().__post_init__()
        if not self.modes:
            raise ConfigError(f"suite.modes is empty: choose from {', '.join(MODES)}")
        for name in ("suites", "probes"):
            if getattr(self, name) == ():
                raise ConfigError(f"suite.{name} is empty: name {name}, or set suite.{name}=null for all of them")
        if self.aspects == ():
            raise ConfigError("suite.aspects is empty: write suite.aspects=['16:9','9:16'], or set suite.aspects=null")
        for aspect in self.aspects or ():
            ratio_of(aspect)
        if self.lengths_s == ():
            raise ConfigError("suite.lengths_s is empty: write suite.lengths_s=[5,10], or set suite.lengths_s=null")
        for length in self.lengths_s or ():
            if not LENGTHS_S[0] <= length <= LENGTHS_S[1]:
                raise ConfigError(
                    f"suite.lengths_s must be from {LENGTHS_S[0]} to {LENGTHS_S[1]} seconds, got {length}"
                )

    def select(
        self, profile: Profile, seed: int, samples: int, look: LookOptions = PLAIN_WORLD
    ) -> tuple[dict[str, Probe], list[Case]]:
        """Return the probes of the suite by name, and its cases in a look.

        Raises:
            ConfigError: a name is unknown, or nothing is left.
        """
        probes = select_probes(self.suites, self.probes)
        lengths, aspects = self.lengths_s or (), self.aspects or ()
        return probes, select_cases(probes, profile, self.modes, self.count, seed, samples, look, lengths, aspects)


_FROM_FILE = {"cases": ("suite", "profile", "seed", "world", "prompts.file"), "prompts.file": ("suite", "world")}
"""Options that a file of cases stands in place of."""
Q = TypeVar("Q", bound="CasesConfig | GenerateConfig | RunConfig")


def with_cases(config: Q, samples: int = 1) -> tuple[Q, CaseSet]:
    """Return a configuration with suite and profile of its cases, and the cases: of a file where it names one, else of its suite.
    Prompts without a scene have no true clip, which fidelity and tracking metrics compare with.

    samples: of each case where the configuration doesn't say.

    Raises:
        ConfigError: a name is unknown, nothing is left, or the file can't be used.
    """
    if config.cases is not None:
        found = case_sets.stored_set(config.cases, config.samples, samples)
    elif config.prompts.file is not None:
        found = case_sets.prompt_set(config.prompts, config.profile, config.seed, config.samples or samples)
    else:
        return config, CaseSet(
            *config.suite.select(config.profile, config.seed, config.samples or samples, config.world)
        )
    suite = SuiteConfig(found.name, found.count, found.modes, probes=tuple(found.probes))
    config = replace(config, suite=suite, profile=config.profile if config.cases is None else found.profile)
    if isinstance(config, RunConfig) and not any(case.scene for case in found.cases):
        # Both compare with true clips, and there are none.
        return replace(config, fidelity=None, tracking=False), found
    return config, found


def _check_file(words: Sequence[str], settings: Any) -> None:
    """Refuse options beside a file of cases that it stands in place of.

    Raises:
        ConfigError: there is one.
    """
    keys = [word.lstrip("+~").partition("=")[0] for word in words]
    for name, others in _FROM_FILE.items():
        if name == "cases" and getattr(settings, "cases", None) is None:
            continue
        if name == "prompts.file" and getattr(getattr(settings, "prompts", None), "file", None) is None:
            continue
        for key in keys:
            if key in others or key.partition(".")[0] in others:
                raise ConfigError(f"{key}= and {name}= both name the cases: leave one of them out")


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
    samples: int = option(1, least=1, most=MOST)
    """Videos wanted per case, each with a seed of its own; the manifest's column sample holds its number."""
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
    samples: int | None = option(1, least=1, most=MOST)
    """Clips per case, each with a seed of its own; null: as many as a folder of videos has."""
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
    """Bundled ones by name; likelihood:CHECKPOINT, of the reference generator; module:function or FILE.py:function, with any of the
    keywords frames, video, prompt, fps, reference; or 'command:PROGRAM {video} {prompt}', which prints the number as its last line."""
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
    weights of a transformer's training as they are now."""
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


@dataclass(frozen=True)
class Call:
    """How a command was called."""

    command: str
    """The command line, quoted for a shell; of a job of a sweep, that of the job alone."""
    generator: str = ""
    """The chosen entry of the group generator, "" where a command has none."""
    cores: int = 1
    """Processes that the command may use by default."""


def register() -> None:
    """Put the settings of every command into Hydra's ConfigStore, and the resolvers that sweeps use into OmegaConf."""
    store = ConfigStore.instance()
    for name, kind in COMMANDS.items():
        own = {key: value for key, value in kind.defaults().items() if key not in GROUPS}
        if count := getattr(kind, "SUITE_COUNT", 0):
            own["suite"] = {"count": count}
        groups = [dict([default.split(": ")]) for default in kind.DEFAULTS]
        store.store(name=name, node={"defaults": [*groups, "_self_", "quiet"], **own})
    store.store(group="generator", name="reference_options", node=ReferenceOptions.defaults())
    store.store(group="generator", name="pipeline_options", node=PipelineOptions.defaults())
    store.store(group="generator", name="service_options", node={**ServiceOptions.defaults(), "api": Api.defaults()})
    naming.register()


def offer_plugins(words: Sequence[str]) -> None:
    """Put plug-ins into the groups of Hydra's ConfigStore. Those that the words choose are imported, for their options.

    Raises:
        ConfigError: one of these can't be imported.
    """
    chosen = _chosen(words)
    for group in registry.PLUGINS:
        for name, entry in registry.plugins(group).items():
            node = registry.plugin_node(entry, name in chosen.get(group, ()))
            ConfigStore.instance().store(group=group, name=name, node=node)


def search_path(words: Sequence[str]) -> list[str]:
    """Return overrides with the conf/ folders of --include on Hydra's search path."""
    folders = naming.quoted([f"file://{folder}" for folder in include.configurations()])
    if not folders:
        return list(words)
    key = "hydra.searchpath="
    given = [w.removeprefix(key).strip("[]") for w in words if w.startswith(key)]
    others = [w for w in words if not w.startswith(key)]
    at = next((i for i, word in enumerate(others) if "=" in word and not word.startswith("-")), len(others))
    return [*others[:at], f"{key}[{','.join([folders, *given])}]", *others[at:]]


def parse(name: str, words: Sequence[str]) -> tuple[Any, Call]:
    """Return the settings of a command with overrides, and how it was called. Hydra's state in this process stays as it was.

    Raises:
        ConfigError: an override can't be understood, an option is unknown or missing, or a value can't be used.
    """
    before = GlobalHydra.instance().hydra
    try:
        return _parsed(name, words)
    finally:
        GlobalHydra.instance().hydra = before


def _parsed(name: str, words: Sequence[str]) -> tuple[Any, Call]:
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module("sora_eval.conf", version_base="1.3", job_name=name):
            _check_groups(words)
            offer_plugins(words)
            config = compose(name, search_path(words), return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as error:
        check_words(name, words)
        raise ConfigError(first_line(error)) from error
    return read(name, OmegaConf.masked_copy(config, [str(k) for k in config if k != "hydra"]), config.hydra)


def read(name: str, config: DictConfig, hydra: Any) -> tuple[Any, Call]:
    """Return the settings of a composed configuration, and how the command was called. hydra: Hydra's own configuration.

    Raises:
        ConfigError: an option is unknown or missing, or a value can't be used.
    """
    values = values_of(config)
    kind = COMMANDS[name]
    known = {option for option, _, _ in kind.options()}
    extra = {key for key in values if key not in known}
    # A named sweep may have options of its own, which its parameters use.
    swept = "sweep" in hydra.runtime.choices
    settings = kind.of({k: v for k, v in values.items() if not (swept and k in extra)})
    _check_file(hydra.overrides.task, settings)
    words = [w for w in map(str, hydra.overrides.task) if not w.startswith("+launcher=")]
    choice = str(hydra.runtime.choices.get("generator", ""))
    if swept:
        # The command of the job alone: the values that it took, without the sweep.
        names = {w.partition("=")[0].lstrip("+") for w in words}
        words = [w for w in words if w.partition("=")[0].lstrip("+") not in {"sweep", *extra}]
        words = [*([f"generator={choice}"] if "generator" not in names else []), *words]
    command = shlex.join(["sora-eval", name, *words, *(w for f in include.folders() for w in ("--include", f))])
    # A plain run has no job number.
    in_sweep = OmegaConf.select(hydra, "job.num") is not None
    return settings, Call(without_secrets(command), choice, _share(hydra.launcher, cores()) if in_sweep else cores())


def _share(launcher: Any, cores: int) -> int:
    """Return the cores of one job, of a launcher that runs several on one machine."""
    if launcher.get("n_jobs") is not None:
        at_once = cores if launcher.n_jobs < 0 else launcher.n_jobs
    elif launcher.get("cpus_per_task"):
        return int(launcher.cpus_per_task)
    elif launcher.get("ray") is not None:
        return max(1, int(launcher.ray.remote.get("num_cpus") or 1))
    else:
        at_once = 1
    return max(1, cores // max(1, at_once))


def first_line(error: Exception) -> str:
    """Return the first line of an exception that isn't empty."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def values_of(config: DictConfig) -> dict[str, Any]:
    """Return a configuration as plain values, with its interpolations resolved.

    Raises:
        ConfigError: a mandatory value is missing, or an interpolation leads nowhere.
    """
    try:
        values = OmegaConf.to_container(config, resolve=True)
    except InterpolationResolutionError as error:
        text = str(error).splitlines()[0]
        raise ConfigError(rf"{text}; for a literal ${{ write \${{") from error
    assert isinstance(values, dict)
    if missing := sorted(OmegaConf.missing_keys(config)):
        raise ConfigError(f"{missing[0]} is missing: set {missing[0]}=...")
    return {str(key): value for key, value in values.items()}


def check_words(name: str, words: Sequence[str]) -> None:
    """Refuse an unknown group entry or option with the nearest names; values may be comma lists, as --multirun takes them.

    Raises:
        ConfigError: a word is unknown.
    """
    texts = [o.partition("=") for o in words]
    chosen = _check_groups(words)
    offer_plugins(words)
    known: set[str] = set()
    for picked in product(*chosen.values()):
        GlobalHydra.instance().clear()
        with initialize_config_module("sora_eval.conf", version_base="1.3"):
            try:
                picks = [f"{key}={value}" for key, value in zip(chosen, picked, strict=True)]
                base = compose(name, search_path(picks))
            except HydraException:  # the command has no such group
                base = compose(name)
        known |= set(_dotted(OmegaConf.to_container(base, resolve=False)))
    for key, _, _ in texts:
        # What is added (+), removed (~) or Hydra's own is Hydra's to judge.
        if not key.startswith(("+", "~", "hydra")) and key not in known:
            raise unknown("option", key, known)


def _check_groups(words: Sequence[str]) -> dict[str, list[str]]:
    """Return the chosen entries of each group, as typed.

    Raises:
        ConfigError: there is no such entry; `null`, which takes a group away, is none.
    """
    chosen = _chosen(words)
    if any(word.startswith("hydra.searchpath=") for word in words):
        return chosen  # entries may lie there
    for key, values in chosen.items():
        known = registry.names(key.lstrip("+"))
        for value in values:
            if value not in known:
                raise unknown(key.lstrip("+"), value, known)
    return chosen


def _chosen(words: Sequence[str]) -> dict[str, list[str]]:
    texts = [word.partition("=") for word in words]
    return {key: value.split(",") for key, _, value in texts if key.lstrip("+") in GROUPS}


def _dotted(node: Any, prefix: str = "") -> Iterator[str]:
    for key, value in node.items() if isinstance(node, dict) else ():
        yield f"{prefix}{key}"
        yield from _dotted(value, f"{prefix}{key}.")


def out_folder(out: str | None, default: str | None = None) -> Path:
    """Create an output folder and return it; fail before any work is done if it isn't writable. default: its name where `out` is None.

    Raises:
        ConfigError: there is no name, or no folder of this name can be written to.
    """
    out = default if out is None else out
    if out is None or not out.strip():
        raise ConfigError("out is empty: name a folder with out=...")
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: NUL in the name
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"out={folder} can't be a folder ({why}): name another one") from error
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"out={folder} can't be written to: name another folder")
    return folder


register()
