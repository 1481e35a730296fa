"""The bundled encoders as they are shipped: required sensitivities and discrimination tests, on held-out scenes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sora_eval.commands.cli import main
from sora_eval.encoders import clip, perceptual, weights
from sora_eval.files import read_json
from sora_eval.reporting.validity.encoders import write_encoders
from sora_eval.validity import encoder_discrimination
from sora_eval.validity.corruptions import CORRUPTIONS
from sora_eval.validity.encoder_sensitivity import corruption_responses

# One of each kind and more, on few clips: all of them take minutes, and weak compression more clips. reports/encoders.md has all.
QUICK = [d for d in CORRUPTIONS if d.name in ("blur", "held", "backwards", "gravity")]


def test_together_they_are_small() -> None:
    assert sum(weights.bundled(name).stat().st_size for name in weights.ENCODERS) < 15e6


@pytest.mark.slow
def test_required_sensitivities_hold_and_the_report_says_so(tmp_path: Path) -> None:
    # Half of the clips turned backwards are few: with 12 the distance does not grow steadily.
    parts = [corruption_responses(d, 24 if d.name == "backwards" else 12) for d in QUICK]
    rows = [r for responses, _ in parts for r in responses]
    assert {(r.encoder, r.corruption.name) for r in rows if not r.passed} == set()
    by_corruption = {r.corruption.name: r.values for r in rows if r.encoder == "world-video"}
    for values in by_corruption.values():
        # Severity 0 is real against real: the floor.
        assert values[-1] > 1.5 * values[0]
    grown = {
        k: np.mean([by_corruption[d.name][-1] - by_corruption[d.name][0] for d in QUICK if d.kind == k])
        for k in ("time", "space")
    }
    assert grown["time"] > 0.5 * grown["space"]
    for _, frames in parts:
        assert frames.shape == (20, 64, 64, 3)

    page = tmp_path / "encoders.md"
    accuracies = [encoder_discrimination.Discrimination("world-clip", "colour, one word", 0.9, 10, 0.5)]
    spoilt = [replace(parts[0][0][0], rho=0.1), *parts[0][0][1:]]
    missed = write_encoders([(spoilt, parts[0][1]), *parts[1:]], accuracies, tmp_path, "command", 24)
    assert [(r.encoder, r.corruption.name) for r in missed] == [("world-video", "blur")]
    assert "(0.10, MISSED)" in page.read_text()
    assert "| world-clip | colour, one word | 0.90 | 0.50 | 10 |" in page.read_text()
    assert len(read_json(tmp_path / "encoders.json")["responses"]) == 3 * len(QUICK)
    assert (tmp_path / "encoders.png").stat().st_size > 10_000


@pytest.mark.slow
def test_discrimination() -> None:
    found = {a.test: a for a in encoder_discrimination.text_image_tests(clip.load("world-clip"), 8)}
    assert found["clip to caption, recall at 5 of 100"].accuracy > 0.4
    assert found["colour, one word"].accuracy > 0.85
    assert all(0 <= a.accuracy <= 1 and a.n in (8, 16, 100) for a in found.values())
    accuracy = {
        (a.encoder, a.test): a.accuracy
        for a in encoder_discrimination.image_distance_tests(perceptual.load("lpips-world"), 24)
    }
    across = "an object removed or recoloured, not a mild blur, noise, shift or shade"
    assert accuracy["lpips-world", across] > 0.9
    assert accuracy["lpips-world", across] > accuracy["SSIM", across]


def test_minimal_pairs_differ_in_one_word() -> None:
    for question, pairs in encoder_discrimination._MINIMAL_PAIRS.items():
        for number in range(encoder_discrimination._FIRST, encoder_discrimination._FIRST + 6):
            for frames, right, wrong in pairs(number):
                assert right != wrong
                assert frames.ndim == 4
                if "one word" in question:
                    gone = set(right.lower().split()) - set(wrong.lower().split())
                    assert 1 <= len(gone - {"a", "an"}) <= 1


def test_bad_counts_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encoders", "count=2"]) == 2
    assert "count must be a whole number of at least 8" in capsys.readouterr().err
