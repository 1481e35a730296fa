"""Mutated inputs of every kind that sora-eval reads: none may bring a traceback, a hang, a file outside its folder, or cost a good row.

python tests/fuzz.py 5000 [FOLDER] [--seed N] [--kinds videos,runs] [--only videos:17]; tests/test_fuzz.py does a few hundred.

Small valid inputs are made once; each mutated one is read by a forked child, which is killed after 10 s of processor time, 60 s in all, and
gets 1.5 GiB. An internal error counts as a find. Finds stay in FOLDER/work/finds with what was printed.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

CPU_S, WALL_S, MEMORY = 10, 60, 3 << 29
ASKED = ["suite.probes=[relation,motion]", "suite.modes=[t2v]", "suite.count=1", "fidelity.metrics=[]", "workers=1"]
FORMS = {"mkv": ("ffv1", "yuv420p"), "gif": ("gif", "rgb8"), "avi": ("mpeg4", "yuv420p"), "webm": ("libvpx", "yuv420p")}
"""Containers, with codec and pixels, beside the MP4 that sora-eval writes."""
CODES = {"gate": (0, 1, 2, 3)}
WORDS: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        -1,
        0,
        1,
        2,
        1e308,
        -0.5,
        5e-324,
        float("nan"),
        float("inf"),
        2**31,
        2**63,
        10**30,
        "",
        "x",
        "0",
        "NaN",
        "\0",
    ),
    *(
        "../../outside/x",
        "/etc/passwd",
        "..",
        ".",
        "a/b",
        "a\\b",
        "C:\\x",
        "~",
        "${oc.env:HOME}",
        "???",
        "a" * 5000,
        "\u2028",
        "é",
        "\ud800",
    ),
    *([], {}, [[]], {"": None}, [1, 2], ["x"], {"name": "x"}),
)
DEEP = "[" * 100_000 + "]" * 100_000


@dataclass(frozen=True)
class Seeds:
    """Valid inputs. root: the folder that holds them. scores: by case, of the folder of videos as it is."""

    root: Path
    scores: Mapping[str, float | None]


@dataclass(frozen=True)
class Find:
    """An input that broke something. kind, number: which; what: is wrong; said: what was printed."""

    kind: str
    number: int
    what: str
    said: str


def make_seeds(root: Path) -> Seeds:
    """Make one small valid input of each kind below `root`, by sora-eval itself."""
    import torch

    from sora_eval.commands.cli import main
    from sora_eval.types import Video
    from sora_eval.video import read_video, write_h264

    torch.set_num_threads(1)
    root.mkdir(parents=True, exist_ok=True)
    videos, run = root / "videos", root / "run"
    asked = [a for a in ASKED if not a.startswith(("workers", "fidelity"))]
    assert main(["generate", "generator=oracle", *asked, f"out={videos}"]) == 0
    (videos / "generate.json").unlink()
    lines = (videos / "manifest.csv").read_text().splitlines()[1:]
    rows = [dict(zip(("case_id", "path"), line.split(","), strict=True)) for line in lines]
    (root / "manifest.jsonl").write_text("".join(json.dumps({**r, "fps": 8, "seed": None}) + "\n" for r in rows))
    words = [*ASKED, "references=[oracle]", "players=1"]
    assert main(["run", "generator=folder", f"generator.path={videos}", *words, f"out={run}"]) == 0
    assert main(["baseline", "save", str(run), "--out", str(root / "baseline")]) == 0
    for i in (1, 2):
        assert main(
            ["run", "generator=careless", *ASKED, "references=[]", "players=0", f"out={root / 'part'}", f"shard={i}/2"]
        ) in (0, 1)
    make_checkpoint(root / "checkpoint")
    pair = root / "pair"
    pair.mkdir(exist_ok=True)
    for i, row in enumerate(rows[:2]):
        true = read_video(videos / row["path"])
        write_h264(pair / f"clip{i}.mp4", Video(true.frames[:4, :32, :32], true.fps))
    (root / "prompts.csv").write_text('name,prompt\nclip0,"a red ball, and a cube"\nclip1,a ball rolls left\n')
    for row in rows:
        for form in FORMS:
            _convert(videos / row["path"], root / "forms" / f"{Path(row['path']).name}.{form}")
    # As they are they must be read without a word; and what children would import is imported.
    tiny = [
        "generator=reference",
        f"generator.checkpoint={root / 'checkpoint' / 'tiny.safetensors'}",
        "generator.steps=1",
    ]
    for command in (
        ["fidelity", str(pair), str(pair), "--metrics", "motion", "--prompts", str(root / "prompts.csv")],
        ["gate", "--baseline", str(root / "baseline"), "--candidate", str(run), "--out", str(root / "gate")],
        ["leaderboard", str(run), "--out", str(root / "board")],
        ["merge", str(root / "part"), "--out", str(root / "whole")],
        ["run", *tiny, *ASKED, "references=[]", "players=0", f"out={root / 'tiny'}"],
    ):
        # The gate finds too few cases for a verdict (3).
        assert main(command) in (0, 1, 3), command
    found = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    return Seeds(root, {r["case"]: r["value"] for r in found if r["generator"] == "videos"})


def make_checkpoint(folder: Path) -> None:
    """Write a tiny autoencoder and a tiny transformer, not trained."""
    import torch

    from sora_eval.data.vocabulary import world_vocabulary
    from sora_eval.generator.reference import model
    from sora_eval.generator.reference.autoencoder import Autoencoder, AutoencoderConfig
    from sora_eval.generator.reference.transformer import Transformer, TransformerConfig

    torch.manual_seed(0)
    words = world_vocabulary()
    pixels = Autoencoder(AutoencoderConfig(widths=(8, 8, 16), encoder_blocks=(1, 1, 1), decoder_blocks=(1, 1, 1)))
    sizes = TransformerConfig(width=32, depth=1, heads=2, text_width=16, text_depth=1, words=len(words))
    latents = model.save_autoencoder(folder / "autoencoder.safetensors", pixels, {})
    model.save_transformer(folder / "tiny.safetensors", Transformer(sizes), words, latents, {"steps": 1, "flops": 1e9})


# ---- mutations


def bytes_of(data: bytes, rng: random.Random) -> bytes:
    """Return bytes with some flipped, cut, spliced, doubled, put in or overwritten."""
    if not data:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(1, 40)))
    found = bytearray(data)
    # Headers are where most of what a reader believes stands.
    spot = lambda: rng.randrange(min(len(data), rng.choice((16, 128, 1024, len(data)))))  # noqa: E731
    a, b = sorted((spot(), spot()))
    how = rng.randrange(7)
    if how == 0:
        for _ in range(rng.choice((1, 1, 2, 8, 64))):
            found[spot()] ^= 1 << rng.randrange(8)
    elif how == 1:
        found = found[: rng.choice((a, rng.randrange(len(data))))]
    elif how == 2:
        found[a:b] = b""
    elif how == 3:
        found[a:a] = found[b : b + rng.randrange(1, 200)]
    elif how == 4:
        found[a : a + 4] = rng.choice(
            (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\x01", b"\x80\0\0\0")
        )
    elif how == 5:
        found[a:b] = bytes(b - a)
    else:
        found[a:a] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 64)))
    return bytes(found)


def json_of(value: Any, rng: random.Random) -> str:
    """Return the text of a JSON value with a value exchanged, a field taken away or renamed, or nested without end."""
    value = json.loads(json.dumps(value))
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            places.append((node, key))
            walk(node[key])

    walk(value)
    if not places or rng.random() < 0.03:
        return rng.choice((DEEP, "null", "[]", "{}", '"x"', "1", "", '{"a":' * 50_000))
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        node, key = rng.choice(places)
        how = rng.random()
        try:
            if how < 0.65:
                node[key] = rng.choice(WORDS)
            elif how < 0.8:
                del node[key]
            elif how < 0.9 and isinstance(node, dict):
                node[rng.choice(("", "x", "_target_", "name"))] = node.pop(key)
            else:
                node[key] = [node[key]] * rng.choice((1, 2, 50))
        except (KeyError, IndexError):  # a place that an earlier change took away
            continue
    text = json.dumps(value)
    return text.replace("null", DEEP, 1) if rng.random() < 0.02 else text


def line_of(line: str, rng: random.Random) -> str:
    """Return a line of CSV with a field exchanged, or bytes changed."""
    fields = line.split(",")
    if rng.random() < 0.6:
        fields[rng.randrange(len(fields))] = str(rng.choice(WORDS))
        return ",".join(fields).encode("utf-8", "surrogatepass").decode("latin-1")
    return bytes_of(line.encode(), rng).decode("latin-1")


def place_of(path: Path, outside: Path, rng: random.Random) -> None:
    """Put something else where a file is: a link, a folder, a pipe, nothing."""
    path.unlink()
    how = rng.randrange(6)
    if how == 0:
        path.symlink_to(outside / "secret")
    elif how == 1:
        path.symlink_to(path.name)
    elif how == 2:
        path.mkdir()
    elif how == 3:
        os.mkfifo(path)
    elif how == 4:
        path.symlink_to(outside / "absent")


def change(path: Path, outside: Path, rng: random.Random) -> None:
    """Mutate a file by what it is: JSON, JSON lines, or bytes; now and then what stands in its place."""
    if rng.random() < 0.08:
        place_of(path, outside, rng)
    elif rng.random() < 0.25 or path.suffix not in (".json", ".jsonl"):
        path.write_bytes(bytes_of(path.read_bytes(), rng))
    elif path.suffix == ".json":
        path.write_text(json_of(json.loads(path.read_text()), rng))
    else:
        lines = path.read_text().splitlines()
        i = rng.randrange(len(lines))
        lines[i] = json_of(json.loads(lines[i]), rng)
        if rng.random() < 0.1:
            lines.append(lines[i])
        path.write_text("\n".join(lines) + "\n")


# ---- kinds: each prepares a mutated input in a folder and returns the commands that read it, and what must hold afterwards

Check = Callable[[], str]
Prepared = tuple[list[list[str]], Check]


def _nothing() -> str:
    return ""


def _scored(seeds: Seeds, out: Path, good: Sequence[str]) -> Check:
    def check() -> str:
        path = out / "scores.jsonl"
        if not path.exists():
            return "no scores.jsonl: the run did not end"
        rows = {
            r["case"]: r["value"] for r in map(json.loads, path.read_text().splitlines()) if r["generator"] == "videos"
        }
        lost = [c for c in good if rows.get(c) != seeds.scores[c]]
        return f"good rows are not scored as they were: {lost}" if lost else ""

    return check


def _folder_run(videos: Path, out: Path) -> list[str]:
    words = ["generator=folder", f"generator.path={videos}", "generator.name=videos", "references=[]", "players=0"]
    return ["run", *words, *ASKED, f"out={out}"]


def videos(seeds: Seeds, here: Path, outside: Path, rng: random.Random) -> Prepared:
    """One clip of a folder is damaged."""
    folder = here / "videos"
    shutil.copytree(seeds.root / "videos", folder)
    clips = sorted((folder / "videos").iterdir())
    path = rng.choice(clips)
    form = rng.choice(("mp4", "mp4", *FORMS))
    if form != "mp4":
        # The ending stays: what a file is, its bytes say.
        shutil.copy(seeds.root / "forms" / f"{path.name}.{form}", path)
    change(path, outside, rng)
    out = here / "out"
    good = [c for c in seeds.scores if c != path.name.removesuffix(".mp4")]
    return [_folder_run(folder, out)], _scored(seeds, out, good)


def _convert(source: Path, path: Path) -> None:
    """Write a clip in another container."""
    import av

    from sora_eval.video import read_video

    path.parent.mkdir(exist_ok=True)
    video, form = read_video(source), path.suffix[1:]
    codec, pixels = FORMS[form]
    with av.open(str(path), "w", format={"mkv": "matroska"}.get(form, form)) as container:
        stream = container.add_stream(codec, rate=int(video.fps))
        stream.height, stream.width, stream.pix_fmt = *video.size, pixels
        for frame in video.frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())


def manifests(seeds: Seeds, here: Path, outside: Path, rng: random.Random) -> Prepared:
    """The last row of a manifest is mutated, or its head, or the list of cases beside it."""
    folder, out = here / "videos", here / "out"
    shutil.copytree(seeds.root / "videos", folder)
    good = list(seeds.scores)[:-1]
    what = rng.random()
    if what < 0.4:
        (folder / "manifest.csv").unlink()
        path = folder / "manifest.jsonl"
        lines = (seeds.root / "manifest.jsonl").read_text().splitlines()
        some = json.loads(lines[-1])
        lines[-1] = json_of(some, rng) if rng.random() < 0.7 else bytes_of(lines[-1].encode(), rng).decode("latin-1")
        # A line that became several, or that is of another case now, may take a good row's place; the last one can't.
        lines[-1] = lines[-1].replace("\n", " ").replace("\r", " ")
        path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass") + b"\n")
        return [_folder_run(folder, out)], _scored(seeds, out, good)
    if what < 0.7:
        path = folder / "manifest.csv"
        lines = path.read_text().splitlines()
        lines[-1] = line_of(lines[-1], rng)
        path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass") + b"\n")
        # A quote reaches into other lines, and a comma makes the row another one.
        plain = not set(lines[-1]) & set('"\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028')
        return [_folder_run(folder, out)], _scored(seeds, out, good) if plain else _nothing
    change(folder / rng.choice(("manifest.csv", "cases.jsonl")), outside, rng)
    return [_folder_run(folder, out)], _nothing


def runs(seeds: Seeds, here: Path, outside: Path, rng: random.Random) -> Prepared:
    """A file of a finished run is mutated; the report is written again, and the same command goes on there."""
    out = here / "run"
    shutil.copytree(seeds.root / "run", out)
    files = [p for p in sorted(out.rglob("*")) if p.is_file() and p.name not in ("report.html", "report.md")]
    tops = [p for p in files if p.parent == out]
    path = rng.choice(tops if rng.random() < 0.6 else files)
    change(path, outside, rng)
    again = [
        "run",
        "generator=folder",
        f"generator.path={seeds.root / 'videos'}",
        *ASKED,
        "references=[oracle]",
        "players=1",
        f"out={out}",
    ]
    # What can't be put right again: a folder in a file's place, and a folder that says it is another run's.
    mends = path.name not in ("identity.json", "cases.jsonl", ".lock", "manifest.json") and not path.is_dir()
    check = _scored(seeds, out, list(seeds.scores)) if mends else _nothing
    reads = rng.choice(
        (
            ["report", str(out)],
            ["leaderboard", str(out), "--out", str(here / "board")],
            ["baseline", "save", str(out), "--out", str(here / "kept")],
        )
    )
    return [reads, again], check


def baselines(seeds: Seeds, here: Path, outside: Path, rng: random.Random) -> Prepared:
    """A file of a baseline is mutated, by bytes or by the values in its tables."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = here / "baseline"
    shutil.copytree(seeds.root / "baseline", folder)
    path = folder / rng.choice(("manifest.json", "cases.parquet", "scores.parquet"))
    if path.suffix == ".parquet" and rng.random() < 0.7:
        with path.open("rb") as file:
            rows = pq.read_table(file).to_pylist()
        i = rng.randrange(len(rows))
        try:
            if "case" in rows[i] and path.name.startswith("cases"):
                rows[i]["case"] = json_of(json.loads(rows[i]["case"]), rng)
            else:
                rows[i] = json.loads(json_of(rows[i], rng))
            pq.write_table(pa.Table.from_pylist(rows), path)
        except (pa.ArrowException, ValueError, TypeError, AttributeError, RecursionError, OverflowError):
            change(path, outside, rng)  # values of two kinds make no table
    else:
        change(path, outside, rng)
    gate = ["gate", "--baseline", str(folder), "--candidate", str(seeds.root / "run"), "--out", str(here / "out")]
    return [["baseline", "show", str(folder)], gate], _nothing


def shards(seeds: Seeds, here: Path, outside: Path, rng: random.Random) -> Prepared:
    """A file of a folder of shards is mutated, and they are merged elsewhere."""
    part = here / "part"
    shutil.copytree(seeds.root / "part", part)
    files = [p for p in sorted(part.rglob("*")) if p.is_file() and p.name.endswith((".json", ".jsonl"))]
    tops = [p for p in files if p.parent.name == "shards" or p.parent == part]
    change(rng.choice(tops if rng.random() < 0.9 else files), outside, rng)
    return [["merge", str(part), "--out", str(here / "whole")]], _nothing


def checkpoints(seeds: Seeds, here: Path, outside: Path, rng: random.Random) -> Prepared:
    """The weights of the generator are mutated: their bytes, their header, or the texts in it."""
    folder, out = here / "checkpoint", here / "out"
    shutil.copytree(seeds.root / "checkpoint", folder)
    path = folder / rng.choice(("tiny.safetensors", "tiny.safetensors", "autoencoder.safetensors"))
    how, data = rng.random(), path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header, rest = json.loads(data[8 : 8 + length]), data[8 + length :]
    if how < 0.6:
        if how < 0.4:
            name = rng.choice(("facts", "about"))
            header["__metadata__"][name] = json_of(json.loads(header["__metadata__"][name]), rng)
            text = json.dumps(header)
        else:
            text = json_of(header, rng)
        new = text.encode("utf-8", "replace")
        path.write_bytes(len(new).to_bytes(8, "little") + new + rest)
    elif how < 0.7:
        path.write_bytes(
            rng.choice(
                (b"<!DOCTYPE html><html>", b"version https://git-lfs.github.com/spec/v1\n", b"PK\3\4", b"\x80\2}")
            )
        )
    else:
        change(path, outside, rng)
    words = [
        *(a for a in ASKED if not a.startswith("suite.")),
        "suite.probes=[relation]",
        "suite.modes=[t2v]",
        "suite.count=1",
    ]
    model = ["generator=reference", f"generator.checkpoint={folder / 'tiny.safetensors'}", "generator.steps=1"]
    return [["run", *model, *words, "references=[]", "players=0", f"out={out}"]], _nothing


def prompts(seeds: Seeds, here: Path, outside: Path, rng: random.Random) -> Prepared:
    """A CSV of prompts is mutated."""
    path, pair = here / "prompts.csv", seeds.root / "pair"
    lines = (seeds.root / "prompts.csv").read_text().splitlines()
    if rng.random() < 0.5:
        i = rng.randrange(len(lines))
        lines[i] = line_of(lines[i], rng)
        path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    else:
        shutil.copy(seeds.root / "prompts.csv", path)
        change(path, outside, rng)
        if path.is_fifo():
            # A pipe that the user names, as --prompts <(command) does, is waited for.
            path.unlink()
    return [["fidelity", str(pair), str(pair), "--metrics", "motion", "--prompts", str(path)]], _nothing


KINDS: Mapping[str, Callable[[Seeds, Path, Path, random.Random], Prepared]] = {
    k.__name__: k for k in (videos, manifests, runs, baselines, shards, checkpoints, prompts)
}
SHARES: Mapping[str, float] = {
    "videos": 0.2,
    "manifests": 0.2,
    "runs": 0.15,
    "baselines": 0.15,
    "shards": 0.1,
    "checkpoints": 0.1,
    "prompts": 0.1,
}


# ---- carrying out


class Fuzz:
    """Fuzzes one set of seeds below a folder."""

    def __init__(self, seeds: Seeds, folder: Path, seed: int = 0) -> None:
        self.seeds, self.folder, self.seed = seeds, folder, seed
        self._configs: dict[tuple[str, ...], Any] = {}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "outside").mkdir(exist_ok=True)
        (folder / "outside" / "secret").write_text('{"secret": "canary"}\n')
        self._resting = self._listing()

    def one(self, kind: str, number: int) -> Find | None:
        """Mutate, read and check one input; return what it broke."""
        rng = random.Random(f"{kind} {self.seed} {number}")
        here = self.folder / "here"
        shutil.rmtree(here, ignore_errors=True)
        here.mkdir()
        commands, check = KINDS[kind](self.seeds, here, self.folder / "outside", rng)
        said, what = "", ""
        for words in commands:
            code, text = self._child(here, words)
            said += f"$ {' '.join(words)}\n{text}exit {code}\n"
            what = what or self._judged(words[0], code, text)
        what = what or check()
        if (now := self._listing()) != self._resting:
            what = f"{what} outside its folder changed: {sorted(set(now.items()) ^ set(self._resting.items()))[:3]}"
            self._resting = now
        if not what:
            return None
        kept = self.folder / "finds" / f"{kind}-{number}"
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        (kept / "said.txt").write_text(f"{what}\n{said}", errors="backslashreplace")
        return Find(kind, number, what, said)

    def _judged(self, command: str, code: int, text: str) -> str:
        if code == -signal.SIGXCPU or code == -signal.SIGALRM:
            return f"{command} hangs"
        if code not in CODES.get(command, (0, 1, 2)):
            return f"{command} ends with {code}"
        if "Traceback" in text:
            return f"{command} prints a traceback"
        return f"{command} has an internal error" if "internal error" in text else ""

    def _child(self, here: Path, words: list[str]) -> tuple[int, str]:
        """Run a command in a forked child, all imports done; return its exit code, negative for a signal, and what it printed."""
        composed = self._composed(words) if words[0] == "run" else None
        printed = here.parent / "printed"
        sys.stdout.flush()
        # A collection in the child would touch, and so copy, every page that it shares with this process.
        gc.freeze()
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                code = self._in_child(printed, words, composed)
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status), printed.read_text(errors="backslashreplace")

    def _in_child(self, printed: Path, words: list[str], composed: Any) -> int:
        import traceback

        gc.disable()
        from sora_eval.commands import cli, run

        number = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(number, 1)
        os.dup2(number, 2)
        sys.stdout = os.fdopen(1, "w", errors="backslashreplace", closefd=False)
        sys.stderr = os.fdopen(2, "w", errors="backslashreplace", closefd=False, buffering=1)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 5))
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(WALL_S)
        if composed is not None:
            # Composing a configuration takes longer than all else; it was done before the fork.
            cli.COMMANDS["run"] = lambda args: run.main(*composed)
            words = ["run"]
        try:
            code = cli.main(words)
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 0
        except BaseException:
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        return code

    def _composed(self, words: list[str]) -> Any:
        from sora_eval.config import parse

        # What differs between inputs is put in afterwards.
        own = {
            w.partition("=")[0]: w.partition("=")[2]
            for w in words
            if w.startswith(("out=", "generator.path=", "generator.checkpoint="))
        }
        rest = tuple(f"{w.partition('=')[0]}=PLACE" if w.partition("=")[0] in own else w for w in words[1:])
        if rest not in self._configs:
            self._configs[rest] = parse("run", list(rest))
        config, call = self._configs[rest]
        options = {key.partition(".")[2]: value for key, value in own.items() if key != "out"}
        return replace(config, out=own.get("out", config.out), generator={**config.generator, **options}), call

    def _listing(self) -> dict[str, tuple[int, int]]:
        """Return size and time of change of every file that no input may touch."""
        roots = (self.seeds.root, self.folder / "outside", self.folder.parent)
        found = [p for r in roots[:2] for p in r.rglob("*")] + list(roots[2].iterdir())
        return {str(p): (s.st_size, s.st_mtime_ns) for p in found if not p.is_dir() for s in [p.lstat()]}


def counts(total: int, kinds: Sequence[str]) -> dict[str, int]:
    """Return how many inputs of each kind make a total."""
    whole = sum(SHARES[k] for k in kinds)
    return {k: max(1, round(total * SHARES[k] / whole)) for k in kinds}


def main(argv: Sequence[str] | None = None) -> int:
    """Fuzz, print the finds, and return 0 when there is none."""
    parser = argparse.ArgumentParser(description="Fuzz sora-eval with mutated inputs.")
    parser.add_argument("total", type=int)
    parser.add_argument("folder", nargs="?", type=Path, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--only", help="one input: KIND:NUMBER")
    found = parser.parse_args(argv)
    root = (found.folder or Path(tempfile.mkdtemp(prefix="fuzz-"))).absolute()
    seeds = make_seeds(root / "seeds")
    fuzz = Fuzz(seeds, root / "work", found.seed)
    if found.only:
        kind, _, number = found.only.partition(":")
        jobs = [(kind, int(number))]
    else:
        jobs = [(kind, i) for kind, n in counts(found.total, found.kinds.split(",")).items() for i in range(n)]
    finds: list[Find] = []
    begun, last = time.perf_counter(), ""
    for done, (kind, number) in enumerate(jobs):
        if kind != last:
            print(f"{time.perf_counter() - begun:7.0f} s  {done:5} inputs, {len(finds)} finds; {kind}", flush=True)
            last = kind
        if one := fuzz.one(kind, number):
            finds.append(one)
            print(f"FIND {one.kind}:{one.number}: {one.what}\n{one.said}", flush=True)
    print(
        f"{len(jobs)} inputs in {time.perf_counter() - begun:.0f} s, {len(finds)} finds, kept in {fuzz.folder / 'finds'}"
    )
    return 1 if finds else 0


if __name__ == "__main__":
    sys.exit(main())
