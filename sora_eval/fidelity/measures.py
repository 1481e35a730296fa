"""How real, how well matched and how steady a set of clips is, against a set of real ones.

Every figure carries its protocol: network and hash of its weights, frames, size, how frames are read. Figures may be compared when their
protocols are the same, and only then; a plug-in distance, also, only with one of as many clips.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from io import StringIO
from pathlib import Path

import numpy as np

from sora_eval.errors import ConfigError
from sora_eval.fidelity.extractors import FROZEN, Choice, Clip, Collected, collect
from sora_eval.metrics import frechet, kernel, physics_iq
from sora_eval.metrics.pixels import PSNR_MOST
from sora_eval.metrics.streaming import FeatureStatistics
from sora_eval.paths import listed, same, separator, shown, special
from sora_eval.stats.intervals import cluster_bootstrap
from sora_eval.types import Measure

_NAMES: Mapping[str, tuple[str, str]] = {
    "i3d": ("FVD", "KVD"),
    "videomae": ("CD-FVD", "CD-KVD"),
    "vjepa": ("V-JEPA Frechet", "JEDi"),
    "world-video": ("world-FVD", "world-KVD"),
}
"""A name says the network: only I3D makes an FVD."""
ENDINGS = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".gif", ".m4v")
_CLUTTER = (".DS_Store", "Thumbs.db", "desktop.ini")
"""What file managers leave behind; nobody misses it."""
_NAMED = 10
_EXAMPLE = 60
_HALVES = "at half as many clips, and so with twice the bias"
_RANGES: Mapping[str, tuple[float, float]] = {"SSIM": (-1.0, 1.0), "PSNR (dB)": (0.0, PSNR_MOST)}


def videos(folder: Path) -> dict[str, Path]:
    """Return the video files of a folder by their names without ending (NFC), in order; `left_out` names what else is there.

    Symbolic links to files are followed: whoever names a folder here knows it. Hidden files are no clips.

    Raises:
        ConfigError: there is no such folder, no video in it, two of one name, or a link to nothing.
    """
    clips, _ = _sorted_out(folder)
    if not clips:
        inside = [p.name for p in _entries(folder) if p.is_dir() and any(map(_is_clip, _entries(p)))]
        more = f"; its subfolder '{shown(inside[0])}' holds some: name that" if inside else ""
        raise ConfigError(f"{folder}: there is no video in it ({', '.join(ENDINGS)}){more}")
    by_name: dict[str, Path] = {}
    for path in clips:
        if not path.exists():
            raise ConfigError(
                f"{folder}: '{shown(path.name)}' is a link to '{shown(os.readlink(path))}', which is not there: mend or remove it"
            )
        if (other := by_name.setdefault(same(path.stem), path)) is not path:
            raise ConfigError(f"{folder}: {shown(path.name)} and {shown(other.name)} have one name")
    return by_name


def left_out(folder: Path) -> list[str]:
    """Return a line for each kind of thing in a folder that is not read as a clip: a count and the first names."""
    return [f"{folder}: {line}" for line in _sorted_out(folder)[1]]


def _sorted_out(folder: Path) -> tuple[list[Path], list[str]]:
    """Return the clips of a folder in order, and what else is in it, a line per kind."""
    if not folder.is_dir():
        raise ConfigError(f"{folder}: there is no such folder")
    kinds: dict[str, list[str]] = {}
    clips = []
    for path in sorted(_entries(folder), key=lambda p: (p.stem, p.name)):
        if path.name in _CLUTTER:
            continue
        if path.name.startswith("."):
            kind = "hidden"
        elif path.is_dir():
            kind = "a subfolder: only the folder itself is read"
        elif not _is_clip(path):
            kind = f"no video by its ending ({', '.join(ENDINGS)})"
        elif path.exists() and (what := special(path)):
            kind = f"{what}, not a file"
        else:
            clips.append(path)
            continue
        kinds.setdefault(kind, []).append(path.name)
    return clips, [f"{len(names)} left out, {kind}: {listed(names)}" for kind, names in kinds.items()]


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise ConfigError(f"{folder}: can't be read ({error.strerror})") from error


def _is_clip(path: Path) -> bool:
    return not path.name.startswith(".") and path.suffix.lower() in ENDINGS


@dataclass(frozen=True)
class Prompts:
    """The prompts of a set of clips. by_clip: by the name of the clip. problems: a line per row or clip that has none."""

    by_clip: Mapping[str, str]
    problems: tuple[str, ...]


def read_prompts(path: Path, names: Collection[str]) -> Prompts:
    """Return the prompts of clips from a CSV file with the columns `name` and `prompt`, or the prompts.csv of `sora-eval cases`.

    A name is that of the clip's file, with or without ending; `case_id` may stand for `name`. A clip without a row, with an empty prompt or
    with two different ones has none, and a line says so.

    Raises:
        ConfigError: it can't be read as CSV in UTF-8, a row has more fields than the header (a prompt with a comma and without quotes would
            be cut), or it names none of the clips.
    """
    rows, problems = _prompt_rows(path)
    found: dict[str, str] = {}
    at: dict[str, int] = {}
    unmatched: list[tuple[int, str]] = []
    for number, written, prompt in rows:
        clip = _clip_of(written, names)
        if clip is None:
            unmatched.append((number, written))
        elif clip not in found:
            found[clip], at[clip] = prompt, number
        elif found[clip] != prompt:
            found[clip] = ""
            problems.append(
                f"{path}, row {number}: '{shown(clip)}' has another prompt in row {at[clip]}; neither is used: keep one of them"
            )
        else:
            problems.append(
                f"{path}, row {number}: '{shown(clip)}' has the same prompt in row {at[clip]}: remove one of them"
            )
    if not found:
        raise ConfigError(f"{path}: none of its names is that of a clip, such as {shown(min(names))}")
    known = sorted(names)
    for number, written in unmatched[:_NAMED]:
        near = get_close_matches(written, known, n=1)
        hint = f": did you mean '{shown(near[0])}'?" if near else ": remove the row, or add the clip"
        problems.append(f"{path}, row {number}: there is no clip '{shown(written)}'{hint}")
    if more := unmatched[_NAMED:]:
        problems.append(
            f"{path}, row {more[0][0]} and later: {len(more)} more name no clip: {listed([name for _, name in more])}"
        )
    if without := [name for name in known if name not in found]:
        problems.append(f"{path}: no row for {len(without)} of {len(known)} clips: {listed(without)}; add them")
    return Prompts({name: prompt for name, prompt in found.items() if prompt}, tuple(problems))


def _prompt_rows(path: Path) -> tuple[list[tuple[int, str, str]], list[str]]:
    """Return number, name and prompt of each row of a table, and what is wrong with single ones."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: can't be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: can't be read as CSV in UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from error
    rows: list[tuple[int, str, str]] = []
    problems: list[str] = []
    # Not the lines of str.splitlines: a prompt may hold U+2028.
    reader = csv.reader(StringIO(text, newline=""), strict=True, skipinitialspace=True)
    try:
        header = _prompt_header(path, next(reader, []))
        name_at, prompt_at = header.index("name" if "name" in header else "case_id"), header.index("prompt")
        for fields in reader:
            number = reader.line_num
            if not any(field.strip() for field in fields):
                continue
            if len(fields) > len(header):
                raise ConfigError(
                    f"{path}, row {number}: {len(fields)} fields, the header has {len(header)}: put a prompt that has commas in quotes"
                )
            name, prompt = ((fields[i] if i < len(fields) else "").strip() for i in (name_at, prompt_at))
            if not name:
                problems.append(f"{path}, row {number}: no name")
            else:
                rows.append((number, name, prompt))
                if not prompt:
                    short = f" ({len(fields)} of {len(header)} fields)" if len(fields) < len(header) else ""
                    problems.append(f"{path}, row {number}: '{shown(name)}' has no prompt{short}: add it")
    except csv.Error as error:
        raise ConfigError(f"{path}, row {reader.line_num}: not CSV ({error}): is a quote not closed?") from error
    return rows, problems


def _prompt_header(path: Path, fields: Sequence[str]) -> list[str]:
    header = [field.strip() for field in fields]
    if not {"name", "case_id"} & set(header) or "prompt" not in header:
        other = separator(header)
        raise ConfigError(
            f"{path}: the columns name (or case_id) and prompt are needed, the header has {shown(', '.join(header)) or 'none'}"
            + f": separate columns by commas, not by {other}" * bool(other)
        )
    if twice := [column for column in ("name", "case_id", "prompt") if header.count(column) > 1]:
        raise ConfigError(f"{path}: the column {twice[0]} is there twice")
    return header


def _clip_of(written: str, names: Collection[str]) -> str | None:
    """Return the clip that a row names: by its name, its file's, or its file's path."""
    name = same(written)
    last = name.replace("\\", "/").rpartition("/")[2]
    stems = [text[: -len(e)] for text in (name, last) for e in ENDINGS if text.lower().endswith(e)]
    return next((n for n in (name, *stems, last) if n in names), None)


def compare(
    real: Mapping[str, Path], fake: Mapping[str, Path], prompts: Mapping[str, str], choice: Choice
) -> list[Measure]:
    """Return what a set of clips is to a set of real ones; what can't be measured has a row with the reason.

    real, fake: files by name; clips of one name stand against each other, and where every fake clip has a real one, sets are compared as
    pairs. prompts: of the fake clips, by name.
    """
    at = {name: i for i, name in enumerate(dict.fromkeys([*real, *fake]))}
    true = collect((Clip(path, at[name]) for name, path in real.items()), choice.of_sets())
    made = (Clip(path, at[name], prompts.get(name, ""), real.get(name), given=0) for name, path in fake.items())
    found = collect(made, choice)
    rows = measures(true, found, choice, paired=fake.keys() <= real.keys())
    # A run has the frozen control in a column of its own.
    return [*rows, *_continued(found, FROZEN)]


def measures(real: Collected, fake: Collected, choice: Choice, paired: bool = False) -> list[Measure]:
    """Return what one collected set is to a real one, by the metrics of `choice`; a row with the reason for what is missing.

    paired: clips of one position are of one scene. Two such sets depend on each other, which intervals and corrections have to know.
    """
    rows: list[Measure] = []
    n = (fake.clips, real.clips)
    missing = {**fake.missing, **real.missing}
    if {"frechet", "kernel"} & set(choice.metrics):
        names = _NAMES.get(choice.video, (f"{choice.video} Frechet", f"{choice.video} kernel"))
        wanted = [name for name, metric in zip(names, ("frechet", "kernel"), strict=True) if metric in choice.metrics]
        if "video" in missing:
            rows += [replace(_none(name, n, "", missing["video"]), failed=True) for name in wanted]
        else:
            said = fake.protocols["video"]
            if "frechet" in choice.metrics:
                rows += distances(real.features, fake.features, names[0], said, paired)
            if "kernel" in choice.metrics:
                which = kernel.JEDI if choice.video == "vjepa" else kernel.KVD
                rows.append(kernel_distance(real.features, fake.features, names[1], said, which, paired))
    if "motion" in choice.metrics:
        if "motion" in missing:
            rows.append(replace(_none("motion distance", n, "", missing["motion"]), failed=True))
        else:
            rows += distances(real.motion, fake.motion, "motion distance", fake.protocols["motion"], paired)
    if "words" in choice.metrics:
        rows += _by_words(fake, choice.words)
    if "pairs" in choice.metrics:
        rows += _by_pairs(fake, choice.distance)
    return rows


def _by_words(found: Collected, words: str) -> list[Measure]:
    metrics = {
        "CLIPSIM": "no clip has a prompt",
        "temporal consistency": "no clip has two frames",
        "subject consistency": "no clip has two frames",
        **{k: "" for k in ("state change", "directional similarity") if found.of(k)},
    }
    own = {"CLIPSIM": "CLIPSIM" if words.startswith("clip-") else f"{words} CLIPSIM"}
    rows = {k: _of_clips(found, "words", k, own.get(k, k), none) for k, none in metrics.items()}
    return [r if r.value is None else replace(r, reason=_of_texts(found, k, words)) for k, r in rows.items()]


def _of_texts(found: Collected, metric: str, words: str) -> str:
    """Return what one has to know of the texts behind a metric: which clips have none, and what the encoder did not read."""
    notes = []
    if metric == "CLIPSIM" and (none := found.clips - len(found.of(metric))):
        notes.append(f"{none} of {found.clips} clips have no prompt")
    some = found.unread.get(metric, {})
    texts = [some[position] for position in sorted(some)]
    of = f"of {len(found.of(metric))} texts"
    if unknown := [t for t in texts if t.unknown]:
        word, text = shown(unknown[0].unknown[0], _EXAMPLE), shown(unknown[0].text, _EXAMPLE)
        notes.append(f"{len(unknown)} {of} have words that {words} does not know, such as '{word}' in '{text}'")
    if cut := [t for t in texts if t.limit]:
        notes.append(
            f"{len(cut)} {of} are cut to the {cut[0].limit} that {words} reads, such as '{shown(cut[0].text, _EXAMPLE)}'"
        )
    return "; ".join(notes)


def _by_pairs(found: Collected, distance: str) -> list[Measure]:
    none = "no clips stand against each other"
    near = _of_clips(found, "pairs", "perceptual", distance, none, (0.0, 1.0), higher=False)
    alike = [_of_clips(found, "likeness", k, k, none, bounds) for k, bounds in _RANGES.items()]
    return [near, *alike, *_continued(found)]


def _continued(found: Collected, ending: str = "") -> list[Measure]:
    """Return Physics-IQ's measures of the clips that continue true ones; where there is none, there is no row."""
    return [
        _of_clips(found, "continuation", f"{k}{ending}", f"{k}{ending}", "", (0.0, 1.0), higher)
        for k, higher in physics_iq.HIGHER_IS_BETTER.items()
        if found.of(f"{k}{ending}")
    ]


def _of_clips(
    found: Collected,
    kind: str,
    metric: str,
    name: str,
    none: str,
    bounds: tuple[float, float] = (-1.0, 1.0),
    higher: bool = True,
) -> Measure:
    """Return the mean of a metric of single clips."""
    if kind in found.missing:
        return replace(_none(name, (found.clips,), "", found.missing[kind], higher), failed=True)
    return _mean(name, found.of(metric), found.protocols[kind], none, bounds, higher)


def distances(
    real: FeatureStatistics, fake: FeatureStatistics, name: str, protocol: str, paired: bool = False
) -> list[Measure]:
    """Return the Frechet distance of two sets of features: plug-in, without its bias, extrapolated; and real against real.

    name: of the distance, such as FVD. Sets of pairs have no row of real against real: theirs is 0.
    """
    n = (fake.n, real.n)
    if min(n) < 3:
        return [_none(name, n, protocol, f"{_clips(min(n))} too few for a distance: 3 at least")]
    groups, made = real.groups(), fake.groups()
    if (
        min(len(groups), len(made)) < 2
        or min(sum(g.n for g in some) - max(g.n for g in some) for some in (groups, made)) < 2
    ):
        return [_none(name, n, protocol, f"{_clips(min(n))} of too few different scenes for a distance")]
    # A group of which one set has no clip has no partner.
    paired = paired and real.moments.keys() == fake.moments.keys()
    found = frechet.estimate(made, groups, paired=paired)
    width = real.width or 0
    few = f"{min(n)} clips for {width} features: no interval, and no bias removed" if np.isnan(found.corrected) else ""
    said = f"frechet {protocol} ddof=1{' paired' if paired else ''}"
    rows = [
        Measure(f"{name}, plug-in", found.plug_in, None, None, n, said, False, few),
        _row(name, found.corrected, found.low, found.high, n, f"{said} jackknife={frechet.GROUPS}", few),
        _row(f"{name}, extrapolated", found.extrapolated, None, None, n, f"{said} extrapolated", few),
    ]
    halves = [frechet.merge(groups[i::2]) for i in range(2)] if len(groups) > 1 and not paired else []
    if halves and min(h.n for h in halves) >= 2:
        floor, sizes = frechet.distance(*halves), (halves[0].n, halves[1].n)
        rows.append(Measure(f"{name}, plug-in, real against real", floor, None, None, sizes, said, False, _HALVES))
    return rows


def kernel_distance(
    real: FeatureStatistics,
    fake: FeatureStatistics,
    name: str,
    protocol: str,
    which: kernel.Kernel,
    paired: bool = False,
) -> Measure:
    """Return a kernel distance of two sets of features with its interval."""
    at = [fake.positions(), real.positions()]
    if paired:
        at = [sorted(set(at[0]) & set(at[1]))] * 2
    x, y = fake.at(at[0]), real.at(at[1])
    n, group = (len(x), len(y)), fake.group_of(at[0])
    if min(n) < 3 or (paired and len(set(group)) < 3):
        return _none(name, n, protocol, f"{_clips(min(n))} too few for an interval, or of too few different scenes")
    found = kernel.estimate_paired(x, y, which, group) if paired else kernel.estimate(x, y, which)
    said = (
        f"mmd {protocol} degree={which.degree} offset={which.offset:g} unbiased={which.unbiased} scale={which.scale:g}"
    )
    said += " paired" if paired else ""
    return Measure(name, found.value, found.low, found.high, n, said, False)


def _mean(
    metric: str,
    values: Sequence[float],
    protocol: str,
    none: str,
    bounds: tuple[float, float],
    higher: bool,
) -> Measure:
    if not values:
        return _none(metric, (0,), protocol, none, higher)
    found = cluster_bootstrap(values, range(len(values)), bounds=bounds)
    low, high = (v if np.isfinite(v) else None for v in (found.low, found.high))
    return Measure(metric, found.mean, low, high, (len(values),), protocol, higher)


def _row(
    metric: str, value: float, low: float | None, high: float | None, n: tuple[int, ...], protocol: str, reason: str
) -> Measure:
    if np.isnan(value):
        return _none(metric, n, protocol, reason)
    return Measure(metric, value, low, high, n, protocol, False, reason)


def _none(metric: str, n: tuple[int, ...], protocol: str, reason: str, higher: bool = False) -> Measure:
    return Measure(metric, None, None, None, n, protocol, higher, reason)


def _clips(n: int) -> str:
    return "1 clip is" if n == 1 else f"{n} clips are"
