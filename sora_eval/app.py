"""The Hydra apps behind `sora-eval run`, `cases`, `generate`, `render`, `validate`, `train`, `sample` and `eval-tasks`."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from itertools import dropwhile, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException
from tqdm import tqdm

from sora_eval import console, naming, overrides, registry, sweeps
from sora_eval.errors import ConfigError, SoraEvalError, unknown
from sora_eval.probes.base import Probe, Profile
from sora_eval.processes import cores
from sora_eval.samples import MOST, per_prompt, sample_id, sampled
from sora_eval.types import MODES, Case, Mode, check_name

if TYPE_CHECKING:
    from sora_eval.generator.reference.stages import Plan

_GROUPS = ("generator", "suite", "profile", "sweep")
MAX_COUNT = 100_000
"""Most cases per probe and mode; more would be listed for hours before the first is asked."""
_OWN_CONFIG = ("--config", "-cd", "-cp", "-cn")


def launch(name: str, args: list[str]) -> int:
    """Compose the configuration `conf/NAME.yaml` with overrides and run the command; return its exit code."""
    # Families are named without a key because nobody wants to type family=: `sora-eval render pass_behind`.
    if name == "render" and args and "=" not in args[0] and not args[0].startswith("-"):
        args = [f"family={args[0]}", *args[1:]]
    if any(a in ("-h", "--help") for a in args):
        print(options(name))
        return 0
    sweep = name == "run" and sweeps.is_sweep(args)
    args = [overrides.as_typed(a, sweep) for a in args]
    if sweep or any(a.startswith("-") for a in args):
        if not any(a.startswith(_OWN_CONFIG) for a in args):
            _check_words(name, [a for a in args if "=" in a and not a.startswith("-")])
        return sweeps.sweep(args) if sweep else _hydra_main(name, args)
    return _COMMANDS[name](composed(name, args))


def options(name: str) -> str:
    """Return what can be said to a command: `conf/NAME.yaml` as it is, comments and all, and the entries of its groups."""
    text = (files("sora_eval.conf") / f"{name}.yaml").read_text(encoding="utf-8")
    head, _, rest = text.partition("defaults:\n")
    lines = rest.splitlines()
    body = list(dropwhile(lambda line: line.startswith(" "), lines))
    entries = [line.strip(" -") for line in lines[: len(lines) - len(body)]]
    groups = [(e, group) for e in entries if (group := e.split(":")[0]) in _GROUPS]
    chosen = [f"# {', '.join(registry.names(group))}\n{entry}" for entry, group in groups]
    told = f"usage: sora-eval {name} KEY=VALUE ...   The keys and their defaults; a key in a group is GROUP.KEY=VALUE"
    last = "# Hydra's own flags work too: --multirun, --cfg job, --hydra-help"
    return "\n".join([told, "", head.strip(), *chosen, *body, last])


def _hydra_main(name: str, args: list[str]) -> int:
    """Let Hydra itself answer --cfg, --multirun and its other flags."""
    import hydra

    codes: list[int] = []

    def task(config: DictConfig) -> None:
        # Hydra would print a traceback for what the other way is one line.
        try:
            codes.append(_COMMANDS[name](complete(config)))
        except (SoraEvalError, OSError, OmegaConfBaseException) as error:
            print(f"sora-eval: {_first_line(error)}", file=sys.stderr)
            codes.append(2)
        except Exception as error:
            codes.append(console.failed(error))

    sys.argv = [f"sora-eval {name}", *args]
    try:
        hydra.main(version_base="1.3", config_path="pkg://sora_eval.conf", config_name=name)(task)()
    except SystemExit as end:  # Hydra has printed why; its code 1 means "done, but" here
        return 2 if end.code else 0
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise ConfigError(_first_line(error)) from error
    return max(codes, default=0)


def composed(name: str, words: list[str]) -> DictConfig:
    """Return the configuration `conf/NAME.yaml` with overrides, complete.

    Raises:
        ConfigError: an override can't be understood, or a value is missing.
    """
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module("sora_eval.conf", version_base="1.3", job_name=name):
            _check_groups(words)
            config = compose(name, words, return_hydra_config=True)
            HydraConfig.instance().set_config(config)
            config = OmegaConf.masked_copy(config, [str(k) for k in config if k != "hydra"])
            return complete(config)
    except (HydraException, OmegaConfBaseException) as error:
        _check_words(name, words)
        raise ConfigError(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def complete(config: DictConfig) -> DictConfig:
    """Return the configuration with its interpolations resolved, and no value missing.

    Raises:
        ConfigError: a mandatory value is missing, or an interpolation leads nowhere.
    """
    try:
        # Not OmegaConf.resolve, which leaves `${` of an escaped text behind as a new interpolation.
        resolved = OmegaConf.create(_literal(OmegaConf.to_container(config, resolve=True)))
    except InterpolationResolutionError as error:
        text = str(error).splitlines()[0]
        raise ConfigError(rf"{text}; for a literal ${{ write \${{") from error
    assert isinstance(resolved, DictConfig)
    if missing := sorted(OmegaConf.missing_keys(resolved)):
        raise ConfigError(f"{missing[0]} is missing: set {missing[0]}=...")
    return resolved


def _literal(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _literal(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_literal(value) for value in node]
    return overrides.literal(node) if isinstance(node, str) else node


def _check_words(name: str, words: list[str]) -> None:
    """Refuse an unknown group entry or option with the nearest names; values may be comma lists, as --multirun takes them.

    Raises:
        ConfigError: a word is unknown.
    """
    texts = [o.partition("=") for o in words]
    chosen = _check_groups(words)
    known: set[str] = set()
    for picked in product(*chosen.values()):
        GlobalHydra.instance().clear()
        with initialize_config_module("sora_eval.conf", version_base="1.3"):
            try:
                base = compose(name, [f"{key}={value}" for key, value in zip(chosen, picked, strict=True)])
            except HydraException:  # the command has no such group
                base = compose(name)
        known |= set(_dotted(OmegaConf.to_container(base, resolve=False)))
    for key, _, _ in texts:
        # What is added (+), removed (~) or Hydra's own is Hydra's to judge.
        if not key.startswith(("+", "~", "hydra")) and key not in known:
            raise unknown("option", key, known)


def _check_groups(words: list[str]) -> dict[str, list[str]]:
    """Return the entries that are chosen of each group, as typed.

    Raises:
        ConfigError: there is no such entry; `null`, which takes a group away, is none.
    """
    texts = [word.partition("=") for word in words]
    chosen = {key: value.split(",") for key, _, value in texts if key.lstrip("+") in _GROUPS}
    for key, values in chosen.items():
        for value in values:
            if value not in registry.names(key.lstrip("+")):
                raise unknown(key.lstrip("+"), value, registry.names(key.lstrip("+")))
    return chosen


def _dotted(node: Any, prefix: str = "") -> Iterator[str]:
    for key, value in node.items() if isinstance(node, dict) else ():
        yield f"{prefix}{key}"
        yield from _dotted(value, f"{prefix}{key}.")


def chosen_probes(config: DictConfig) -> dict[str, Probe]:
    """Return the probes that a suite's `suites` and `probes` choose, by name.

    Raises:
        ConfigError: a name is unknown, or nothing is left.
    """
    known = registry.probe_names()
    suites = names_of(config, "suite.suites", "left_right") if config.suite.suites is not None else []
    names = names_of(config, "suite.probes", "relation") if config.suite.probes is not None else []
    for suite in suites:
        if suite not in {s for s, _ in known.values()}:
            raise unknown("suite", suite, {s for s, _ in known.values()})
    found = {n: registry.probe(n) for n in (names or known) if not suites or (n in known and known[n][0] in suites)}
    if not found:
        raise ConfigError(f"no probe is in both suites={suites} and probes={names}")
    return found


def chosen_cases(config: DictConfig, probes: Mapping[str, Probe]) -> list[Case]:
    """Return the cases of a run: every probe, every mode that it supports, `count` each, in as many samples as are asked."""
    profile, modes = chosen_profile(config), chosen_modes(config)
    count, seed = whole(config, "suite.count", 1, MAX_COUNT), whole(config, "seed", 0)
    found = [c for p in probes.values() for m in modes if m in p.modes for c in p.cases(count, profile, m, seed)]
    if not found:
        raise ConfigError(f"no chosen probe has a mode of suite.modes={modes}")
    return sampled(found, chosen_samples(config))


def chosen_samples(config: DictConfig) -> int:
    """Return how many samples per case are asked; where that is left open, as many as a folder of videos has, else 1."""
    if OmegaConf.select(config, "samples") is not None:
        return whole(config, "samples", 1, MOST)
    if not _is_folder(config):
        return 1
    folder: Any = registry.generator(config.generator)
    return min(int(folder.samples), MOST)


def _is_folder(config: DictConfig) -> bool:
    from sora_eval.generator.folder import Folder

    return bool(OmegaConf.select(config, "generator._target_") == f"{Folder.__module__}.{Folder.__name__}")


def chosen_modes(config: DictConfig) -> list[Mode]:
    """Return the modes of a suite, in the order of `MODES`."""
    names = names_of(config, "suite.modes", "t2v")
    for mode in names:
        if mode not in MODES:
            raise unknown("mode", mode, MODES)
    if not names:
        raise ConfigError(f"suite.modes is empty: choose from {', '.join(MODES)}")
    return [m for m in MODES if m in names]


def chosen_profile(config: DictConfig) -> Profile:
    """Return the profile of a configuration."""
    values = {str(k): v for k, v in config.profile.items()}
    try:
        return Profile(**values)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"profile: {error}") from error


def whole(config: DictConfig, key: str, least: int, most: int | None = None) -> int:
    """Return a whole number of a configuration.

    Raises:
        ConfigError: it is none, below `least` or above `most`.
    """
    value = OmegaConf.select(config, key)
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
        span = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ConfigError(f"{key} must be a whole number {span}, got {value}")
    return value


def flag(config: DictConfig, key: str) -> bool:
    """Return a yes or no of a configuration; a word, which would be true, is neither.

    Raises:
        ConfigError: it is none.
    """
    value = OmegaConf.select(config, key)
    if not isinstance(value, bool):
        raise ConfigError(f"{key} must be true or false, got {value}")
    return value


def workers_of(config: DictConfig) -> int:
    """Return how many processes a command may use: `workers`, else one per core."""
    return cores() if config.workers is None else whole(config, "workers", 1)


def names_of(config: DictConfig, key: str, example: str) -> list[str]:
    """Return a list of names of a configuration, each once. example: one of them, for the error.

    Raises:
        ConfigError: it is no such list.
    """
    value = OmegaConf.select(config, key)
    if not isinstance(value, ListConfig) or not all(isinstance(name, str) for name in value):
        raise ConfigError(f"{key} must be a list of names, write {key}=[{example}], got {value}")
    return list(dict.fromkeys(value))


def out_folder(config: DictConfig) -> Path:
    """Return the folder to write to, made and writable: nobody wants to learn at the end that it isn't."""
    if config.out is None or not str(config.out).strip():
        raise ConfigError("out is empty: name a folder with out=...")
    folder = Path(str(config.out))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: NUL in the name
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"out={folder} can't be a folder ({why}): name another one") from error
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"out={folder} can't be written to: name another folder")
    return folder


def _run(config: DictConfig) -> int:
    from sora_eval.commands.run import run

    return run(config)


def generator_of(config: DictConfig, cases: list[Case]) -> Any:
    """Return the generator that a configuration describes, for these cases.

    Raises:
        ConfigError: it can't be had, or its name is no file name or a reference's.
    """
    from sora_eval.generator.simulator import CONTROLS, OTHER

    more: dict[str, Any] = {}
    if _is_folder(config):
        count = whole(config, "suite.count", 1)
        every = [(suite, name, mode) for name, (suite, _) in registry.probe_names().items() for mode in MODES]
        ids = [f"{suite}.{name}.{mode}.{i:04d}" for suite, name, mode in every for i in range(count)]
        ids = [sample_id(case, k) for case in ids for k in range(per_prompt(cases))]
        more = {"cases": ids, "asked": cases}
    made = registry.generator(config.generator, **more)
    try:
        check_name("generator.name", made.name)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if made.kind == "model" and made.name in ("oracle", OTHER, *CONTROLS):
        raise ConfigError(f"'{made.name}' is the name of a reference: say generator.name=...")
    return made


def values_of(config: DictConfig) -> dict[Any, Any]:
    """Return a configuration as plain values."""
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    return plain


def _cases(config: DictConfig) -> int:
    from sora_eval.export import export_cases
    from sora_eval.world import conditioning

    cases = chosen_cases(config, chosen_probes(config))
    folder = export_cases(cases, out_folder(config), conditioning, progress=True)
    k = per_prompt(cases)
    told = f"{len(cases) // k} cases" + (f", {k} samples of each," if k > 1 else "")
    print(f"{told} are in {folder}; README.txt there says how to go on")
    return 0


def _generate(config: DictConfig) -> int:
    import csv
    import io

    from sora_eval.export import manifest_row, write_cases
    from sora_eval.failures import answers
    from sora_eval.store import read_json, write_json
    from sora_eval.types import Video, digest
    from sora_eval.video import replacing, write_h264

    cases = chosen_cases(config, chosen_probes(config))
    crf = whole(config, "crf", 0, 51)
    model = generator_of(config, cases)
    folder = out_folder(config)
    made_by = folder / "generate.json"
    if not made_by.exists() and any(folder.glob("videos/*")):
        raise ConfigError(f"{folder / 'videos'} holds clips that sora-eval generate didn't make: name another folder")
    keys = {c.id: digest([c.hash, model.name, model.fingerprint(c), crf]) for c in cases}
    before = read_json(made_by) if made_by.exists() else {}
    for case in cases:
        if before.get(case.id) != keys[case.id]:
            (folder / "videos" / f"{case.id}.mp4").unlink(missing_ok=True)
    # Before the clips: one that is there from now on is of this generator and these cases.
    write_json(made_by, {**before, **keys})
    write_cases(folder, cases)
    text = io.StringIO()
    manifest = csv.writer(text, lineterminator="\n")
    several = per_prompt(cases) > 1
    manifest.writerow(manifest_row(None, several))
    failures = broken = 0
    for case in tqdm(cases, unit="clip"):
        path = folder / "videos" / f"{case.id}.mp4"
        if not path.exists():
            # A case may come twice; its last answer counts.
            *_, (_, video) = answers(model, [case])
            if not isinstance(video, Video):
                print(f"{case.id}: {video.reason}", file=sys.stderr)
                failures += 1
                broken += video.technical
                continue
            write_h264(path, video, crf)
        manifest.writerow(manifest_row(case, several))
    with replacing(folder / "manifest.csv") as part:
        part.write_text(text.getvalue(), encoding="utf-8")
    print(
        f"{len(cases) - failures} videos are in {folder}; score them: sora-eval run generator=folder generator.path={folder}"
    )
    if broken:
        print(
            f"sora-eval: {broken} of {len(cases)} clips failed technically; the same command asks for them again",
            file=sys.stderr,
        )
        return 2 if failures == len(cases) else 1
    return 1 if failures == len(cases) else 0


def _render(config: DictConfig) -> int:
    from sora_eval.rendering import check_names, render_set

    profile, workers = chosen_profile(config), workers_of(config)
    count, seed = whole(config, "count", 1), whole(config, "seed", 0)
    check_names(str(config.family), str(config.truth))
    written = render_set(config.family, count, profile, out_folder(config), seed, config.truth, workers)
    print(f"{written} clips are in {config.out}")
    return 0


def _validate(config: DictConfig) -> int:
    from sora_eval.commands.validate import validate

    return validate(config)


def _encoders(config: DictConfig) -> int:
    from sora_eval import dose
    from sora_eval.reporting.encoders import write_encoders

    count, folder = whole(config, "count", 8), out_folder(config)
    done = dose.every(count, workers_of(config))
    parts = list(tqdm(done, total=len(dose.DAMAGES), unit="damage"))
    command = shlex.join(["sora-eval", "encoders", *HydraConfig.get().overrides.task])
    readme = Path(config.readme) if config.readme else None
    missed = write_encoders(parts, dose.exams(count), folder, command, count, readme)
    for r in missed:
        print(f"missed: {r.encoder} on {r.damage.name}, Spearman {r.rho:.2f}")
    print(f"table: {folder / 'encoders.md'}")
    return 1 if missed else 0


def _train(config: DictConfig) -> int:
    from sora_eval.generator.reference.stages import plan_of, run

    values = values_of(config)
    stage, encoder, steps = str(values.pop("stage")), values.pop("encoder"), values.pop("steps")
    plan = plan_of({**values, "workers": workers_of(config), "out": str(out_folder(config))})
    if encoder is not None:
        return _train_encoder(str(encoder), plan, None if steps is None else whole(config, "steps", 2))
    if steps is not None:
        raise ConfigError("steps is of an encoder: a stage has its own, such as autoencoder.steps or transformer.units")
    print(f"{stage}: {run(stage, plan)}")
    return 0


def _train_encoder(name: str, plan: Plan, steps: int | None) -> int:
    from sora_eval.encoders.learn import EncoderPlan, learn

    data = Path(plan.data.folder) / "training"
    found = learn(EncoderPlan(name, data, plan.folder, plan.seed, plan.workers, steps, plan.save_s))
    print(f"{name}: {found}")
    return 0


def _sample(config: DictConfig) -> int:
    from sora_eval.generator.reference.commands import request_of, sample

    request = request_of(values_of(config))
    for path in sample(_sampler(config), request):
        print(path)
    return 0


def _eval_tasks(config: DictConfig) -> int:
    from sora_eval.generator.reference.commands import evaluate
    from sora_eval.generator.reference.measures import table

    names, count = names_of(config, "tasks", "text"), whole(config, "count", 2)
    replace = flag(config, "replace")
    print(table(evaluate(_sampler(config), str(config.checkpoint), names, count, out_folder(config), replace)))
    print(f"table: {config.out}/tasks.md")
    return 0


def _sampler(config: DictConfig) -> Any:
    from sora_eval.generator.reference.commands import sampler_of
    from sora_eval.generator.reference.diffusion import Options

    options = Options(whole(config, "steps", 1), config.guidance, config.shift, config.history)
    return sampler_of(str(config.checkpoint), options, config.expanded)


naming.register()

_COMMANDS: dict[str, Callable[[DictConfig], int]] = {
    "run": _run,
    "cases": _cases,
    "generate": _generate,
    "render": _render,
    "validate": _validate,
    "encoders": _encoders,
    "train": _train,
    "sample": _sample,
    "eval-tasks": _eval_tasks,
}

__all__ = ["SoraEvalError", "chosen_cases", "chosen_probes", "launch"]
