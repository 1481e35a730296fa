"""`sora-eval export RUN --to wandb|mlflow|tensorboard`: the scores of a run where a team keeps its experiments."""

from __future__ import annotations

import argparse
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from sora_eval.errors import ConfigError, SoraEvalError
from sora_eval.paths import encodable

if TYPE_CHECKING:
    import pandas as pd

    from sora_eval.runs.reader import Run
    from sora_eval.stats.summary import Cell, Summary
    from sora_eval.types import Frames, Measure, ScoreRow, Video

PROJECT = "sora-eval"
CLIPS = 6
"""Clips that are sent by default."""
_COLUMNS = 8
"""Frames of a strip."""


@dataclass(frozen=True)
class WorstClip:
    """A clip that scored low, to be looked at beside the scores."""

    case: str
    """The case's id."""
    caption: str
    """Score, or why there is none, and prompt."""
    strip: Frames
    """Frames from first to last in one picture, the truth's below them where the run has it, uint8 [H, W, 3]."""
    mp4: bytes
    """The clip as H.264 for browsers."""


@dataclass(frozen=True)
class Export:
    """One generator of a run."""

    id: str
    """Hash of the run's and the generator's identity: a second export replaces the first where a service can do that."""
    name: str
    """RUN/GENERATOR."""
    group: str
    """Name of the run."""
    settings: Mapping[str, Any]
    """Configuration of the run and of the generator, JSON values."""
    scalars: Mapping[str, float]
    """By name: "score/SUITE/PROBE", "score/SUITE/all", "score/all", "fidelity/...", "tracking/SUITE/PROBE/METRIC" and the like."""
    table: pd.DataFrame
    """The generator's cells, as in summary.json."""
    text: str
    """Tables of the run, Markdown."""
    protocol: str = ""
    """Hash of the protocol: scores of two exports may be compared where it is the same; "" for a run that records no versions."""
    clips: tuple[WorstClip, ...] = ()
    """The worst clips: of each probe before the second worst of any."""


def main(args: Sequence[str]) -> int:
    """Send the scores of a run to a tracking service and print where they are."""
    parser = argparse.ArgumentParser(
        prog="sora-eval export", description="Send the scores of a run to W&B, MLflow or TensorBoard."
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--to", required=True, choices=list(SENDERS))
    parser.add_argument("--project", default=PROJECT, help=f"W&B project or MLflow experiment ({PROJECT})")
    parser.add_argument("--out", type=Path, help="folder for local files; by default where the service puts them")
    parser.add_argument("--references", action="store_true", help="the oracle and the controls too, not only the model")
    parser.add_argument("--clips", type=int, default=CLIPS, metavar="N", help=f"worst clips to send ({CLIPS})")
    options = parser.parse_args(args)
    if options.clips < 0:
        raise ConfigError(f"--clips must be 0 or more, got {options.clips}")
    if find_spec(options.to) is None:
        raise ConfigError(
            f"--to {options.to} needs a package that is not installed: pip install 'sora-eval[{options.to}]'"
        )
    if options.out is not None and encodable(str(options.out)) != str(options.out):
        raise ConfigError(f"--out {options.out} is no name in UTF-8, which {options.to} needs: name another folder")
    for export in exports(options.run, options.references, options.clips):
        where = SENDERS[options.to](export, options.project, options.out)
        print(f"{export.name}: {len(export.scalars)} scalars and {len(export.clips)} clips are in {where}")
    return 0


def exports(folder: Path, references: bool = False, clips: int = CLIPS) -> Iterator[Export]:
    """Yield what there is to send of a run: its models, or all of its generators where it has no model or the options name them.

    clips: number of the worst clips of each.

    Raises:
        ConfigError: the run is broken.
    """
    from sora_eval.reporting.components.text import markdown
    from sora_eval.reporting.report.page import make_page
    from sora_eval.reporting.report.tracking import scalars as tracking_scalars
    from sora_eval.reporting.report.tracking import summarise as summarise_tracking
    from sora_eval.runs.measures import read_measures
    from sora_eval.runs.reader import read_run
    from sora_eval.runs.tracking import read_tracking
    from sora_eval.stats.failures import why_failed
    from sora_eval.stats.summary import summarise
    from sora_eval.types import digest

    run = read_run(folder)
    summary = summarise(run.rows)
    group = encodable(folder.resolve().name)
    tracking = summarise_tracking(read_tracking(folder))
    text = encodable(markdown(make_page(run, summary, tracked=tracking, name=group)))
    measures = read_measures(folder)
    chosen = summary.generators if references else summary.of_kind("model") or summary.generators
    if why := next((why for name in chosen if (why := why_failed(run.rows, name))), ""):
        raise ConfigError(f"{folder}: {why}")
    protocol = _protocol(run)
    for name in chosen:
        own = {suite: by[name] for suite, by in measures.items() if name in by}
        frame = summary.frame()
        yield Export(
            protocol=protocol,
            clips=tuple(_worst(run, name, clips)),
            id=digest([run.manifest.get("hashes"), run.manifest.get("generators"), group, name]),
            name=f"{group}/{name}",
            group=group,
            settings={**_settings(run, name), **({"protocol": protocol} if protocol else {})},
            scalars={**dict(scalars(summary, name, own)), **dict(tracking_scalars(tracking, name))},
            table=frame[frame["generator"] == name],
            text=text,
        )


def _protocol(run: Run) -> str:
    from sora_eval.runs.protocol import protocol_hash, protocol_of

    try:
        return protocol_hash(protocol_of(run))
    except ConfigError:
        return ""


def _worst(run: Run, name: str, count: int) -> Iterator[WorstClip]:
    from sora_eval.reporting.components.players import choose, worst_first
    from sora_eval.video import encode_h264
    from sora_eval.video.sheets import contact_sheet

    own = [r for r in run.rows if r.generator == name and r.video]
    truths = {r.prompt_id: r for r in run.rows if r.kind == "oracle" and r.video and name != r.generator}
    for row in choose(own, count, count) or worst_first(own)[:count]:
        clip = _clip(run, row)
        if clip is None:
            continue
        truth = _clip(run, truths[row.prompt_id]) if row.prompt_id in truths else None
        strip = contact_sheet([clip.frames, *([truth.frames] if truth else [])], min(_COLUMNS, len(clip)))
        outcome = row.reason if row.value is None else f"{row.value:.2f}"
        yield WorstClip(row.case, encodable(f"{row.case}: {outcome}. {row.prompt}"), strip, encode_h264(clip))


def _clip(run: Run, row: ScoreRow) -> Video | None:
    """Return the clip of a row, None where its file is gone, damaged, or no file of the run."""
    from sora_eval.files import inside
    from sora_eval.video import read_clip

    path = inside(run.folder, row.video)
    try:
        return None if path is None else read_clip(path)
    except (SoraEvalError, OSError):
        return None


def _settings(run: Run, name: str) -> dict[str, Any]:
    kept = {
        k: run.manifest[k]
        for k in ("tool_version", "suite", "profile", "seed", "samples", "config")
        if k in run.manifest
    }
    about = [g for g in run.manifest.get("generators", []) if isinstance(g, Mapping) and g.get("name") == name]
    settings: dict[str, Any] = _encodable({**kept, "generator": dict(about[0]) if about else {"name": name}})
    return settings


def _encodable(value: Any) -> Any:
    """Return a JSON value whose texts any service can take."""
    if isinstance(value, Mapping):
        return {encodable(str(k)): _encodable(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_encodable(v) for v in value]
    return encodable(value) if isinstance(value, str) else value


def scalars(summary: Summary, name: str, measures: Mapping[str, Sequence[Measure]]) -> Iterator[tuple[str, float]]:
    """Yield name and value of a generator's scores, with its intervals and shares of failures. measures: of fidelity, by suite."""
    for cell in summary.cells:
        if cell.generator == name and not cell.mode:
            where = _where(cell)
            if cell.technical:
                yield f"technical/{where}", cell.technical / cell.n
            if cell.failed:
                continue
            yield f"score/{where}", cell.score
            # A probe of one scene whose values leave [0, 1] has no interval.
            if math.isfinite(cell.low) and math.isfinite(cell.high):
                yield f"score_low/{where}", cell.low
                yield f"score_high/{where}", cell.high
            yield f"unjudgeable/{where}", cell.unjudgeable / cell.n
    # Names of their own: best of K is no score, and a service would draw it over one.
    for s in summary.sampling:
        if s.generator == name:
            where = "/".join(part for part in (s.suite, s.probe or "all") if part)
            yield f"samples_deviation/{where}", s.deviation
            yield f"samples_best_of_{s.samples}/{where}", s.best
    for suite, row in measures.items():
        for m in row:
            if m.value is not None:
                # Services take letters, digits and few signs in names.
                yield f"fidelity/{suite or 'all'}/{re.sub(r'[^A-Za-z0-9_. -]+', '_', m.metric)}", m.value


def _where(cell: Cell) -> str:
    # A name that also begins another one can't be a file, and MLflow's store makes files of names.
    return "/".join(part for part in (cell.suite, cell.probe or "all") if part)


def _wandb(export: Export, project: str, out: Path | None) -> str:
    import wandb

    run = wandb.init(
        project=project,
        id=export.id,
        name=export.name,
        group=export.group,
        config=dict(export.settings),
        dir=None if out is None else str(_made(out)),
        resume="allow",
        reinit="finish_previous",
    )
    with TemporaryDirectory() as folder:
        pictures = [wandb.Image(clip.strip, caption=clip.caption) for clip in export.clips]
        videos = [wandb.Video(_file(Path(folder), clip), format="mp4", caption=clip.caption) for clip in export.clips]
        media = {"worst_clips": pictures, "worst_videos": videos} if export.clips else {}
        run.log({**export.scalars, "scores": wandb.Table(dataframe=export.table), **media})
        run.finish()
    return f"W&B, project {project}"


def _mlflow(export: Export, project: str, out: Path | None) -> str:
    import mlflow

    if out is not None:
        # MLflow 3 asks for consent to its older store; the newer one needs a database that its small package lacks.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        mlflow.set_tracking_uri(_made(out).resolve().as_uri())
    mlflow.set_experiment(project)
    with mlflow.start_run(run_name=export.name):
        mlflow.set_tags({"run": export.group, "sora_eval_id": export.id, "protocol": export.protocol})
        mlflow.log_dict(dict(export.settings), "settings.json")
        mlflow.log_metrics(dict(export.scalars))
        mlflow.log_text(export.table.to_csv(index=False), "scores.csv")
        mlflow.log_text(export.text, "report.md")
        with TemporaryDirectory() as folder:
            for clip in export.clips:
                mlflow.log_image(clip.strip, f"worst_clips/{clip.case}.png")
                mlflow.log_artifact(_file(Path(folder), clip), "worst_clips")
    return f"MLflow, experiment {project}"


def _tensorboard(export: Export, project: str, out: Path | None) -> str:
    from torch.utils.tensorboard import SummaryWriter

    folder = (out or Path("tensorboard") / project) / export.name
    # An earlier export of the same run would be drawn over this one.
    for old in folder.glob("events.out.tfevents.*"):
        old.unlink()
    with SummaryWriter(str(folder)) as writer:
        for name, value in export.scalars.items():
            writer.add_scalar(name, value, 0)
        writer.add_text("report", export.text, 0)
        writer.add_text("protocol", export.protocol, 0)
        for clip in export.clips:
            writer.add_image(f"worst_clips/{clip.case}", clip.strip, 0, dataformats="HWC")
            writer.add_text(f"worst_clips/{clip.case}", clip.caption, 0)
    return str(folder)


def _file(folder: Path, clip: WorstClip) -> str:
    """Write a clip as MP4 and return its path."""
    path = folder / f"{clip.case}.mp4"
    path.write_bytes(clip.mp4)
    return str(path)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


SENDERS: dict[str, Callable[[Export, str, Path | None], str]] = {
    "wandb": _wandb,
    "mlflow": _mlflow,
    "tensorboard": _tensorboard,
}
