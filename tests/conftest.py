"""A run folder made of moving squares: an oracle, a frozen control and a model that is sometimes wrong."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sora_eval.reporting import write_report
from sora_eval.types import Case, Floats, Mode, ScoreRow, Video
from sora_eval.video import write_ffv1
from sora_eval.world.palette import rgb

# Tests share no clips with each other or with the runs of whoever starts them.
os.environ["SORA_EVAL_CACHE"] = ""

EVIL = (
    """<img src=x onerror="document.title='owned'"></script><script>document.title='owned'</script>'"&amp;{{ 7*7 }}"""
)
EVIL_NAME = "model \"<b onclick=x>\" & 'co'"
SIZE, FRAMES, FPS = 48, 24, 12.0
PROBES: dict[str, tuple[str, tuple[Mode, ...], float]] = {
    "behind_wall": ("permanence", ("t2v", "i2v", "v2v"), 0.25),
    "count": ("permanence", ("t2v",), 0.0),
    "two_drops": ("physics", ("t2v", "v2v"), 0.0),
}


def square(colour: str, xy: Floats, size: int = SIZE) -> Video:
    """Return a clip of a square of 9 px at xy [T, 2] over grey; not drawn where xy is NaN."""
    frames = np.full((len(xy), size, size, 3), 150, np.uint8)
    for frame, (x, y) in zip(frames, xy, strict=True):
        if np.isfinite(x):
            frame[round(y) - 4 : round(y) + 5, round(x) - 4 : round(x) + 5] = rgb(colour)
    return Video(frames, FPS)


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write one JSON value per line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def make_run(folder: Path, models: tuple[str, ...] = ("model-a",), per_mode: int = 6, seed: int = 0) -> Path:
    """Write a run folder; every model fails more often than the one before it."""
    rng = np.random.default_rng(seed)
    cases: list[Case] = []
    rows: list[ScoreRow] = []
    for probe, (suite, modes, chance) in PROBES.items():
        for mode in modes:
            for number in range(per_mode):
                prompt = EVIL if (probe, mode, number) == ("two_drops", "t2v", 0) else f"a red square, number {number}"
                name = f"{suite}.{probe}.{mode}.{number:04d}"
                case = Case(
                    name,
                    suite,
                    probe,
                    mode,
                    prompt,
                    (SIZE, SIZE),
                    FPS,
                    FRAMES,
                    0,
                    number,
                    {},
                    {},
                    f"scene{number // 2}",
                )
                cases.append(case)
                rows += _rows(folder, case, models, chance, rng)
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {
        "tool_version": "0.1.0",
        "created": "2026-11-22T18:30:00Z",
        "command": f"sora-eval run suite=all profile=quick model={','.join(models)}",
        "config": {"suite": "all"},
        "suite": "all",
        "profile": "quick",
        "generators": [{"name": m, "kind": "model", "fingerprint": "sha256:0123"} for m in models],
        "seed": 0,
        "versions": {"python": "3.11", "numpy": np.__version__},
        "machine": {"cpu": "test", "cores": 2},
        "hashes": {"cases": "abc"},
        "problems": ["<b>bold</b> claim"],
        "timings": {"generate": 1.5},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    write_jsonl(folder / "cases.jsonl", [c.to_json() for c in cases])
    write_jsonl(folder / "scores.jsonl", [asdict(r) for r in rows])
    return folder


def _rows(folder: Path, case: Case, models: tuple[str, ...], chance: float, rng: np.random.Generator) -> list[ScoreRow]:
    t = np.linspace(0, 1, FRAMES)
    colour = ("red", "blue", "green", "purple")[case.seed % 4]
    truth = np.stack([8 + 32 * t, 8 + 30 * t**2], axis=1)
    truth[8:12] = np.nan
    late = np.stack([8 + 20 * t, np.full(FRAMES, 10.0)], axis=1)
    late[8:] = np.nan
    still = np.repeat(truth[:1], FRAMES, axis=0)
    found = []
    for name, kind, xy in [
        ("oracle", "oracle", truth),
        ("frozen", "control", still),
        *((m, "model", late) for m in models),
    ]:
        value: float | None = {"oracle": 1.0, "control": 0.1}.get(kind)
        reason = ""
        if kind == "model":
            value = float(rng.uniform(0, 1) ** (1 + models.index(name)))
            if case.prompt == EVIL:
                value = 0.0
            elif rng.uniform() < 0.15:
                value, reason = None, "no object was found in the first frame"
        row = ScoreRow(
            case=case.id,
            suite=case.suite,
            probe=case.probe,
            mode=case.mode,
            generator=name,
            kind=kind,
            value=value,
            reason=reason,
            components={} if value is None else {"reappears": 0.5, "path error px": 3.25, "hidden": float("nan")},
            chance=chance,
            prompt=case.prompt,
            cluster=case.cluster,
            twin="",
            seed=case.seed,
            video=f"videos/{name}/{case.id}.mkv",
            tracks=f"tracks/{name}/{case.id}.npz",
        )
        if kind == "model" and case.seed == 1:
            row = replace(
                row, value=None, reason="the generator returned <nothing>", components={}, video="", tracks=""
            )
        found.append(row)
        if row.video:
            _artefacts(folder, row, colour, xy)
    return found


def _artefacts(folder: Path, row: ScoreRow, colour: str, xy: Floats) -> None:
    (folder / row.video).parent.mkdir(parents=True, exist_ok=True)
    (folder / row.tracks).parent.mkdir(parents=True, exist_ok=True)
    write_ffv1(folder / row.video, square(colour, xy))
    visible = np.isfinite(xy).all(axis=1)[None]
    box = np.concatenate([xy - 4.5, xy + 4.5], axis=1)[None]
    np.savez(
        folder / row.tracks,
        colour=np.array([colour]),
        xy=xy[None],
        visible=visible,
        area=81.0 * visible,
        box=box,
        size=np.array([SIZE, SIZE]),
        fps=np.array(FPS),
    )


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with its report written; read it, don't change it."""
    run = make_run(tmp_path_factory.mktemp("reporting") / "run", models=("model-a", EVIL_NAME), per_mode=4)
    write_report(run)
    return run


@pytest.fixture(scope="session")
def checkpoint_run() -> Callable[..., Path]:
    """A function that writes the run of one model, which says what its training took."""

    def made(folder: Path, name: str, compute: float | None, seed: int = 0) -> Path:
        make_run(folder, (name,), per_mode=2, seed=seed)
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["hashes"]["probes"] = dict.fromkeys(PROBES, 1)
        if compute is not None:
            manifest["generators"][0]["compute"] = compute
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder

    return made


@pytest.fixture
def small_run(tmp_path: Path) -> Path:
    """A small run folder to break."""
    return make_run(tmp_path / "run", per_mode=2)


@dataclass
class Opened:
    """An open page and what went wrong on it."""

    page: Any
    trouble: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, once for a file."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright (the dev extra) is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    quiet = ("background-networking", "component-update", "sync")
    flags = ["--no-sandbox", "--disable-gpu", "--no-first-run", *(f"--disable-{what}" for what in quiet)]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[[Path, int, str], Opened]]:
    """A function that opens a file at a width and in a scheme, and notes what its console says and what it asks for."""
    contexts = []

    def opened(address: Path, width: int, scheme: str) -> Opened:
        context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
        contexts.append(context)
        found = Opened(context.new_page())
        found.page.on("console", lambda message: found.trouble.append(message.text))
        found.page.on("pageerror", lambda error: found.trouble.append(str(error)))
        found.page.on("requestfailed", lambda asked: found.trouble.append(asked.url[:200]))
        found.page.on(
            "request",
            lambda asked: asked.url.startswith(("file:", "data:", "blob:")) or found.trouble.append(asked.url[:200]),
        )
        found.page.goto(address.as_uri())
        return found

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def plain_page(browser: Any) -> Iterator[Callable[[Path], Any]]:
    """A function that opens a file without JavaScript, at 390 pixels."""
    contexts = []

    def opened(address: Path) -> Any:
        contexts.append(browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844}))
        page = contexts[-1].new_page()
        page.goto(address.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def axe_faults() -> Callable[..., list[str]]:
    """A function that returns what axe-core finds on a page, or a part of it, with everything unfolded."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe (the dev extra) is not installed")

    def faults(page: Any, part: str | None = None) -> list[str]:
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        found = axe.Axe().run(page, context=part).response["violations"]
        return [f"{v['id']}: {v['help']}: {node['html'][:120]}" for v in found for node in v["nodes"]]

    return faults
