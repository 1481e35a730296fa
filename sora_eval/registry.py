"""Names -> generators, suites, probes and profiles. A YAML file in conf/ is the entry; this is the one place that follows `_target_`."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from sora_eval.errors import unknown

if TYPE_CHECKING:
    from sora_eval.generator.base import Generator
    from sora_eval.probes.base import Probe
    from sora_eval.types import Profile

GROUPS = {
    "generators": "generator",
    "suites": "suite",
    "profiles": "profile",
    "sweeps": "sweep",
    "launchers": "launcher",
}


def names(group: str) -> dict[str, str]:
    """Return the entries of a config group (`generator`, `suite`, `profile`) with the first line of their comment."""
    folder = files("sora_eval.conf") / group
    found = {}
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".yaml"):
            found[entry.name.removesuffix(".yaml")] = _comment(entry.read_text(encoding="utf-8"))
    return found


def probe_names() -> dict[str, tuple[str, str]]:
    """Return {probe: (suite, claim)} in the order of the suites."""
    from sora_eval.probes import probe_classes

    return {name: (c.suite, c.claim) for name, c in probe_classes().items()}


def probe(name: str) -> Probe:
    """Return a probe by its name.

    Raises:
        ConfigError: there is no such probe.
    """
    from sora_eval.probes import probe_classes

    if name not in probe_classes():
        raise unknown("probe", name, probe_classes())
    return probe_classes()[name]()


def profile(name: str) -> Profile:
    """Return a profile by its name.

    Raises:
        ConfigError: there is no such profile.
    """
    if name not in names("profile"):
        raise unknown("profile", name, names("profile"))
    from omegaconf import OmegaConf

    from sora_eval.types import Profile

    values = OmegaConf.create((files("sora_eval.conf") / "profile" / f"{name}.yaml").read_text(encoding="utf-8"))
    return Profile(**{str(key): value for key, value in values.items()})


def generator(config: Any, **more: Any) -> Generator:
    """Return the generator that a config node with a `_target_` describes; `more` are arguments it may take."""
    made: Generator = instantiate(config, **more)
    return made


def instantiate(config: Any, **more: Any) -> Any:
    """Build what a config node with a `_target_` describes; our own errors come out as they were raised."""
    from hydra.utils import instantiate as build

    from sora_eval.errors import ConfigError, SoraEvalError

    try:
        # Partial, because Hydra would copy every item of `more` into nodes of its own.
        return build(config, _partial_=True)(**more)
    except SoraEvalError:
        raise
    except (Exception, SystemExit) as error:
        lines = str(error.__cause__ or error).splitlines() or [type(error).__name__]
        raise ConfigError(lines[0]) from error


def _comment(text: str) -> str:
    # Hydra wants to be told of a file's package before all else.
    first = next((line for line in text.split("\n") if not line.startswith("# @package")), "")
    return first[1:].strip() if first.startswith("#") else ""
