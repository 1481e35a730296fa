"""Boxes and masks of known networks come back as pixels of the frame, and what is unsure is never judged."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sora_eval import registry
from sora_eval.probes.natural import probe_for
from sora_eval.probes.natural.events import Change
from sora_eval.probes.natural.expectations import KINDS, Count, PassBehind, Relation, from_json, to_json
from sora_eval.tracking.natural.detector import Detection
from sora_eval.tracking.natural.linking import Track
from sora_eval.tracking.open_vocab import changes, detectors
from sora_eval.tracking.open_vocab.following import linked, with_masks
from sora_eval.tracking.open_vocab.hub import Loaded
from sora_eval.tracking.open_vocab.segmenter import measured
from sora_eval.tracking.open_vocab.words import colour_of, phrases_of, states_of
from sora_eval.types import Finding, Video

T, SIZE = 12, (60, 120)
VIDEO = Video(np.full((T, *SIZE, 3), 120, np.uint8), 8.0)
WORLD = registry.probe("relation").cases(1, registry.profile("small"), "t2v")[0]
EXAMPLES = {
    "relation": "dog left of cat", "motion": "dog to the left", "hands": "left hand of woman", "camera": "pan left",
    "revisit": "away and back", "shot": "one", "count": "two dogs", "pass_behind": "dog behind car", "cover": "dog by bus",
    "leave_and_return": "dog", "fall": "apple", "rest": "apple", "bounce": "ball", "throw": "ball to the left",
    "push": "car by man to the left", "topple": "vase to the left", "change": "candle from lit to unlit", "long_take": "two cows for 10 s",
}  # fmt: skip


def case_of(expectation, prompt="a scene"):
    probe = registry.probe(probe_for(expectation))
    return replace(WORLD, suite=probe.suite, probe=probe.name, scene={}, expect=to_json(expectation), prompt=prompt)


@pytest.mark.parametrize("kind", KINDS)
def test_the_detector_is_asked_for_the_things_of_each_expectation_and_nothing_else(kind):
    from sora_eval.probes.natural.expectations import read

    expectation = read(kind, EXAMPLES[kind])
    asked = phrases_of(case_of(expectation))
    assert asked == expectation.things
    mirror = expectation.mirrored()
    if mirror is not None and kind not in ("camera",):
        assert phrases_of(case_of(mirror)) == asked
    assert from_json(to_json(expectation)) == expectation


def test_cases_of_the_world_are_asked_for_their_coloured_objects():
    case = replace(WORLD, prompt="A red ball lies to the left of a blue cube. The red ball is still.", expect={})
    assert phrases_of(case) == ("red ball", "blue cube")
    assert phrases_of(None) == () and states_of(case) is None
    assert colour_of("red ball") == "red" and colour_of("orange") == ""


def loaded(boxes, logits, **more):
    """A network that answers with boxes (centre, size) in shares of its picture, and with logits [n, P]."""
    out = SimpleNamespace(pred_boxes=torch.tensor([boxes]), logits=torch.tensor([logits]))
    config = SimpleNamespace(max_text_len=256, text_config=SimpleNamespace(max_position_embeddings=16))

    class Network:
        def __call__(self, **inputs):
            return out

    network = Network()
    network.config = config
    return Loaded(network, more["processor"], "cpu")


class Inputs(dict):
    def to(self, device):
        return self


class OwlProcessor:
    def __init__(self, padded):
        self.image_processor = SimpleNamespace(do_pad=padded)

    def __call__(self, text, images, return_tensors):
        assert text == [["a photo of a dog", "a photo of a cat"]]
        return Inputs(input_ids=np.zeros((2, 16)))


def test_boxes_of_a_frame_that_was_padded_to_a_square_are_scaled_by_its_longer_side():
    # Of a frame of 120 x 60 the lower half of the square is padding.
    network = loaded([[0.5, 0.25, 0.5, 0.25]], [[3.0, -3.0]], processor=OwlProcessor(True))
    boxes, scores = detectors._owl(network, VIDEO.frames[0], ("dog", "cat"))
    np.testing.assert_allclose(boxes, [[30, 15, 90, 45]])
    np.testing.assert_allclose(scores, [[1 / (1 + np.exp(-3)), 1 / (1 + np.exp(3))]], rtol=1e-6)
    network = loaded([[0.5, 0.5, 0.5, 0.5]], [[3.0, -3.0]], processor=OwlProcessor(False))
    boxes, _ = detectors._owl(network, VIDEO.frames[0], ("dog", "cat"))
    np.testing.assert_allclose(boxes, [[30, 15, 90, 45]])


class WordProcessor:
    """[CLS] w w . w . [SEP] as 1 w w 0 w 0 2."""

    tokenizer = SimpleNamespace(convert_tokens_to_ids=lambda token: 0, all_special_ids=[1, 2, 3], unk_token_id=3)

    def __call__(self, images, text, return_tensors):
        ids = {"red": 5, "ball.": 6, "cat.": 7}
        tokens = [1]
        for word in text.split():
            tokens += [ids[word], 0] if word.endswith(".") else [ids[word]]
        return Inputs(input_ids=torch.tensor([[*tokens, 2]]))


def test_the_score_of_a_phrase_is_the_mean_over_its_own_words():
    far = -30.0
    logits = [[far, 30.0, far, far, far, far, far], [far, far, far, far, 30.0, far, far]]
    network = loaded([[0.5, 0.5, 0.5, 0.5], [0.25, 0.5, 0.1, 0.2]], logits, processor=WordProcessor())
    boxes, scores = detectors._grounded(network, VIDEO.frames[0], ("red ball", "cat"))
    np.testing.assert_allclose(scores, [[0.5, 0], [0, 1]], atol=1e-9)
    np.testing.assert_allclose(boxes, [[30, 15, 90, 45], [24, 24, 36, 36]], atol=1e-5)


def test_boxes_are_cut_at_the_frame_one_per_object_and_contested_ones_are_unsure():
    boxes = np.array([[-5.0, 10, 20, 40], [-4, 11, 20, 40], [50, 10, 80, 40]])
    scores = np.array([[0.9, 0.1], [0.8, 0.1], [0.6, 0.7]])
    found = detectors.selected(boxes, scores, ("dog", "cat"), SIZE, 0.25, 0.35)
    assert [(d.label, d.box) for d in found] == [
        ("dog", (0.0, 10.0, 20.0, 40.0)), ("dog", (50.0, 10.0, 80.0, 40.0)), ("cat", (50.0, 10.0, 80.0, 40.0)),
    ]  # fmt: skip
    assert [round(d.score, 2) for d in found] == [0.9, 0.3, 0.3]


def boxes_of(x, score=0.9, label="dog", y=20.0, w=20.0):
    """Detections in every second frame of a thing at x [T]; score: of all frames or of each."""
    scores = np.broadcast_to(score, T)
    x = np.broadcast_to(x, T).astype(float)
    return {
        k: [Detection(label, float(scores[k]), (x[k], y, x[k] + w, y + 20))] for k in range(0, T, 2) if scores[k] > 0
    }


def merged(*parts):
    return {k: [d for part in parts for d in part.get(k, [])] for k in range(0, T, 2)}


@pytest.fixture
def tracker_of(monkeypatch, tmp_path):
    """A tracker whose detector finds what it is given."""
    from sora_eval.tracking.open_vocab import tracker as module

    (tmp_path / "config.json").write_text('{"model_type": "owlv2"}')
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    monkeypatch.setattr(module.hub, "transformers", lambda: None)

    def make(found, **options):
        counter = iter(sorted(found))
        monkeypatch.setattr(module.detectors, "detect", lambda *args: found[next(counter)])
        made = module.OpenVocabTracker(str(tmp_path), looked=T // 2, **options)
        made.__dict__["_camera"] = ()
        return made

    return make


def judged(tracker, expectation, video=VIDEO):
    case = case_of(expectation)
    tracks = tracker.track(video, case)
    return registry.probe(case.probe).score(case, video, tracks), tracks


DOG, CAT = boxes_of(10), boxes_of(80, label="cat")


def test_known_boxes_become_tracks_that_the_natural_probes_judge(tracker_of):
    score, tracks = judged(tracker_of(merged(DOG, CAT)), Relation("dog", "left", "cat"))
    assert score.value == 1.0
    assert tracks.labels == ("dog", "cat") and tracks.colour == ("", "")
    np.testing.assert_allclose(tracks.box[0][:11], np.tile([10, 20, 30, 40], (11, 1)))
    np.testing.assert_allclose(tracks.xy[1][:11], np.tile([90, 30], (11, 1)))
    assert judged(tracker_of(merged(DOG, CAT)), Relation("dog", "right", "cat"))[0].value == 0.0
    assert judged(tracker_of(merged(DOG, boxes_of(50))), Count(2, "dog"))[0].value == 1.0
    assert judged(tracker_of(merged({})), Relation("dog", "left", "cat"))[0].reason == "no dog was found"


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (merged(boxes_of(10, 0.2), CAT), "may be a dog"),
        (merged(DOG, CAT, boxes_of(50, 0.2)), "may be a dog"),
        (merged(DOG, CAT, {4: [Detection("cat", 0.2, (40, 20, 60, 40))]}), "may be a cat"),
        (merged(DOG, CAT, {4: [Detection("dog", 0.9, (40, 20, 60, 40))]}), "a single frame"),
        (merged(boxes_of(10, np.where(np.arange(T) < 5, 0.9, np.where(np.arange(T) < 8, 0, 0.2))), CAT), "seen again"),
    ],
)
@pytest.mark.parametrize("expectation", [Relation("dog", "left", "cat"), Relation("dog", "right", "cat")])
def test_what_is_unsure_is_not_judged(tracker_of, found, why, expectation):
    score, tracks = judged(tracker_of(found), expectation)
    assert score.value is None and why in score.reason
    assert not len(tracks)


def test_an_unsure_box_between_sure_ones_of_the_same_thing_is_that_thing(tracker_of):
    wavering = boxes_of(10, np.where(np.arange(T) % 4, 0.2, 0.9))
    assert judged(tracker_of(merged(wavering, CAT)), Relation("dog", "left", "cat"))[0].value == 1.0


def test_an_unsure_thing_is_no_wrong_answer_of_the_worlds_probes_either(tracker_of):
    case = replace(WORLD, prompt="A red ball and a blue cube.")
    tracks = tracker_of(merged(boxes_of(10, 0.2, "red ball"))).track(VIDEO, case)
    assert "may be a red ball" in tracks.unsure
    assert registry.probe(case.probe).score(case, VIDEO, tracks).value is None


def box_masks(x, shown=None):
    masks = np.zeros((T, *SIZE), bool)
    for t in range(T):
        if shown is None or shown[t]:
            masks[t, 20:41, int(np.broadcast_to(x, T)[t]) : int(np.broadcast_to(x, T)[t]) + 21] = True
    return masks


def test_masks_give_box_centroid_and_area_without_speckles():
    masks = box_masks(10, np.arange(T) != 3)
    masks[:, 2, 100] = True
    box, xy, area = measured(masks[:, :, :][np.arange(T) != 3])
    assert (box == [10, 20, 30, 40]).all() and (xy == [20, 30]).all() and (area == 441).all()
    box, _, area = measured(np.zeros((2, *SIZE), bool))
    assert np.isnan(box).all() and not area.any()


def test_a_mask_follows_a_thing_between_the_frames_that_the_detector_saw():
    tracks, doubt = linked(VIDEO, merged(DOG), 0.35)
    assert doubt == ""
    seen = []
    followed = with_masks(tracks, merged(DOG), 0.35, lambda at, box: seen.append((at, box)) or box_masks(10))
    assert seen == [(0, (10.0, 20.0, 30.0, 40.0))]
    (thing,) = followed.things
    assert np.isfinite(thing.box).all() and followed.doubt == ""


def test_masks_that_leave_the_boxes_are_doubted():
    tracks = linked(VIDEO, merged(DOG), 0.35)[0]
    for wrong in (box_masks(80), box_masks(10, np.arange(T) < 6)):
        followed = with_masks(tracks, merged(DOG), 0.35, lambda at, box, m=wrong: m)
        assert followed.things == () and "disagree" in followed.doubt


def test_two_tracks_that_one_mask_follows_are_one_thing():
    found = merged(DOG)
    tracks = [Track("dog", {k: found[k][0].box for k in ks}, dict.fromkeys(ks, 0.9)) for ks in ((0, 2, 4), (8, 10))]
    followed = with_masks(tracks, found, 0.35, lambda at, box: box_masks(10))
    assert len(followed.things) == 1


def test_a_thing_in_front_is_not_judged_as_one_behind(tracker_of):
    x = np.linspace(0, 90, T)
    found = merged(boxes_of(x), boxes_of(50, label="car", w=16.0))
    case = case_of(PassBehind("dog", "car", "right"))
    tracks = tracker_of(found).track(VIDEO, case)
    probe = registry.probe(case.probe)
    # Whole all the way, it passes in front, or nothing shows that it does not.
    assert probe.score(case, VIDEO, tracks).value is None
    area = tracks.area.copy()
    area[tracks.labels.index("dog"), 5:8] *= 0.4
    tracks = replace(tracks, area=area)
    assert probe.score(case, VIDEO, tracks).value == 1.0
    for dog, value in ((0.9, None), (0.2, 1.0)):
        near = np.stack([np.full(T, dog if label == "dog" else 0.5) for label in tracks.labels])
        score = probe.score(case, VIDEO, replace(tracks, shape={**tracks.shape, "nearness": near}))
        assert score.value == value
    assert "in front" in probe.score(case, VIDEO, replace(tracks, shape={"nearness": 1 - near})).reason


# Changes of state


@dataclass(frozen=True)
class Brightness:
    """An encoder in which "lit" is bright and "out" is dark, and which knows no other states but those in `also`."""

    also: tuple[str, ...] = ()
    name: str = "brightness"
    scale: float = 100.0
    step: float = 0.02

    def unread(self, text):
        return "xyzzy" in text

    def images(self, frames):
        level = frames.reshape(len(frames), -1).mean(axis=1) / 255
        return np.stack([level, np.sqrt(1 - level**2)], axis=1)

    def texts(self, texts):
        lit = [("lit" in t.split()) - ("out" in t.split()) + 4 * any(w in t.split() for w in self.also) for t in texts]
        return np.array([[self.step * v, 0.0] for v in lit])


def fading(first, last):
    level = np.where(np.arange(24) < 12, first, last)
    return np.broadcast_to(level[:, None, None, None], (24, 40, 40, 3)).astype(np.uint8)


WHOLE = (0, 0, 40, 40)


def change(frames, states_in_words=("candle", "lit", "out"), encoder=None, threshold=2.0):
    return changes.change_finding(frames, WHOLE, states_in_words, encoder or Brightness(), threshold)


def test_a_change_is_judged_by_the_shift_between_its_words():
    assert change(fading(250, 10)).answer == "forward"
    assert change(fading(10, 250)).answer == "backward"
    assert change(fading(10, 250), ("candle", "out", "lit")).answer == "forward"


@pytest.mark.parametrize(
    ("finding", "why"),
    [
        (lambda: change(fading(128, 128)), "less than 2"),
        (lambda: change(fading(250, 200)), "less than 2"),
        (
            lambda: change(fading(250, 10), encoder=Brightness(also=("open", "full", "clean", "hot", "new"))),
            "so do those",
        ),
        (lambda: change(fading(250, 10), ("xyzzy", "lit", "out")), "can't read"),
        (lambda: change(fading(250, 10)[:3]), "too few"),
        (
            lambda: change(np.where(np.arange(24)[:, None, None, None] == 2, 10, fading(250, 10)).astype(np.uint8)),
            "all frames",
        ),
    ],
)
def test_a_change_that_is_small_unsteady_or_like_any_other_is_not_decided(finding, why):
    found = finding()
    assert found.answer == "" and why in found.reason


def test_the_probe_takes_the_answer_and_abstains_with_the_reason(tracker_of):
    def score(finding):
        case = case_of(Change("candle", "lit", "out"))
        tracks = replace(tracker_of(merged({})).track(VIDEO, case), findings={"change": finding} if finding else {})
        return registry.probe(case.probe).score(case, VIDEO, tracks)

    assert score(Finding("forward", 0.9)).value == 1.0
    assert score(Finding("backward", 0.9)).value == 0.0
    assert score(Finding("", 0.1, "too dark")).reason == "too dark"
    assert "tracker=open_vocab" in score(None).reason


def test_the_bundled_encoder_does_not_judge_states(tracker_of):
    found = merged(boxes_of(10, label="candle"))
    score, _ = judged(tracker_of(found), Change("candle", "lit", "out"))
    assert score.value is None and "world-clip" in score.reason and "tracker.states=clip-b-32" in score.reason


def test_the_region_of_a_thing_has_a_margin_and_stays_inside(tracker_of):
    tracks = tracker_of(merged(DOG)).track(VIDEO, case_of(Change("dog", "dry", "wet")))
    assert changes.region_of(tracks) == (5, 15, 36, 46)
    assert changes.region_of(replace(tracks, visible=np.zeros_like(tracks.visible))) is None
