"""`sora-eval generate`: generate the videos of a suite and keep them as MP4."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from tqdm import tqdm

from sora_eval import registry
from sora_eval.config import Call, GenerateConfig, out_folder, with_cases
from sora_eval.errors import ConfigError
from sora_eval.files import read_json, replacing, write_json
from sora_eval.generator.answers import answers
from sora_eval.generator.base import Generator, bind, clip_inputs, samples_of
from sora_eval.processes import WorkerKilledError, completed
from sora_eval.prompting.rewriting import prepare, prompted
from sora_eval.runs.case_export import manifest_row, write_cases
from sora_eval.stats.samples import per_prompt
from sora_eval.types import Case, Failure, Video, digest
from sora_eval.video import write_h264


def main(config: GenerateConfig, call: Call) -> int:
    """Generate the clips that are missing and return the exit code."""
    model = registry.generator(config.generator)
    config, asked = with_cases(config, samples_of(model))
    cases = asked.cases
    for line in asked.left_out:
        print(line, file=sys.stderr)
    model = prompted(bind(model, cases), config.prompts)
    names = [call.generator, config.suite.name, config.profile.name, *filter(None, [config.world.name])]
    default = "-".join(["videos", *names, str(config.seed)])
    folder = out_folder(config.out, default)
    prepare(model, folder, cases, print)
    _begin(folder, cases, model, config.crf)
    missing = [c for c in cases if not _clip(folder, c).exists()]
    failures: dict[str, Failure] = {}
    with tqdm(total=len(cases), initial=len(cases) - len(missing), unit="clip") as bar:
        for case, failure in _generated(model, missing, folder, config.crf, config.workers or call.cores):
            bar.update(1)
            if failure is not None:
                failures[case.id] = failure
                print(f"{case.id}: {failure.reason}", file=sys.stderr)
    _write_manifest(folder, [c for c in cases if c.id not in failures], several=per_prompt(cases) > 1)
    print(
        f"{len(cases) - len(failures)} videos are in {folder}; score them: "
        f"sora-eval run generator=folder generator.path={folder} cases={folder / 'cases.jsonl'}"
    )
    if broken := sum(f.technical for f in failures.values()):
        print(
            f"sora-eval: {broken} of {len(cases)} clips failed technically; the same command retries them",
            file=sys.stderr,
        )
        return 2 if len(failures) == len(cases) else 1
    return 1 if len(failures) == len(cases) else 0


def _begin(folder: Path, cases: Sequence[Case], model: Generator, crf: int) -> None:
    """Record which generator and cases the clips of a folder belong to, and remove clips of others.

    Raises:
        ConfigError: the folder holds clips of unknown origin.
    """
    made_by = folder / "generate.json"
    if not made_by.exists() and any(folder.glob("videos/*")):
        raise ConfigError(f"{folder / 'videos'} holds clips that sora-eval generate didn't make: name another folder")
    keys = {c.id: digest([*clip_inputs(model, c), model.name, crf]) for c in cases}
    stored = read_json(made_by) if made_by.exists() else {}
    for case in cases:
        if stored.get(case.id) != keys[case.id]:
            _clip(folder, case).unlink(missing_ok=True)
    # Before the clips: one that is there from now on is of this generator and these cases.
    write_json(made_by, {**stored, **keys})
    write_cases(folder, cases)


def _generated(
    model: Generator, cases: Sequence[Case], folder: Path, crf: int, workers: int
) -> Iterator[tuple[Case, Failure | None]]:
    """Generate and write clips; yield each case with why it has no clip, None where it has one."""
    calls = [partial(_generate, model, case, folder, crf) for case in cases]
    # A few clips are made sooner than processes are started.
    if model.capabilities.processes and workers > 1 and len(cases) > 8:
        for i, result in completed(workers, calls, tries=2):
            yield cases[i], Failure(str(result), technical=True) if isinstance(result, WorkerKilledError) else result
    else:
        for case, generate in zip(cases, calls, strict=True):
            yield case, generate()


def _generate(model: Generator, case: Case, folder: Path, crf: int) -> Failure | None:
    # A case may come twice; its last answer counts.
    *_, (_, video) = answers(model, [case])
    if not isinstance(video, Video):
        return video
    write_h264(_clip(folder, case), video, crf)
    return None


def _clip(folder: Path, case: Case) -> Path:
    return folder / "videos" / f"{case.id}.mp4"


def _write_manifest(folder: Path, cases: Sequence[Case], several: bool) -> None:
    text = io.StringIO()
    manifest = csv.writer(text, lineterminator="\n")
    manifest.writerow(manifest_row(None, several))
    manifest.writerows(manifest_row(case, several) for case in cases)
    with replacing(folder / "manifest.csv") as part:
        part.write_text(text.getvalue(), encoding="utf-8")
