"""The console script. Sub-commands that take a configuration are Hydra apps; heavy packages are imported where they are used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import TextIOWrapper

from sora_eval.commands import console
from sora_eval.errors import ConfigError, print_error, unknown


@dataclass(frozen=True)
class Command:
    """A sub-command."""

    group: str
    """Heading in the help."""
    help: str
    """What it does, in one line."""
    example: str
    """Arguments of an example."""
    hydra: bool = False
    """Whether its arguments are a configuration."""
    resumes: bool = False
    """Whether the same command resumes where it was interrupted."""


COMMAND_TABLE: dict[str, Command] = {
    "run": Command(
        "evaluate",
        "generate the cases of a suite, score the videos, write a report",
        "generator=oracle suite=smoke",
        True,
        True,
    ),
    "watch": Command(
        "evaluate",
        "score each checkpoint of a training as it appears, keep its curves up to date, stop when it gets worse",
        "'ckpts/*.safetensors' suite=gate generator=reference",
        True,
        True,
    ),
    "plan": Command(
        "evaluate",
        "cases, clips, disk, memory and time of a run before it starts, measured on this machine",
        "suite=standard profile=large model_seconds=60",
        True,
    ),
    "cases": Command(
        "evaluate",
        "export prompts, given frames and a manifest template, to run a model elsewhere",
        "suite=smoke out=my_videos",
        True,
    ),
    "merge": Command(
        "evaluate", "merge the shards of one large run (run shard=1/4, shard=2/4, ...)", "part1 part2 --out whole"
    ),
    "report": Command(
        "evaluate", "write the report of a run folder again, and print its table", "runs/smoke-small/oracle/default/0"
    ),
    "reproduce": Command(
        "evaluate",
        "make a run again from its reproduction card, and compare the scores case by case",
        "runs/smoke-small/oracle/default/0/card.json out=again",
        resumes=True,
    ),
    "fidelity": Command(
        "evaluate",
        "FVD, KVD, CLIPSIM, SSIM, ... of a folder of videos against a folder of real ones",
        "REAL_FOLDER FAKE_FOLDER",
    ),
    "leaderboard": Command(
        "compare",
        "several runs in one table: Markdown, CSV and one HTML page",
        "runs/standard-small/*/*/0 --out reports/leaderboard",
    ),
    "view": Command(
        "compare",
        "browse the clips of several runs on one offline page: filters, and the same case side by side",
        "runs/smoke-small/*/*/0 --out view.html",
    ),
    "baseline": Command(
        "compare", "keep a run's scores, without its clips, as a baseline of the gate; show one", "save RUN"
    ),
    "gate": Command(
        "compare",
        "stop a candidate that is worse than a baseline: exit code 1, JUnit XML and Markdown for CI",
        "--baseline reports/baselines/NAME --candidate RUN",
        resumes=True,
    ),
    "explain": Command(
        "compare",
        "which settings differ between two runs, and how much of the score difference goes with which",
        "runs/smoke-small/reference/base/0 runs/smoke-small/reference/4x/0 out=why.json",
    ),
    "bundle": Command(
        "compare",
        "a run in one archive for others: clips, reproduction card, scores and hashes",
        "runs/smoke-small/oracle/default/0 out=oracle.zip",
    ),
    "verify": Command(
        "compare",
        "check a bundle: hashes, cases, and a random share of its clips scored again; exit code 0 or 1",
        "oracle.zip share=0.1",
    ),
    "export": Command("compare", "send the scores of a run to W&B, MLflow or TensorBoard", "RUN --to tensorboard"),
    "generate": Command(
        "generate",
        "generate the videos of a suite and keep only these (MP4 and manifest)",
        "generator=careless out=their_videos",
        True,
        True,
    ),
    "sample": Command(
        "generate",
        "pictures and videos from the bundled reference generator",
        "prompt='A red ball rolls to the left.' out=ball.gif",
        True,
    ),
    "render": Command(
        "generate", "clips of the simulated world with their truth", "pass_behind count=8 out=clips", True, True
    ),
    "train": Command(
        "train",
        "train the bundled networks, from rendering their clips to their weights",
        "stage=all out=runs/reference",
        True,
        True,
    ),
    "eval-tasks": Command(
        "train", "measure everything that the reference generator can do", "checkpoint=42x", True, True
    ),
    "validate": Command(
        "inspect",
        "metric validation: detection threshold, dose-response and false-alarm rate of every probe and metric",
        "",
        True,
        True,
    ),
    "audit": Command(
        "inspect",
        "audit of a metric, reward model or judge: which wrong clips it prefers to the truth",
        "'scorers=[clipsim,my_metric.py:score]'",
        True,
        True,
    ),
    "encoders": Command(
        "inspect", "sensitivity of the bundled encoders to corruptions, and what they discriminate", "", True
    ),
    "weights": Command(
        "inspect", "list, verify, fetch or find the weights of the standard encoders (I3D, CLIP, LPIPS, ...)", "list"
    ),
    "list": Command(
        "inspect",
        "list generators, trackers, suites, profiles, sweeps, launchers, probes, families or metrics",
        "probes",
    ),
}


def usage() -> str:
    """Return the help of the console script."""
    lines = [
        "sora-eval tells whether a video generator simulates a world or merely draws one.",
        "",
        "usage: sora-eval COMMAND [ARGUMENTS]",
    ]
    for group in dict.fromkeys(c.group for c in COMMAND_TABLE.values()):
        lines += ["", f"{group}:"]
        for name, command in COMMAND_TABLE.items():
            if command.group == group:
                lines += [f"  {name:11} {command.help}", f"              sora-eval {name} {command.example}".rstrip()]
    return "\n".join(
        [
            *lines,
            "",
            "Add --help to a command for its options, --include DIR for plug-ins of a folder (DIR/conf, DIR/sora_eval_plugin.py).",
            "Exit codes: 0 done, 1 done but something was wrong with the input, 2 not done.",
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the console script and return its exit code."""
    if argv is not None:
        return _main(list(argv))
    console.keep_writing()
    return console.finish(_main(sys.argv[1:]))


def _main(args: list[str]) -> int:
    _print_anything()
    if not args or args[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if args else 2
    if args[0] in ("-V", "--version"):
        from sora_eval.version import __version__

        print(__version__)
        return 0
    try:
        if args[0] not in COMMANDS:
            raise unknown("command", args[0], COMMANDS)
        return COMMANDS[args[0]](_included(args[1:]))
    except KeyboardInterrupt:
        resumed = "; the same command resumes where it stopped" if COMMAND_TABLE[args[0]].resumes else ""
        print(f"sora-eval: stopped{resumed}", file=sys.stderr)
        return 130
    except SystemExit as stop:
        # argparse and Hydra's flags end so, with 0 or 2; a run that anything else ended is not done.
        flags = not COMMAND_TABLE[args[0]].resumes or any(a.startswith("-") for a in args[1:])
        if stop.code == 2 or (stop.code in (0, None) and flags):
            raise
        print(f"sora-eval: ended by sys.exit({'' if stop.code is None else stop.code})", file=sys.stderr)
        return 2
    except Exception as error:
        return print_error(error)


def _included(args: list[str]) -> list[str]:
    """Include the folders of --include DIR and return the other arguments."""
    rest: list[str] = []
    words = iter(args)
    for word in words:
        option, equals, folder = word.partition("=")
        if option != "--include":
            rest.append(word)
            continue
        from sora_eval.plugins.include import include

        if not (folder := folder if equals else next(words, "")):
            raise ConfigError("--include: name a folder, --include DIR")
        include(folder)
    return rest


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


def _plain(name: str) -> Callable[[Sequence[str]], int]:
    def command(args: Sequence[str]) -> int:
        from importlib import import_module

        return int(import_module(f"sora_eval.commands.{name}").main(args))

    return command


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    name: _hydra(name) if command.hydra else _plain(name) for name, command in COMMAND_TABLE.items()
}

if __name__ == "__main__":
    sys.exit(main())
