"""Names -> generators, trackers, suites, probes and profiles. This is the one place that follows `_target_`.

An entry is a YAML file in conf/ or in the conf/ of an --include folder; a generator, tracker or probe may also be a plug-in (plugins/).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from sora_eval.errors import ConfigError, SoraEvalError, unknown
from sora_eval.plugins import entries, include
from sora_eval.types import check_name

if TYPE_CHECKING:
    from sora_eval.generator.base import Generator
    from sora_eval.probes.base import Probe
    from sora_eval.tracking.base import Tracker
    from sora_eval.types import Profile

GROUPS = {
    "generators": "generator",
    "trackers": "tracker",
    "suites": "suite",
    "profiles": "profile",
    "sweeps": "sweep",
    "launchers": "launcher",
}
"""Kinds of entries and their configuration groups."""
PLUGINS = {"generator": "generators", "tracker": "trackers"}
"""Configuration groups whose entries may be plug-ins, and the kind of these."""
OPTIONAL_SUITES: tuple[str, ...] = (
    "camera_control",
    "digital_world",
    "editing",
    "framing",
    "interaction",
    "long_range",
    "outcomes",
)
"""Bundled suites that a selection has only where it names them or a probe of theirs: null means the others, so that baselines, gate,
validity card and published figures go on being of the same cases."""


def names(group: str) -> dict[str, str]:
    """Return the entries of a config group (`generator`, `suite`, `profile`), each with the first line of its comment or its origin."""
    own = _bundled(group)
    known = dict(own)
    for folder in include.configurations():
        for file in sorted((folder / group).glob("*.yaml")):
            if file.stem in own:
                entries.warn(f"{file}: the name is sora-eval's own, the file is not used")
            else:
                known[file.stem] = _comment(file.read_text(encoding="utf-8"))
    return known | {name: f"plug-in of {entry.origin}" for name, entry in plugins(group).items() if name not in known}


def plugins(group: str) -> dict[str, entries.Plugin]:
    """Return the plug-ins of a config group, none of them imported."""
    return entries.entries(PLUGINS[group], _bundled(group)) if group in PLUGINS else {}


def defaults(group: str, name: str) -> dict[str, Any]:
    """Return the options of an entry of a config group with their defaults, as they stand; {} where there is no such entry."""
    from hydra.core.config_store import ConfigStore
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    def stored(name: str) -> Any:
        try:
            return ConfigStore.instance().load(f"{group}/{name}.yaml").node
        except HydraException:
            return {}

    folders = [files("sora_eval.conf"), *include.configurations()]
    file = next((f for folder in folders if (f := folder / group / f"{name}.yaml").is_file()), None)
    node: Any = OmegaConf.create({"defaults": [name]} if file is None else file.read_text(encoding="utf-8"))
    parts = [stored(str(d)) for d in node.pop("defaults", [])]
    merged = OmegaConf.to_container(OmegaConf.merge(*parts, node), resolve=False)
    assert isinstance(merged, dict)
    return {str(key): value for key, value in merged.items()}


def _bundled(group: str) -> dict[str, str]:
    folder = files("sora_eval.conf") / group
    texts = {
        entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8")
        for entry in sorted(folder.iterdir(), key=lambda e: e.name)
        if entry.name.endswith(".yaml")
    }
    return {name: _comment(text) for name, text in texts.items()}


def plugin_node(entry: entries.Plugin, imported: bool) -> dict[str, Any]:
    """Return the config node of a plug-in; with its options and their defaults where it may be imported for them.

    The options are the parameters that have no default or a plain one.

    Raises:
        ConfigError: it can't be imported.
    """
    import inspect

    node = {"_target_": f"{entry.module}.{entry.attribute}"}
    if not imported:
        return node
    made_by = entry.load()
    if hasattr(made_by, "defaults"):
        return {**node, **made_by.defaults()}
    try:
        parameters = inspect.signature(made_by).parameters.values()
    except (TypeError, ValueError):
        return node
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    options = {p.name: "???" if p.default is p.empty else p.default for p in named}
    return {**node, **{name: value for name, value in options.items() if _is_plain(value)}}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(v) for v in value)
    if isinstance(value, Mapping):
        return all(isinstance(k, str) and _is_plain(v) for k, v in value.items())
    return value is None or isinstance(value, bool | int | float | str)


def probe_names(optional: bool = False) -> dict[str, tuple[str, str]]:
    """Return {probe: (suite, claim)} of the bundled probes, in the order of the suites; those of `OPTIONAL_SUITES` too if `optional`."""
    from sora_eval.probes import probe_classes

    classes = {name: c for name, c in probe_classes().items() if optional or c.suite not in OPTIONAL_SUITES}
    return {name: (c.suite, c.claim) for name, c in classes.items()}


def plugin_probes() -> dict[str, type[Probe]]:
    """Return the classes of the probes that are plug-ins, by name. No suite but their own holds them: a package changes no other."""
    return entries.loaded("probes", probe_names(optional=True))


def probe(name: str) -> Probe:
    """Return a probe by its name.

    Raises:
        ConfigError: there is no such probe, or it is a plug-in that can't be imported.
    """
    from sora_eval.probes import probe_classes
    from sora_eval.probes.natural import natural_probes

    classes = probe_classes() | natural_probes()
    return classes[name]() if name in classes else _plugin_probe(name, classes)


def _plugin_probe(name: str, bundled: Mapping[str, Any]) -> Probe:
    declared = entries.entries("probes", bundled)
    if name not in declared:
        raise unknown("probe", name, [*bundled, *declared])
    made: Probe = _made(declared[name].load())
    if getattr(made, "name", None) != name:
        raise ConfigError(f"plug-in {declared[name].origin}: probe {name} calls itself {getattr(made, 'name', made)}")
    return made


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


def generator(config: Mapping[str, Any]) -> Generator:
    """Return the generator that a config node with a `_target_` describes.

    Raises:
        ConfigError: it can't be made, or can't be used: see `checked_generator`.
    """
    return checked_generator(instantiate(dict(config)))


def checked_generator(made: Any) -> Generator:
    """Return a generator if it follows the protocol and has a name of its own.

    Raises:
        ConfigError: it lacks a member, or its name is no file name or that of a reference.
    """
    from sora_eval.generator.base import CONTROL_NAMES, Generator

    checked: Generator = _checked_protocol("generator", made, Generator)
    if checked.kind == "model" and checked.name in ("oracle", *CONTROL_NAMES):
        raise ConfigError(f"'{checked.name}' is the name of a reference: set generator.name=...")
    return checked


def tracker(config: Mapping[str, Any]) -> Tracker:
    """Return the tracker that a config node with a `_target_` describes.

    Raises:
        ConfigError: it can't be made, or can't be used: see `checked_tracker`.
    """
    return checked_tracker(instantiate(dict(config)))


def checked_tracker(made: Any) -> Tracker:
    """Return a tracker if it follows the protocol and has a name of its own.

    Raises:
        ConfigError: it lacks a member, or its name is no file name or that of the world tracker.
    """
    from sora_eval.tracking.base import WORLD, Tracker
    from sora_eval.tracking.world import WorldTracker

    checked: Tracker = _checked_protocol("tracker", made, Tracker)
    if checked.name == WORLD and not isinstance(made, WorldTracker):
        raise ConfigError(
            f"tracker {_class_name(made)}: '{WORLD}' is the name of the bundled tracker; name it otherwise"
        )
    return checked


def _checked_protocol(group: str, made: Any, protocol: Any) -> Any:
    if not isinstance(made, protocol):
        members = [m for m in dir(protocol) if not m.startswith("_") and not hasattr(made, m)]
        raise ConfigError(f"{group} {_class_name(made)} lacks {', '.join(members)}")
    try:
        check_name(f"{group}.name", made.name)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return made


def _class_name(made: Any) -> str:
    return f"{type(made).__module__}.{type(made).__qualname__}"


def instantiate(config: Any, **more: Any) -> Any:
    """Build what a config node with a `_target_` describes; our own errors come out as they were raised."""
    from hydra.utils import instantiate as build

    include.activate()
    # Partial, because Hydra would copy every item of `more` into nodes of its own.
    return _made(lambda: build(config, _partial_=True, _convert_="all")(**more))


def _made(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except SoraEvalError:
        raise
    except (Exception, SystemExit) as error:
        lines = str(error.__cause__ or error).splitlines() or [type(error).__name__]
        raise ConfigError(lines[0]) from error


def _comment(text: str) -> str:
    # Hydra's package directive comes before everything else.
    first = next((line for line in text.split("\n") if not line.startswith("# @package")), "")
    return first[1:].strip() if first.startswith("#") else ""
