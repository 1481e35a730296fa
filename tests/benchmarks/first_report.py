"""Minutes from a clone to the first report, by the form that a model comes in: `python -m benchmarks.first_report [FORM ...] [--write]`.

Each form has an empty folder and an empty environment: clone, `python3 -m venv`, `pip install`, and the commands of docs/your_model.md.
Times depend on the network and on what pip has in its cache. `--write` writes their rows into the table of that page.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from benchmarks.cost import ROOT, write
from services.server import KEY, Service, serving

from sora_eval.types import Video
from sora_eval.video import encode_h264

_PAGE = ROOT / "docs" / "your_model.md"
_HEAD = ("| your model is | installation | first report | together |", "|---|--:|--:|--:|")
_KEY_ENV = "FIRST_REPORT_KEY"
Commands = Sequence[Sequence[str]]
_RUN = ("sora-eval", "run", "suite=smoke", "suite.modes=[t2v]", "out=report")
_CASES = ("suite=smoke", "profile=large", "suite.suites=[left_right]", "suite.modes=[t2v]")
"""Ten prompts at 832 x 480 x 81."""
_FUNCTION = '''"""A grey picture."""

import numpy as np


def generate(prompt, *, height, width, frames, fps, seed, conditioning):
    return np.full((frames, height, width, 3), 128, np.uint8)
'''
_CLASS = '''"""A generator class."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from sora_eval.generator.base import Capabilities
from sora_eval.types import Video


@dataclass(frozen=True)
class Grey:
    level: int = 128
    name: str = "grey"
    kind = "model"
    capabilities = Capabilities()

    def fingerprint(self, case):
        return f"grey {self.level}"

    def generate(self, cases):
        for case in cases:
            yield Video(np.full((case.frames, *case.size, 3), self.level, np.uint8), case.fps)
'''


@dataclass(frozen=True)
class Form:
    """A form that a model comes in."""

    title: str
    """What the page calls it."""
    steps: Callable[[Path], Iterator[Commands]]
    """Of the folder: yields commands; what the model's owner does stands between them and is not timed."""
    extra: str = ""
    """Extra of the package, in brackets."""


def _folder(folder: Path) -> Iterator[Commands]:
    yield [["sora-eval", "cases", *_CASES, "out=mine"]]
    made = [sys.executable, "-m", "sora_eval.commands.cli", "generate", "generator=careless", *_CASES]
    _call([*made, f"out={folder / 'made'}"], folder, dict(os.environ))
    (folder / "mine" / "videos").mkdir(exist_ok=True)
    files = sorted((folder / "made").rglob("*.mp4"))
    assert len(files) == 10, files
    for file in files:
        file.rename(folder / "mine" / "videos" / file.name)
    yield [["sora-eval", "run", "generator=folder", "generator.path=mine", *_CASES, "out=report"]]


def _function(folder: Path) -> Iterator[Commands]:
    (folder / "my_model.py").write_text(_FUNCTION)
    yield [[*_RUN, "generator=callable", "generator.target=my_model:generate"]]


def _class(folder: Path) -> Iterator[Commands]:
    plugins = folder / "my_plugins"
    plugins.mkdir()
    (plugins / "my_models.py").write_text(_CLASS)
    (plugins / "sora_eval_plugin.py").write_text('from my_models import Grey\n\ngenerators = {"grey": Grey}\n')
    yield [[*_RUN[:2], "--include", "my_plugins", *_RUN[2:], "generator=grey"]]


def _pipeline(folder: Path) -> Iterator[Commands]:
    # Not above: a form without diffusers needs none here either.
    from pipelines.tiny import saved

    model = saved("WanPipeline", folder / "model")
    yield [[*_RUN, "generator=diffusers", f"generator.model={model}"]]


def _devices(folder: Path) -> Iterator[Commands]:
    for commands in _pipeline(folder):
        yield [[*commands[0], "devices=[cpu,cpu]"]]


def _service(entry: Sequence[str], _: Path) -> Iterator[Commands]:
    """Serve noise as the entry of conf/generator expects it; the stand-in wants a key of everybody."""
    frames = np.random.default_rng(0).integers(0, 256, (17, 64, 64, 3), dtype=np.uint8)
    with serving(Service(encode_h264(Video(frames, 8.0)))) as service:
        yield [[*_RUN, *entry, f"generator.url={service.url}", f"generator.key_env={_KEY_ENV}"]]


def _bundled(_: Path) -> Iterator[Commands]:
    yield [[*_RUN, "generator=reference"]]


FORMS: dict[str, Form] = {
    "folder": Form("ten mp4s of 832 x 480 x 81", _folder),
    "function": Form("a Python function", _function),
    "pipeline": Form("a tiny Wan pipeline", _pipeline, "[diffusers]"),
    "service": Form("a local video service", partial(_service, ["generator=vllm_omni"])),
    "hosted": Form(
        "a service with OpenAI's videos API and a key",
        partial(_service, ["generator=openai_videos", "generator.model=sora"]),
    ),
    "devices": Form("the pipeline in two processes", _devices, "[diffusers]"),
    "class": Form("a generator class", _class),
    "bundled": Form("the bundled generator", _bundled),
}


def _call(command: Sequence[str], folder: Path, environment: dict[str, str]) -> float:
    """Run a command in a folder; return its seconds."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    # 1: done, but something was wrong with the input, such as a clip that nothing is to be seen in.
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return time.perf_counter() - start


def seconds_of(form: Form, folder: Path) -> tuple[float, float]:
    """Return the seconds of the installation, and from there to the report, in an empty folder."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL", "OMP", "SORA"))}
    environment[_KEY_ENV] = KEY
    # References that another run has made would be time saved.
    environment["SORA_EVAL_CACHE"] = str(folder / "cache")
    environment["PATH"] = f"{folder / '.venv' / 'bin'}{os.pathsep}{environment['PATH']}"
    install = [
        ["git", "clone", "--quiet", str(ROOT), "clone"],
        ["python3", "-m", "venv", ".venv"],
        ["python", "-m", "pip", "install", "--quiet", "--editable", f"./clone{form.extra}"],
    ]
    installed = sum(_call(command, folder, environment) for command in install)
    seconds = 0.0
    for commands in form.steps(folder):
        seconds += sum(_call(command, folder, environment) for command in commands)
    assert (folder / "report" / "report.html").is_file()
    return installed, seconds


def _written() -> Iterator[tuple[str, str]]:
    """Yield the title and the row of each form that the page has."""
    for line in _PAGE.read_text(encoding="utf-8").splitlines():
        for form in FORMS.values():
            if line.startswith(f"| {form.title} |") and line.count("|") == _HEAD[0].count("|"):
                yield form.title, line


def main() -> None:
    """Try the forms, all of them by default, and print their times."""
    names = [word for word in sys.argv[1:] if word != "--write"] or list(FORMS)
    rows = dict(_written())
    # Removed at the end: an environment with PyTorch takes minutes, which are the next one's.
    with TemporaryDirectory(prefix="first-report-") as temporary:
        for name in names:
            folder = Path(temporary) / name
            folder.mkdir()
            installed, seconds = seconds_of(FORMS[name], folder)
            times = (f"{t // 60:.0f} min {t % 60:02.0f} s" for t in (installed, seconds, installed + seconds))
            rows[FORMS[name].title] = f"| {FORMS[name].title} | {' | '.join(times)} |"
            print(rows[FORMS[name].title], flush=True)
            if "--write" in sys.argv:
                found = [rows[form.title] for form in FORMS.values() if form.title in rows]
                write(_PAGE, "first report", "\n".join([*_HEAD, *found]))


if __name__ == "__main__":
    main()
