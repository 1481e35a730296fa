"""Which hand is used: rules on made-up bodies. A mirrored clip gets the other hand or none."""

from dataclasses import replace

import numpy as np
import pytest

from sora_eval.tracking.natural import answers
from sora_eval.tracking.natural.people import use
from sora_eval.tracking.natural.people.bodies import Bodies

K = 16
STEP = np.linspace(0, 4 * np.pi, K)


def body(waves="left", confirmed=True, facing=0.0):
    """Somebody who faces the camera and waves a hand, the other one hangs; both networks are right."""
    wrist, height = np.zeros((K, 2, 2)), np.zeros((K, 2))
    wrist[:, 0], wrist[:, 1] = (0.5, 1.0), (-0.5, 1.0)
    side = ("left", "right").index(waves)
    wrist[:, side, 0] += 0.4 * np.sin(STEP)
    wrist[:, side, 1], height[:, side] = -0.3, 1.3
    right = np.tile([0.02, 0.97], (K, 1)) if confirmed else np.full((K, 2), np.nan)
    nobody = np.zeros(K, bool)
    return Bodies(~nobody, nobody, np.zeros((K, 2)), wrist, height, right, np.full(K, facing), np.full(K, 0.6))


def mirrored(b):
    """What networks that are right say of the mirrored clip."""
    flipped = b.wrist[:, ::-1] * [-1, 1]
    middle = b.middle * [-1, 1]
    return replace(b, middle=middle, wrist=flipped, height=b.height[:, ::-1], right=1 - b.right[:, ::-1])


@pytest.fixture(autouse=True)
def threshold(monkeypatch):
    """A threshold that answers can reach: none is published."""
    monkeypatch.setattr(answers, "THRESHOLDS", {**answers.THRESHOLDS, (answers.HAND, ""): 0.75})


def answer(guess):
    return answers.decided(answers.HAND, guess).answer


@pytest.mark.parametrize("hand", ["left", "right"])
@pytest.mark.parametrize(("confirmed", "facing"), [(True, 0.0), (False, 0.9), (True, 0.9)])
def test_the_waving_hand_is_found_and_a_mirror_turns_it_round(hand, confirmed, facing):
    shown = body(hand, confirmed, facing)
    there, back = use.of_bodies(shown), use.of_bodies(mirrored(shown))
    assert answer(there) == hand
    assert answer(back) == {"left": "right", "right": "left"}[hand]
    assert answer(use.both_ways(there, back)) == hand
    assert answer(use.both_ways(back, there)) == answer(back)


def seen_by_pose_alone():
    return body(confirmed=False)


def mirrored_by_the_pose_network():
    b = body()
    return replace(b, right=1 - b.right)


def with_both_hands():
    b = body("left")
    other = body("right")
    return replace(b, wrist=np.where(np.arange(2)[:, None] == 0, b.wrist, other.wrist))


def with_neither_hand():
    b = body()
    return replace(b, wrist=np.broadcast_to(b.wrist[:1], b.wrist.shape), height=0 * b.height)


def with_somebody_else():
    return replace(body(), several=np.arange(K) % 2 == 0)


def that_jumps():
    return replace(body(), middle=np.where(np.arange(K)[:, None] < K // 2, 0.0, 3.0) * np.ones(2))


def that_changes_sides():
    return replace(body(), order=np.where(np.arange(K) % 4 == 0, -0.6, 0.6))


def seen_for_a_moment():
    return replace(body(), seen=np.arange(K) < K // 3)


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        (seen_by_pose_alone(), "confirmed 0 times"),
        (mirrored_by_the_pose_network(), "contradicted 32 times"),
        (with_both_hands(), "the left hand is used by"),
        (with_neither_hand(), "used by 0.00"),
        (with_somebody_else(), "more than one person"),
        (that_jumps(), "followed from frame to frame"),
        (that_changes_sides(), "shoulders change places"),
        (seen_for_a_moment(), "31% of the frames"),
    ],
)
def test_nothing_is_said_of_somebody(shown, reason):
    finding = answers.decided(answers.HAND, use.of_bodies(shown))
    assert finding.answer == "" and reason in finding.reason


def test_networks_that_say_the_same_of_the_mirrored_clip_are_not_believed(monkeypatch):
    frames = np.zeros((K, 8, 8, 3), np.uint8)
    monkeypatch.setattr(use, "bodies", lambda frames: body("right"))
    finding = answers.decided(answers.HAND, use.hand_guess(frames))
    assert finding.answer == "" and "mirrored" in finding.reason


def test_a_clip_and_its_mirror_image_never_get_the_same_hand(monkeypatch):
    # Networks that are wrong at random, but the same of the same picture.
    frames = np.zeros((K, 8, 8, 3), np.uint8)
    frames[:, :, :4] = 200
    rng = np.random.default_rng(0)
    for _ in range(200):
        two = [replace(body(rng.choice(["left", "right"])), right=rng.uniform(0, 1, (K, 2)).round()) for _ in range(2)]
        two = [b if rng.random() < 0.5 else body(rng.choice(["left", "right"])) for b in two]
        monkeypatch.setattr(use, "bodies", lambda f, two=two: two[int(f[0, 0, 0, 0] > 0)])
        there, back = (answer(use.hand_guess(f)) for f in (frames, np.ascontiguousarray(frames[:, :, ::-1])))
        assert {there, back} in ({""}, {"left", "right"})


def test_two_people_are_too_many():
    assert "more than one person" in use.hand_guess(np.zeros((2, 8, 8, 3), np.uint8), people=2).seen


def test_no_threshold_is_published(monkeypatch):
    monkeypatch.undo()
    assert answers.THRESHOLDS[answers.HAND, ""] > 1
    assert answer(use.of_bodies(body("right"))) == ""
