"""The console script. Sub-commands that take a configuration are Hydra apps; heavy packages are imported where they are used."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper

from sora_eval.commands import console
from sora_eval.errors import ConfigError, unknown

USAGE = """sora-eval tells whether a video generator simulates a world or merely draws one.

usage: sora-eval COMMAND [ARGUMENTS]

  run        ask a generator for the cases of a suite, score its videos, write a report
               sora-eval run generator=oracle suite=smoke
               sora-eval run generator=folder generator.path=my_videos suite=smoke
               sora-eval run -m generator=reference generator.checkpoint=base,4x,32x seed=0,1
  merge      put the shards of one large run together (run shard=1/4, shard=2/4, ...)
               sora-eval merge part1 part2 part3 part4 --out whole
  cases      export prompts, given frames and a manifest template, to run a model elsewhere
               sora-eval cases suite=smoke out=my_videos
  generate   answer the cases with a generator and keep only its videos (mp4 and manifest)
               sora-eval generate generator=careless suite=smoke out=their_videos
  report     write the report of a run folder again, and print its table
               sora-eval report runs/smoke-small/oracle/default/0
  leaderboard the models of several runs in one table: Markdown, CSV and one HTML page
               sora-eval leaderboard runs/standard-small/*/*/0 --out reports/leaderboard
  export     send the scores of a run to W&B, MLflow or TensorBoard
               sora-eval export runs/smoke-small/reference/32x/0 --to tensorboard
  gate       stop a candidate that is worse than a baseline: exit code 1, JUnit XML and Markdown for CI
               sora-eval gate --baseline reports/baselines/NAME --candidate RUN
  baseline   keep a run's scores, without its clips, as a baseline for the gate; show one
               sora-eval baseline save RUN
  render     write clips of the simulated world with their truth to a folder, in parallel
               sora-eval render pass_behind count=8 out=clips
  validate   the validity card: what every probe and metric notices, from which severity on
               sora-eval validate
  encoders   show what the bundled encoders notice and what they can tell apart
               sora-eval encoders
  train      train the bundled reference generator, from rendering its clips to its weights
               sora-eval train stage=all out=runs/reference
  sample     make pictures and videos with the bundled reference generator
               sora-eval sample prompt='A red ball rolls to the left.' out=ball.gif
  eval-tasks measure everything that the reference generator can do
               sora-eval eval-tasks checkpoint=32x
  fidelity   how real, matched and steady a folder of videos is, against a folder of real ones
               sora-eval fidelity REAL_FOLDER FAKE_FOLDER
  weights    list, verify, fetch or find the weights of the standard encoders (I3D, CLIP, LPIPS, ...)
               sora-eval weights list
  list       list generators, suites, profiles, sweeps, launchers, probes or families
               sora-eval list probes

Add --help to a command for its options. Exit codes: 0 done, 1 done but something was wrong with the input, 2 not done."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the console script and return its exit code."""
    if argv is not None:
        return _main(list(argv))
    console.keep_writing()
    return console.finish(_main(sys.argv[1:]))


def _main(args: list[str]) -> int:
    _print_anything()
    if not args or args[0] in ("-h", "--help", "help"):
        print(USAGE)
        return 0 if args else 2
    if args[0] in ("-V", "--version"):
        from sora_eval import __version__

        print(__version__)
        return 0
    try:
        if args[0] not in COMMANDS:
            raise unknown("command", args[0], COMMANDS)
        return COMMANDS[args[0]](args[1:])
    except KeyboardInterrupt:
        resumed = "; the same command goes on where it stopped" if args[0] in _RESUMABLE else ""
        print(f"sora-eval: stopped{resumed}", file=sys.stderr)
        return 130
    except SystemExit as stop:
        # argparse and Hydra's flags end so, with 0 or 2; a run that anything else ended is not done.
        flags = args[0] not in _RESUMABLE or any(a.startswith("-") for a in args[1:])
        if stop.code == 2 or (stop.code in (0, None) and flags):
            raise
        print(f"sora-eval: ended by sys.exit({'' if stop.code is None else stop.code})", file=sys.stderr)
        return 2
    except Exception as error:
        return console.failed(error)


def _print_anything() -> None:
    """Print as an escape what the output can't encode, such as a name that is not UTF-8, instead of ending with a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _hydra(name: str) -> Callable[[Sequence[str]], int]:
    def command(args: Sequence[str]) -> int:
        from sora_eval.commands import hydra_app

        return hydra_app.launch(name, list(args))

    return command


def _room(name: str) -> Callable[[Sequence[str]], int]:
    def command(args: Sequence[str]) -> int:
        from importlib import import_module

        return int(import_module(f"sora_eval.commands.{name}").main(args))

    return command


def _list(args: Sequence[str]) -> int:
    from sora_eval import registry

    parser = argparse.ArgumentParser(prog="sora-eval list", description="List what there is to run.")
    parser.add_argument(
        "what", nargs="?", default="probes", help="generators, suites, profiles, sweeps, launchers, probes or families"
    )
    what = parser.parse_args(args).what
    if what in registry.GROUPS:
        rows = [(name, text) for name, text in registry.names(registry.GROUPS[what]).items()]
    elif what == "probes":
        rows = [(f"{suite}.{name}", text) for name, (suite, text) in registry.probe_names().items()]
    elif what == "families":
        from sora_eval.world.families import FAMILIES

        rows = [(name, (module.__doc__ or "").split("\n")[0]) for name, module in sorted(FAMILIES.items())]
    else:
        raise unknown("list", what, [*registry.GROUPS, "probes", "families"])
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        print(f"{name:{width}}  {text}")
    return 0


def _report(args: Sequence[str]) -> int:
    from pathlib import Path

    from sora_eval.reporting.components.text import table
    from sora_eval.reporting.report.write import write_report
    from sora_eval.runs.reader import read_run

    parser = argparse.ArgumentParser(prog="sora-eval report", description="Write the report of a run folder again.")
    parser.add_argument("run", type=Path, help="the run folder")
    parser.add_argument("--players", type=int, default=3, help="clips shown per probe and model (3)")
    found = parser.parse_args(args)
    page = write_report(found.run, found.players)
    print(table(read_run(found.run).rows))
    print(f"report: {page}")
    return 0


def _fidelity(args: Sequence[str]) -> int:
    from dataclasses import asdict
    from pathlib import Path

    from sora_eval.encoders import weights
    from sora_eval.fidelity import measures
    from sora_eval.fidelity.extractors import METRICS, Choice
    from sora_eval.files import write_json, write_text
    from sora_eval.reporting.report.fidelity import table

    parser = argparse.ArgumentParser(
        prog="sora-eval fidelity",
        description="Distances of a folder of videos to a real one. Links to files are followed; hidden files and subfolders are left out.",
    )
    parser.add_argument("real", type=Path)
    parser.add_argument("fake", type=Path)
    parser.add_argument("--metrics", help=f"some of {','.join(METRICS)}; all by default")
    parser.add_argument("--video", default="world-video", help="encoder of clips: world-video, i3d, videomae, vjepa")
    parser.add_argument("--words", default="world-clip", help="encoder of words: world-clip, clip-b-32, clip-l-14")
    parser.add_argument("--distance", default="lpips-world", help="lpips-world, lpips-alex, lpips-vgg, lpips-squeeze")
    parser.add_argument(
        "--weights", action="append", default=[], metavar="NAME=FILE", help="weights of that name; again for more"
    )
    parser.add_argument("--i3d-eps", type=float, default=1e-3, help="of I3D's batch norm: 1e-3 (TensorFlow) or 1e-5")
    parser.add_argument(
        "--prompts", type=Path, help="CSV with the columns name and prompt, or the prompts.csv of sora-eval cases"
    )
    parser.add_argument("--out", type=Path, help="folder for fidelity.json and fidelity.md")
    found = parser.parse_args(args)
    metrics = tuple(found.metrics.split(",")) if found.metrics else METRICS
    if wrong := [part for part in found.weights if "=" not in part]:
        raise ConfigError(f"--weights {wrong[0]}: write NAME=FILE")
    weights.use(dict(part.split("=", 1) for part in found.weights))
    choice = Choice(metrics, found.video, found.words, found.distance, found.i3d_eps)
    real, fake = measures.videos(found.real), measures.videos(found.fake)
    notes = list(dict.fromkeys([*measures.left_out(found.real), *measures.left_out(found.fake)]))
    prompts = measures.Prompts({}, ()) if found.prompts is None else measures.read_prompts(found.prompts, fake)
    # Before the clips are read, which may take minutes.
    for line in notes:
        print(f"note: {line}", file=sys.stderr)
    for line in prompts.problems:
        print(f"problem: {line}", file=sys.stderr)
    rows = measures.compare(real, fake, prompts.by_clip, choice)
    text = table(rows)
    print(text)
    if found.out is not None:
        about = {"rows": [asdict(r) for r in rows], "problems": list(prompts.problems), "notes": notes}
        write_json(found.out / "fidelity.json", about)
        write_text(found.out / "fidelity.md", text + "\n")
    # What was asked for must not be missing in silence; that few clips have no interval is no fault of theirs.
    missing = [r.metric for r in rows if r.failed]
    return 1 if missing or prompts.problems else 0


def _weights(args: Sequence[str]) -> int:
    from pathlib import Path

    from sora_eval.encoders import weights

    parser = argparse.ArgumentParser(prog="sora-eval weights", description="The weights of the standard encoders.")
    parser.add_argument("action", choices=["list", "verify", "fetch", "path"])
    parser.add_argument("names", nargs="*", metavar="name", help="which ones; all of them for list and verify")
    found = parser.parse_args(args)
    every = [*weights.ENCODERS, *(e.name for e in weights.ENTRIES)]
    names = found.names or (every if found.action in ("list", "verify") else [])
    if not names:
        raise ConfigError(f"say which: sora-eval weights {found.action} NAME; sora-eval weights list shows the names")
    wrong = 0
    for name in names:
        if name in weights.ENCODERS:
            wrong += _bundled(name, found.action)
            continue
        entry = weights.entry(name)
        path: Path | None = None
        try:
            path = weights.fetch(name) if found.action == "fetch" else weights.locate(name)
            digest = weights.verify(name, path) if found.action == "verify" else ""
        except weights.AbsentWeightsError:
            if found.action == "path":
                raise
        except ConfigError as error:
            print(f"sora-eval: {error}", file=sys.stderr)
            wrong += 1
            continue
        if found.action == "list":
            print(
                f"{name:14} {'here' if path else 'absent':6} {entry.megabytes:6} MB  {entry.licence:12}  {entry.used_for}"
            )
            print(f"{'':14} {path or entry.source}")
        elif found.action == "verify":
            pinned = "" if entry.sha256 else ", no hash is published to compare it with"
            print(f"{name:14} {f'sha256 {digest}{pinned}' if path else 'absent'}")
        else:
            print(path)
    return 1 if wrong else 0


def _bundled(name: str, action: str) -> int:
    """Tell of the weights of an encoder that comes with the package; nothing has to be fetched."""
    from sora_eval.encoders import weights

    try:
        path = weights.bundled(name)
    except weights.AbsentWeightsError as error:
        print(f"{name:14} absent\n{'':14} {error}" if action == "list" else f"{name:14} absent")
        return int(action in ("path", "fetch"))
    if action == "list":
        size = path.stat().st_size / 1e6
        print(f"{name:14} {'here':6} {size:6.1f} MB  {'Apache-2.0':12}  {weights.ENCODERS[name]}\n{'':14} {path}")
    elif action == "verify":
        try:
            print(f"{name:14} {weights.load_bundled(name)[2]}, whole")
        except ConfigError as error:
            print(f"sora-eval: {error}", file=sys.stderr)
            return 1
    else:
        print(path)
    return 0


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "run": _hydra("run"),
    "cases": _hydra("cases"),
    "generate": _hydra("generate"),
    "render": _hydra("render"),
    "validate": _hydra("validate"),
    "encoders": _hydra("encoders"),
    "train": _hydra("train"),
    "sample": _hydra("sample"),
    "eval-tasks": _hydra("eval-tasks"),
    "report": _report,
    "merge": _room("merge"),
    "leaderboard": _room("leaderboard"),
    "export": _room("export"),
    "gate": _room("gate"),
    "baseline": _room("baseline"),
    "fidelity": _fidelity,
    "weights": _weights,
    "list": _list,
}

_RESUMABLE = ("run", "generate", "render", "validate", "train", "eval-tasks", "gate")

if __name__ == "__main__":
    sys.exit(main())
