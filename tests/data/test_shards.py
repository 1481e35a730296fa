import numpy as np
import pytest

from sora_eval import registry
from sora_eval.data import shards
from sora_eval.data.shards import ACTIONS, FPS
from sora_eval.errors import ConfigError
from sora_eval.training import tensors
from sora_eval.types import digest
from sora_eval.world.families import FAMILIES, draw, family


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(shards, "BUCKETS", (shards.Bucket(5, 16, 32, 0.5), shards.Bucket(1, 16, 16, 0.5)))
    monkeypatch.setattr(shards, "FOCUS", {"single": 0.8})


def test_a_set_is_made_once_and_the_same_each_time(tmp_path, small):
    one = shards.prepare(tmp_path / "a", 3, 2, 0, workers=1)
    assert [s.name for s in one] == ["shard-00000", "shard-00001", "shard-00002"]
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "a").iterdir() if p.name.startswith("shard")}
    again = shards.prepare(tmp_path / "a", 3, 2, 0, workers=1)
    assert before == {p.name: p.stat().st_mtime_ns for p in (tmp_path / "a").iterdir() if p.name.startswith("shard")}
    other = shards.prepare(tmp_path / "b", 3, 2, 0, workers=1)
    for a, b, c in zip(one, again, other, strict=True):
        assert a.items == b.items == c.items
        assert np.array_equal(a.frames(), c.frames())
        assert a.frames().dtype == np.uint8
        assert len(a.frames()) == len(a.items) == 2
    with pytest.raises(ConfigError, match="made with"):
        shards.prepare(tmp_path / "a", 3, 2, 1, workers=1)
    with pytest.raises(ConfigError, match="no training set"):
        shards.read(tmp_path)


def test_a_set_of_chosen_families(tmp_path, small):
    chosen = ("two_places", "camera_move")
    rendered = shards.prepare(tmp_path, 3, 2, 0, workers=1, families=chosen)
    items = [item for s in rendered for item in s.items]
    assert {item.family for item in items} == set(chosen)
    assert shards.mirrored(items[0]).family == items[0].family
    with pytest.raises(ConfigError, match="made with"):
        shards.prepare(tmp_path, 3, 2, 0, workers=1)


def test_training_heldout_and_probes_share_no_scene():
    drawn = {
        s: {digest(draw(f, i, 0, s)[0].to_json()) for f in FAMILIES for i in range(60)} for s in ("training", "heldout")
    }
    probes = set()
    for name in registry.probe_names():
        for seed in (0, 1):
            cases = registry.probe(name).cases(16, registry.profile("small"), "t2v", seed)
            probes |= {digest(dict(c.scene["params"])) for c in cases}
    assert len(probes) > 300
    # No stream begins like another. Families of words only (a candle: some 10^5 members) may meet by chance, others can't.
    for a, b in ((drawn["training"], drawn["heldout"]), (drawn["training"], probes), (drawn["heldout"], probes)):
        assert len(a & b) <= 2
    single, relation = (
        {digest(draw(f, i, 0, s)[0].to_json()) for s in drawn for i in range(200)} for f in ("single", "relation")
    )
    assert (len(single), len(relation)) == (400, 400)
    assert not relation & probes


def test_training_and_probes_share_no_scene_of_the_other_families():
    for probe, name in (("transition", "two_places"), ("endless_loop", "to_and_fro")):
        drawn = {digest(draw(name, i, seed)[0].to_json()) for i in range(300) for seed in range(4)}
        mode = registry.probe(probe).modes[0]
        cases = registry.probe(probe).cases(200, registry.profile("small"), mode, 0)
        assert not drawn & {digest(dict(c.scene["params"])) for c in cases}


def test_actions_follow_the_script():
    params, _ = draw("voxel", 3, 0)
    scene = family("voxel").build(params, 16 / FPS)
    found = shards.actions_of(scene, 17)
    assert len(found) == 17
    assert found[0] == 0
    told = [ACTIONS[k] for k in found[1:]]
    firsts = [a for i, a in enumerate(told) if i == 0 or a != told[i - 1]]
    asked = [a for i, a in enumerate(params.actions) if i == 0 or a != params.actions[i - 1]]
    assert firsts == asked
    still = family("single").build(draw("single", 0, 0)[0], 2.0)
    assert shards.actions_of(still, 17) == []


def test_sizes_and_families_have_their_shares():
    assert sum(b.share for b in shards.BUCKETS) == pytest.approx(1)
    members = [f for i in range(40) for f, _ in shards.plan(i, 64, 0)[1]]
    assert abs(members.count("single") / len(members) - shards.FOCUS["single"]) < 0.03
    assert set(members) == set(shards.MIXTURE) == set(FAMILIES)
    numbers = [m for i in range(40) for m in shards.plan(i, 64, 0)[1]]
    assert len(set(numbers)) == len(numbers)


def test_pixels_and_back():
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8, 3), dtype=np.uint8)
    assert np.array_equal(tensors.to_uint8(tensors.to_tensor(frames)), frames)


@pytest.mark.parametrize("name", ["single", "relation", "voxel", "motion", "hands"])
def test_a_mirrored_item_describes_the_mirrored_clip(name):
    params, rng = draw(name, 5, 0)
    words = family(name).caption
    scene = family(name).build(params, 2.0)
    item = shards.Item(
        name,
        5,
        params.to_json(),
        (words(params, rng),),
        (words(params, rng, long=True),),
        tuple(shards.actions_of(scene, 17)),
    )
    there = shards.mirrored(item)
    assert there.params == params.mirrored().to_json()
    other = family(name).build(params.mirrored(), 2.0)
    assert there.actions == tuple(shards.actions_of(other, 17))
    back = shards.mirrored(there)
    assert back.params == params.to_json()
    assert back.actions == item.actions
