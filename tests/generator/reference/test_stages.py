import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from sora_eval import registry
from sora_eval.data.vocabulary import Vocabulary
from sora_eval.errors import ConfigError
from sora_eval.generator.reference import model, stages
from sora_eval.generator.reference.adapter import Reference
from sora_eval.generator.reference.autoencoder import Autoencoder, AutoencoderConfig
from sora_eval.generator.reference.distillation.training import Distillation
from sora_eval.generator.reference.options import DISTIL, EXPORT, STAGES, DistilPlan, Options, Plan
from sora_eval.generator.reference.recipe import autoencoder_recipe, transformer_recipe
from sora_eval.generator.reference.stages import run
from sora_eval.generator.reference.transformer import Transformer
from sora_eval.training import checkpoints, loop


@pytest.fixture(scope="module", autouse=True)
def tiny():
    """Networks of a few thousand numbers: what a stage does is the same, and a step takes a tenth of a second instead of one."""
    sizes = {"width": 48, "depth": 2, "heads": 2, "text_width": 16, "text_depth": 1}
    widths = AutoencoderConfig(widths=(8, 8, 16), encoder_blocks=(1, 1, 1), decoder_blocks=(1, 1, 2))
    whole, pixels = transformer_recipe(), autoencoder_recipe()
    with pytest.MonkeyPatch.context() as patched:
        small = replace(whole, network=replace(whole.network, **sizes))
        patched.setattr(stages, "transformer_recipe", lambda _: small)
        patched.setattr(stages, "autoencoder_recipe", lambda _: replace(pixels, network=widths))
        yield


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stages")
    small = {"data": {"folder": str(folder / "data"), "shards": 1, "size": 2}, "out": str(folder)}
    short = {"autoencoder": {"steps": 2, "decay": 1}, "decoder": {"steps": 2}}
    branch = {"name": "tiny", "units": 1, "unit": 5, "tokens": 80, "words": 2, "compiled": False}
    return Plan.of({**small, **short, "transformer": branch, "workers": 1})


@pytest.fixture(scope="module")
def built(plan):
    return run("all", plan)


def test_all_stages_from_nothing_to_a_checkpoint(plan, built):
    assert built == plan.folder / "tiny.safetensors"
    found = model.load(str(built))
    assert found.about["steps"] == 5
    # Forward and backward take at least six operations per weight and token: 80 tokens in each of 5 steps.
    assert found.compute > 6 * 5 * 80 * sum(p.numel() for p in found.transformer.blocks.parameters())
    # The decoder went on by itself: the latents are those of the encoder before.
    before = {k: v.half() if v.is_floating_point() else v for k, v in training_weights(plan, "autoencoder").items()}
    after = found.autoencoder.state_dict()
    same = {k for k in before if torch.equal(before[k].float(), after[k].float())}
    assert {k for k in before if not k.startswith("decoder.")} <= same
    assert not {k for k in before if k.startswith("decoder.up")} <= same
    assert (plan.folder / "tiny" / "sheet-0000005.png").exists()


def test_a_transformer_begins_with_the_words_that_were_learnt_before_it(plan, built, monkeypatch):
    learnt = training_weights(plan, "words")
    assert {k.split(".")[0] for k in learnt} == {"text_encoder", "grounding_head"}
    begun = []
    monkeypatch.setattr(loop, "fit", lambda job, *_, **__: begun.append(job.network.state_dict()))
    for other in ("a", "b"):
        p = replace(plan.transformer, name=other, units=1 if other == "a" else 0)
        stages._train_transformer(replace(plan, transformer=p), plan.folder / other)
    for weights in begun:
        assert all(torch.equal(weights[k], v) for k, v in learnt.items())
    assert model.load(str(plan.folder / "tiny.safetensors")).about["words"]["steps"] == 2


def test_a_trunk_whose_state_is_lost_goes_on_from_exported_weights(plan, built, tmp_path, monkeypatch):
    trunk = replace(plan.transformer, units=0, trunk_units=1, branches=())
    before = replace(plan, transformer=trunk)
    run("transformer", before)
    exported = run(EXPORT, before)
    assert exported == plan.folder / "trunk.safetensors"
    past = model.load(str(exported)).about

    shutil.copy(plan.folder / "autoencoder.safetensors", tmp_path)
    # What the past cost stands in the header of its weights, whatever a step costs now.
    monkeypatch.setattr(loop, "flops", lambda job, steps, begun=0: 100.0 * (steps - begun))
    later = replace(trunk, trunk_units=2, branches=(2,), start=str(exported))
    onward = replace(plan, out=str(tmp_path), transformer=later)
    resumed = model.load(str(run("transformer", onward))).about
    assert (past["steps"], resumed["steps"]) == (4, 8)
    assert resumed["clips"] > past["clips"]
    assert resumed["seconds"] > past["seconds"]
    assert resumed["curve"][: len(past["curve"])] == past["curve"]
    assert resumed["words"] == past["words"]
    assert resumed["flops"] == past["flops"] + 400
    branch = replace(onward, transformer=replace(later, units=2, name="onward"))
    with pytest.raises(ConfigError, match=r"name them in transformer\.start"):
        run("transformer", replace(branch, transformer=replace(branch.transformer, start="")))
    ended = model.load(str(run(EXPORT, branch))).about
    assert (ended["steps"], ended["words"]) == (10, past["words"])
    assert ended["flops"] == past["flops"] + 600
    with pytest.raises(ConfigError, match="holds no training"):
        run(EXPORT, replace(plan, out=str(tmp_path / "empty"), transformer=trunk))


def test_weights_are_no_trunk(plan, built, tmp_path):
    shutil.copy(plan.folder / "autoencoder.safetensors", tmp_path)
    start = replace(plan.transformer, name="onward", start=str(built))
    with pytest.raises(ConfigError, match=r"run transformer\.units=0 first"):
        run("transformer", replace(plan, out=str(tmp_path), transformer=start))
    # They have had 5 steps; a trunk of one unit ends at 4.
    trunk = replace(start, name="", units=0, trunk_units=1, branches=(1,))
    with pytest.raises(ConfigError, match="has had 5 steps, and the run ends at 4"):
        run("transformer", replace(plan, out=str(tmp_path), transformer=trunk))


def test_a_trunk_may_end_where_its_weights_are(plan, built, tmp_path, monkeypatch):
    shutil.copy(plan.folder / "autoencoder.safetensors", tmp_path)
    monkeypatch.setattr(stages, "_trunk_steps", lambda units, unit: units * unit)
    trunk = replace(plan.transformer, name="", units=0, trunk_units=1, branches=(1,), start=str(built))
    about = model.load(str(run("transformer", replace(plan, out=str(tmp_path), transformer=trunk)))).about
    assert about["flops"] == model.load(str(built)).about["flops"]
    assert loop.kept(tmp_path / "trunk", 5).exists()


def test_a_run_goes_on_only_with_its_own_words_and_latents(plan, built):
    facts = checkpoints.read(built, "transformer")[1]
    words = Vocabulary(tuple(facts["words"]))
    start = replace(plan, transformer=replace(plan.transformer, start=str(built)))
    assert stages._past(start, words, facts["latents"]).steps == 5
    with pytest.raises(ConfigError, match="other words"):
        stages._past(start, Vocabulary(words.words[:-1]), facts["latents"])
    with pytest.raises(ConfigError, match="another autoencoder"):
        stages._past(start, words, "0" * 64)


def test_a_branch_has_a_name_of_its_own_and_never_begins_from_nothing_beside_a_trunk(plan, built):
    names = {0: "trunk", 1: "base", 4: "4x"}
    assert {
        u: stages._name(replace(plan, transformer=replace(plan.transformer, name="", units=u))) for u in names
    } == names
    assert stages._name(replace(plan, transformer=replace(plan.transformer, name="", units=4, square=True))) == "square"
    for name in ("trunk", "words", "../else"):
        with pytest.raises(ConfigError, match=r"transformer\.name"):
            Plan.of({"data": {"folder": "x"}, "out": "x", "transformer": {"name": name, "units": 1}})
    run("transformer", replace(plan, transformer=replace(plan.transformer, units=0, trunk_units=1, branches=())))
    with pytest.raises(ConfigError, match=r"kept-0000004\.pt is missing"):
        run("transformer", replace(plan, transformer=replace(plan.transformer, name="late")))


def test_after_a_trunk_all_its_branches_end(plan, monkeypatch):
    done = []
    monkeypatch.setattr(stages, "_DO", {name: lambda p, name=name: done.append(name) for name in STAGES})
    monkeypatch.setattr(stages, "_transformer", lambda p: done.append(stages._name(p)))
    trunk = replace(plan.transformer, name="", units=0, trunk_units=4, branches=(1, 4, 32))
    run("all", replace(plan, transformer=trunk))
    assert done == [*STAGES, "base", "4x"]


def test_after_a_trunk_from_weights_only_later_branches_end(plan, built, monkeypatch):
    done = []
    monkeypatch.setattr(stages, "_DO", {name: lambda _: None for name in STAGES})
    monkeypatch.setattr(stages, "_transformer", lambda p: done.append(stages._name(p)))
    # They have had 5 steps, the branch of one unit begins at 4.
    trunk = replace(plan.transformer, name="", units=0, trunk_units=4, branches=(1, 2, 4), start=str(built))
    run("all", replace(plan, transformer=trunk))
    assert done == ["2x", "4x"]


def test_without_a_compiler_training_goes_on(monkeypatch, capsys):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert not stages.can_compile()
    assert "without torch.compile" in capsys.readouterr().out


def test_a_larger_autoencoder_begins_as_the_smaller_one(autoencoder, tmp_path):
    more = Autoencoder(
        replace(autoencoder.config, channels=24, encoder_blocks=(1, 1, 3), decoder_blocks=(1, 1, 4))
    ).eval()
    model.save_autoencoder(tmp_path / "small.safetensors", autoencoder, {})
    small = model.load_autoencoder(tmp_path / "small.safetensors")[0]
    model.fill_autoencoder(more, tmp_path / "small.safetensors")
    chunks = torch.rand(2, 2, 12, 16, 16) * 2 - 1
    z, wider = small.encode_chunks(chunks), more.encode_chunks(chunks)
    assert torch.allclose(wider[:, :, :16], z, atol=1e-5)
    wider[:, :, 16:] = 0
    assert torch.allclose(more.decode(wider), small.decode(z), atol=1e-4)


def test_weights_of_another_width_are_refused(plan, built, checkpoint):
    config = model.load(str(checkpoint)).transformer.config
    for change in ({"width": 96}, {"text_width": 32}, {"heads": config.heads * 2}):
        with pytest.raises(ConfigError, match="it can't begin with these weights"):
            model.fill_transformer(Transformer(replace(config, **change)), checkpoint)


@pytest.mark.parametrize("change", [{"workers": 2}, {"seed": 5}])
def test_a_run_resumes_with_its_own_settings_only(plan, built, change):
    with pytest.raises(ConfigError, match="set these values, or name another folder"):
        stages._train_transformer(replace(plan, **change), plan.folder / "tiny")


def test_the_cost_is_of_the_machine_that_trained(plan, built):
    about = checkpoints.read(built, "transformer")[2]
    run(EXPORT, replace(plan, workers=8))
    assert checkpoints.read(built, "transformer")[2]["flops"] == about["flops"]


def test_another_transformer_begins_from_what_fits(plan, built, checkpoint):
    """Fine blocks, more channels and other words are added; what a text encodes to stays the same."""
    first = model.load(str(checkpoint))
    network = Transformer(replace(first.transformer.config, channels=24, fine_depth=(1, 1), fine_width=32))
    model.fill_transformer(network, checkpoint)
    ids = first.words.encode(["a red ball rolls to the left"], 96)
    assert torch.equal(network.text_encoder(ids).words, first.transformer.text_encoder(ids).words)
    z, t, given = torch.randn(1, 2, 16, 4, 4), torch.full((1, 2), 0.4), torch.tensor([[True, False]])
    wider = torch.cat([z, torch.zeros(1, 2, 8, 4, 4)], dim=2)
    assert torch.allclose(network(wider, t, given, ids)[:, :, :16], first.transformer(z, t, given, ids), atol=1e-4)


def test_weights_that_a_run_began_with_are_named_without_their_folder(plan, built, tmp_path):
    shutil.copy(plan.folder / "autoencoder.safetensors", tmp_path)
    onward = replace(plan, out=str(tmp_path), transformer=replace(plan.transformer, name="onward", initial=str(built)))
    about, before = (model.load(str(path)).about for path in (run("transformer", onward), built))
    assert about["plan"]["initial"] == about["initial"]["name"] == "tiny"
    assert about["initial"]["steps"] == before["steps"]
    assert about["flops"] > before["flops"]
    assert str(plan.folder) not in json.dumps(about)
    # The run after that knows of both.
    again = model.begun_with(tmp_path / "onward.safetensors")
    assert (again["name"], again["flops"], again["initial"]) == ("onward", about["flops"], about["initial"])
    assert again["initial"].keys() >= {"flops", "steps", "clips", "seconds", "processes", "curve", "name", "hash"}


@pytest.fixture(scope="module")
def distilled(plan, built):
    """A plan that distils the tiny checkpoint, and the file that it makes."""
    plan = replace(plan, distil=DistilPlan(str(built), 2, steps=3), save_s=1e-6)
    return plan, run(DISTIL, plan)


def test_a_distilled_checkpoint_loads_as_any_and_samples_by_the_options_that_it_is_for(plan, built, distilled):
    path = distilled[1]
    assert path == plan.folder / "tiny-2steps.safetensors"
    student, teacher = model.load(str(path)), model.load(str(built))
    options = Reference(checkpoint=str(path))._sampler().options
    assert (options.steps, options.guidance, options.order) == (2, 1, 1)
    assert Reference(checkpoint=str(path), steps=8, guidance=2.0)._sampler().options == Options(8, 2.0, order=1)
    assert Reference(checkpoint=str(built))._sampler().options == Options()
    assert student.about["initial"]["hash"] == checkpoints.read(built, "transformer")[-1]
    assert student.compute > teacher.compute
    assert str(plan.folder) not in json.dumps(student.about)
    # The network learnt, its text encoder stayed.
    before, after = teacher.transformer.state_dict(), student.transformer.state_dict()
    same = {k for k in before if torch.equal(before[k], after[k])}
    assert {k for k in before if k.startswith("text_encoder.")} <= same
    assert not {k for k in before if k.startswith("blocks.0.attn.qkv")} & same
    (case,) = registry.probe("relation").cases(1, registry.profile("small"), "t2v")
    assert next(iter(Reference(checkpoint=str(path)).generate([case]))).frames.shape == (17, 64, 64, 3)


def test_a_killed_distillation_resumes_to_the_same_weights(built, distilled, tmp_path, monkeypatch):
    plan, path = distilled
    shutil.copy(plan.folder / "autoencoder.safetensors", tmp_path)
    again, loss = replace(plan, out=str(tmp_path)), Distillation.loss

    def killed(self, step, rank=0):
        if step == 2:
            raise KeyboardInterrupt
        return loss(self, step, rank)

    with monkeypatch.context() as patched:
        patched.setattr(Distillation, "loss", killed)
        with pytest.raises(KeyboardInterrupt):
            run(DISTIL, again)
    assert torch.load(tmp_path / "tiny-2steps" / loop.STATE, weights_only=True)["step"] == 2
    assert model.load(str(run(DISTIL, again))).hash == model.load(str(path)).hash


def test_a_student_of_a_student_and_what_can_t_be_distilled(distilled):
    plan, path = distilled
    once = replace(plan, distil=DistilPlan(str(path), 1, steps=1))
    assert model.load(str(run(DISTIL, once))).sampling["steps"] == 1
    with pytest.raises(ConfigError, match="must divide the 8 steps of the teacher, got 3"):
        run(DISTIL, replace(plan, distil=DistilPlan(plan.distil.teacher, 3)))
    with pytest.raises(ConfigError, match="trained on the latents of another autoencoder"):
        run(DISTIL, replace(plan, distil=DistilPlan("4x")))


def training_weights(plan, name):
    return load_file(plan.folder / name / loop.EMA)


def test_a_stage_says_what_it_builds_on(tmp_path):
    bare = Plan.of({"data": {"folder": str(tmp_path / "data")}, "out": str(tmp_path)})
    with pytest.raises(ConfigError, match="no checkpoint"):
        run("latents", bare)
    with pytest.raises(ConfigError, match="did you mean decoder"):
        run("decode", bare)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("stage", ["words", "transformer"])
def test_without_latents_there_is_one_line(plan, built, stage, workers, tmp_path):
    shutil.copy(plan.folder / "autoencoder.safetensors", tmp_path)
    data = replace(plan.data, folder=str(tmp_path / "data"))
    shutil.copytree(
        plan.folder / "data" / "training", tmp_path / "data" / "training", ignore=shutil.ignore_patterns("latents-*")
    )
    with pytest.raises(ConfigError, match="run stage=latents first"):
        run(stage, replace(plan, data=data, out=str(tmp_path), workers=workers))


def test_words_that_were_begun_are_never_left_out(plan, built, tmp_path):
    shutil.copy(plan.folder / "autoencoder.safetensors", tmp_path)
    other = replace(plan, out=str(tmp_path))
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / loop.LOG).write_text("")
    with pytest.raises(ConfigError, match="is not done: run stage=words again"):
        run("transformer", other)
    assert not (tmp_path / "tiny" / loop.STATE).exists()


def test_another_seed_is_another_run(plan, built):
    with pytest.raises(ConfigError, match=r"seed=0 \(now: 1\)"):
        run("transformer", replace(plan, seed=1))


def test_a_decoder_that_went_on_learning_stays(plan, built):
    path = built.with_name("autoencoder.safetensors")
    before = path.read_bytes()
    run("autoencoder", plan)
    assert path.read_bytes() == before


def test_a_decoder_that_is_trained_again_keeps_the_latents_and_adds_up_its_cost(plan, built, tmp_path):
    path = tmp_path / "autoencoder.safetensors"
    network, _ = model.load_autoencoder(built.with_name("autoencoder.safetensors"))
    about = checkpoints.read(built.with_name("autoencoder.safetensors"), "autoencoder")[2]
    # An average of weights turns negative zeros into positive ones.
    network.encoder.body[0].conv.weight.data[0] = -0.0
    latents = model.save_autoencoder(path, network, about)
    for _ in range(2):  # The second time there is nothing left to do.
        run("decoder", replace(plan, out=str(tmp_path)))
        assert model.load_autoencoder(path)[1] == latents
        after = checkpoints.read(path, "autoencoder")[2]
        assert after["decoder"]["steps"] == 2 * about["decoder"]["steps"] == 4
        assert after["decoder"]["flops"] == 2 * about["decoder"]["flops"]


def test_a_start_may_be_named(plan, built):
    start = replace(plan, transformer=replace(plan.transformer, start="4x"))
    with pytest.raises(ConfigError, match="another autoencoder"):
        stages._past(start, Vocabulary(()), "0" * 64)


def test_values_are_checked_by_name(tmp_path):
    words = {"data": {"folder": str(tmp_path)}, "out": str(tmp_path)}
    for values, told in (
        ({"data": {"folder": "x", "looks": ["indor"]}}, "did you mean indoor"),
        ({"data": {"folder": "x", "looks": []}}, r"data\.looks is empty"),
        ({"data": {"folder": "x", "families": ["two_place"]}}, "did you mean two_places"),
        ({"decoder": {"steps": 0}}, r"decoder\.steps must be a whole number of at least 1"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"save_s": float("nan")}, "save_s must be a number above 0"),
        ({"decoder": None}, "decoder must be a group"),
        ({"autoencoder": {"steps": 2, "decay": 3}}, r"autoencoder\.decay must be in 0\.\.2"),
        ({"transformer": {"branches": ["a"]}}, r"transformer\.branches must be a list"),
        ({"transformer": {"name": "mine"}}, "is of a branch"),
        ({"transformer": {"branches": None}}, r"transformer\.branches must be a list"),
    ):
        with pytest.raises(ConfigError, match=told):
            Plan.of({**words, **values})
    with pytest.raises(ConfigError, match=r"transformer\.units must be a whole number"):
        Plan.of({**words, "transformer": {"units": "four"}})
