"""The Hydra apps behind `sora-eval run`, `cases`, `generate`, `render` and `validate`."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from tqdm import tqdm

from sora_eval import __version__, registry
from sora_eval.errors import ConfigError, SoraEvalError, unknown
from sora_eval.probes.base import Probe, Profile
from sora_eval.types import MODES, Case

PACKAGES = ("numpy", "scipy", "opencv-python-headless", "mujoco-core", "av", "hydra-core")


def launch(name: str, args: list[str]) -> int:
    """Compose the configuration `conf/NAME.yaml` with overrides and run the command; return its exit code."""
    # Families are named without a key because nobody wants to type family=: `sora-eval render pass_behind`.
    if name == "render" and args and "=" not in args[0] and not args[0].startswith("-"):
        args = [f"family={args[0]}", *args[1:]]
    if any(a.startswith("-") for a in args):
        return _hydra_main(name, args)
    return _COMMANDS[name](_compose(name, args))


def _hydra_main(name: str, args: list[str]) -> int:
    """Let Hydra itself answer --help, --cfg, --multirun and its other flags."""
    import hydra

    codes: list[int] = []

    def task(config: DictConfig) -> None:
        codes.append(_COMMANDS[name](config))

    sys.argv = [f"sora-eval {name}", *args]
    hydra.main(version_base="1.3", config_path="pkg://sora_eval.conf", config_name=name)(task)()
    return max(codes, default=0)


def _compose(name: str, overrides: list[str]) -> DictConfig:
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module("sora_eval.conf", version_base="1.3", job_name=name):
            config = compose(name, overrides, return_hydra_config=True)
            HydraConfig.instance().set_config(config)
            config = OmegaConf.masked_copy(config, [str(k) for k in config if k != "hydra"])
            OmegaConf.resolve(config)
            if missing := sorted(OmegaConf.missing_keys(config)):
                raise ConfigError(f"{missing[0]} is missing: say {missing[0]}=...")
        return config
    except (HydraException, OmegaConfBaseException) as error:
        raise _explained(name, overrides, error) from error


def _explained(name: str, overrides: list[str], error: Exception) -> ConfigError:
    """Return the nearest names for an option that Hydra refused, in one line."""
    groups = ("generator", "suite", "profile")
    texts = [o.lstrip("+~").partition("=") for o in overrides]
    for key, _, value in texts:
        if key in groups and value not in registry.names(key):
            return unknown(key, value, registry.names(key))
    with initialize_config_module("sora_eval.conf", version_base="1.3"):
        base = compose(name, [o for o, (key, _, _) in zip(overrides, texts, strict=True) if key in groups])
    known = list(_dotted(OmegaConf.to_container(base, resolve=False)))
    for key, _, _ in texts:
        if key not in (*known, *groups):
            return unknown("option", key, known)
    return ConfigError(next((line for line in str(error).splitlines() if line.strip()), type(error).__name__))


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
    suites = list(config.suite.suites or [])
    names = list(config.suite.probes or [])
    for suite in suites:
        if suite not in {s for s, _ in known.values()}:
            raise unknown("suite", suite, {s for s, _ in known.values()})
    found = {n: registry.probe(n) for n in (names or known) if not suites or (n in known and known[n][0] in suites)}
    if not found:
        raise ConfigError(f"no probe is in both suites={suites} and probes={names}")
    return found


def chosen_cases(config: DictConfig, probes: Mapping[str, Probe]) -> list[Case]:
    """Return the cases of a run: every probe, every mode that it supports, `count` each."""
    profile = chosen_profile(config)
    count = config.suite.count
    if not isinstance(count, int) or count < 1:
        raise ConfigError(f"suite.count must be a whole number of at least 1, got {count}")
    if not isinstance(config.seed, int) or config.seed < 0:
        raise ConfigError(f"seed must be a whole number of at least 0, got {config.seed}")
    for mode in config.suite.modes:
        if mode not in MODES:
            raise unknown("mode", mode, MODES)
    modes = [m for m in MODES if m in config.suite.modes]
    return [c for p in probes.values() for m in modes if m in p.modes for c in p.cases(count, profile, m, config.seed)]


def chosen_profile(config: DictConfig) -> Profile:
    """Return the profile of a configuration."""
    values = {str(k): v for k, v in config.profile.items()}
    try:
        return Profile(**values)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"profile: {error}") from error


def _run(config: DictConfig) -> int:
    from sora_eval.evaluate import evaluate
    from sora_eval.generator.folder import Folder
    from sora_eval.generator.simulator import Control, Oracle
    from sora_eval.reporting.report import write_report
    from sora_eval.reporting.text import table
    from sora_eval.store import Store, write_json, write_lines

    start = time.perf_counter()
    probes = chosen_probes(config)
    cases = chosen_cases(config, probes)
    model = _generator(config, cases)
    references = [Oracle() if r == "oracle" else Control(r) for r in config.references]
    generators = [model, *(r for r in references if r.name != model.name)]
    folder = Path(config.out)
    write_lines(folder / "cases.jsonl", (c.to_json() for c in cases))
    rows, made = evaluate(cases, probes, generators, folder, config.workers or os.cpu_count() or 1)
    report = folder / "report.html"
    problems = list(model.problems) if isinstance(model, Folder) else []
    if made or not report.exists() or not (folder / "scores.jsonl").exists():
        Store(folder).write_rows(rows)
        write_json(
            folder / "manifest.json",
            _manifest(config, model, generators, cases, probes, problems, time.perf_counter() - start),
        )
        write_report(folder, config.players)
    else:
        print(f"nothing to do: all {len(rows)} clips are scored")
    print(table(rows))
    for problem in problems:
        print(f"problem: {problem}", file=sys.stderr)
    unjudged = sum(r.value is None for r in rows if r.generator == model.name)
    if unjudged:
        print(
            f"{unjudged} of {len(cases)} clips of {model.name} could not be judged and count as failed; the report says why"
        )
    print(f"report: {report}")
    return 1 if problems else 0


def _generator(config: DictConfig, cases: list[Case]) -> Any:
    from sora_eval.generator.folder import Folder

    more = (
        {"cases": [c.id for c in cases]}
        if config.generator._target_ == f"{Folder.__module__}.{Folder.__name__}"
        else {}
    )
    return registry.generator(config.generator, **more)


def _manifest(
    config: DictConfig,
    model: Any,
    generators: list[Any],
    cases: list[Case],
    probes: Mapping[str, Probe],
    problems: list[str],
    seconds: float,
) -> dict[str, Any]:
    from sora_eval.types import digest

    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    return {
        "tool_version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["sora-eval", "run", *HydraConfig.get().overrides.task]),
        "config": plain,
        "suite": config.suite.name,
        "profile": config.profile.name,
        "seed": config.seed,
        "generators": [
            {"name": g.name, "kind": g.kind, "fingerprint": digest([g.fingerprint(c) for c in cases])}
            for g in generators
        ],
        "hashes": {"cases": digest([c.hash for c in cases]), "probes": {n: p.version for n, p in probes.items()}},
        "versions": {"python": platform.python_version(), **{p: _version(p) for p in PACKAGES}},
        "machine": {"system": platform.platform(terse=True), "processor": platform.machine(), "cores": os.cpu_count()},
        "timings": {"seconds": round(seconds, 1)},
        "problems": problems,
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _cases(config: DictConfig) -> int:
    from sora_eval.export import export_cases
    from sora_eval.world import conditioning

    cases = chosen_cases(config, chosen_probes(config))
    folder = export_cases(cases, Path(config.out), conditioning)
    print(f"{len(cases)} cases are in {folder}; README.txt there says how to go on")
    return 0


def _generate(config: DictConfig) -> int:
    import csv
    import io

    from sora_eval.types import Video
    from sora_eval.video import replacing, write_h264

    cases = chosen_cases(config, chosen_probes(config))
    model = _generator(config, cases)
    folder = Path(config.out)
    text = io.StringIO()
    manifest = csv.writer(text, lineterminator="\n")
    manifest.writerow(["case_id", "path"])
    failures = 0
    for case in tqdm(cases, unit="clip"):
        path = folder / "videos" / f"{case.id}.mp4"
        if not path.exists():
            video = next(iter(model.generate([case])))
            if not isinstance(video, Video):
                print(f"{case.id}: {video.reason}", file=sys.stderr)
                failures += 1
                continue
            write_h264(path, video, config.crf)
        manifest.writerow([case.id, f"videos/{case.id}.mp4"])
    with replacing(folder / "manifest.csv") as part:
        part.write_text(text.getvalue(), encoding="utf-8")
    print(
        f"{len(cases) - failures} videos are in {folder}; score them: sora-eval run generator=folder generator.path={folder}"
    )
    return 1 if failures else 0


def _render(config: DictConfig) -> int:
    from sora_eval.rendering import render_set

    profile = chosen_profile(config)
    written = render_set(
        config.family,
        config.count,
        profile,
        Path(config.out),
        config.seed,
        config.truth,
        config.workers or os.cpu_count() or 1,
    )
    print(f"{written} clips are in {config.out}")
    return 0


def _validate(config: DictConfig) -> int:
    from sora_eval.reporting.validity import put_summary, write_validity
    from sora_eval.validity import FOLLOWED, tracker_cards, validate

    probes = list(chosen_probes(config).values())
    jobs = sum(m in p.modes for p in probes for m in config.suite.modes) + len(probes) * ("t2v" in config.suite.modes)
    done = validate(
        probes,
        chosen_profile(config),
        config.suite.modes,
        config.suite.count,
        config.seed,
        config.workers or os.cpu_count() or 1,
    )
    rows = [row for some in tqdm(done, total=jobs, unit="probe and mode") for row in some]
    command = shlex.join(["sora-eval", "validate", *HydraConfig.get().overrides.task])
    followed = [c for p in probes if p.name in FOLLOWED for c in p.cases(4, chosen_profile(config), "t2v", config.seed)]
    about = f"{config.suite.count} cases per probe and mode, profile {config.profile.name}"
    page, missed = write_validity(
        rows, tracker_cards(followed) if followed else [], [p.name for p in probes], Path(config.out), command, about
    )
    if config.readme:
        put_summary(Path(config.readme), rows, [p.name for p in probes], command)
    for row in missed:
        print(f"missed: {row.probe} {row.mode} {row.what}: lowest {row.lowest:.2f}, AUC {row.auc:.2f}")
    print(f"table: {page}")
    return 1 if missed else 0


_COMMANDS: dict[str, Callable[[DictConfig], int]] = {
    "run": _run,
    "cases": _cases,
    "generate": _generate,
    "render": _render,
    "validate": _validate,
}

__all__ = ["SoraEvalError", "chosen_cases", "chosen_probes", "launch"]
