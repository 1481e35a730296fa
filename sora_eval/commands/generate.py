"""`sora-eval generate`: answer the cases with a generator and keep its videos as MP4."""

from __future__ import annotations

import sys

from tqdm import tqdm

from sora_eval.config import Call, GenerateConfig, generator_of, out_folder
from sora_eval.errors import ConfigError
from sora_eval.generator.base import bind, samples_of
from sora_eval.stats.samples import per_prompt


def main(config: GenerateConfig, call: Call) -> int:
    """Generate the clips that are missing and return the exit code."""
    import csv
    import io

    from sora_eval.files import read_json, replacing, write_json
    from sora_eval.generator.answers import answers
    from sora_eval.runs.case_export import manifest_row, write_cases
    from sora_eval.types import Video, digest
    from sora_eval.video import write_h264

    model = generator_of(config.generator)
    _, cases = config.suite.select(config.profile, config.seed, config.samples or samples_of(model))
    model = bind(model, cases)
    crf = config.crf
    default = f"videos-{call.generator}-{config.suite.name}-{config.profile.name}-{config.seed}"
    folder = out_folder(config.out, default)
    made_by = folder / "generate.json"
    if not made_by.exists() and any(folder.glob("videos/*")):
        raise ConfigError(f"{folder / 'videos'} holds clips that sora-eval generate didn't make: name another folder")
    keys = {c.id: digest([c.hash, model.name, model.fingerprint(c), crf]) for c in cases}
    before = read_json(made_by) if made_by.exists() else {}
    for case in cases:
        if before.get(case.id) != keys[case.id]:
            (folder / "videos" / f"{case.id}.mp4").unlink(missing_ok=True)
    # Before the clips: one that is there from now on is of this generator and these cases.
    write_json(made_by, {**before, **keys})
    write_cases(folder, cases)
    text = io.StringIO()
    manifest = csv.writer(text, lineterminator="\n")
    several = per_prompt(cases) > 1
    manifest.writerow(manifest_row(None, several))
    failures = broken = 0
    for case in tqdm(cases, unit="clip"):
        path = folder / "videos" / f"{case.id}.mp4"
        if not path.exists():
            # A case may come twice; its last answer counts.
            *_, (_, video) = answers(model, [case])
            if not isinstance(video, Video):
                print(f"{case.id}: {video.reason}", file=sys.stderr)
                failures += 1
                broken += video.technical
                continue
            write_h264(path, video, crf)
        manifest.writerow(manifest_row(case, several))
    with replacing(folder / "manifest.csv") as part:
        part.write_text(text.getvalue(), encoding="utf-8")
    print(
        f"{len(cases) - failures} videos are in {folder}; score them: sora-eval run generator=folder generator.path={folder}"
    )
    if broken:
        print(
            f"sora-eval: {broken} of {len(cases)} clips failed technically; the same command retries them",
            file=sys.stderr,
        )
        return 2 if failures == len(cases) else 1
    return 1 if failures == len(cases) else 0
