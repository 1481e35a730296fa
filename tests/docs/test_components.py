"""The package describes every component of a score, with the thresholds that the code has."""

import ast
import re
from itertools import chain

import pytest
from docs.pages import ROOT

from sora_eval import registry
from sora_eval.probes.natural import natural_probes
from sora_eval.reporting.report.score_components import score_components
from sora_eval.tracking.world import WorldTracker
from sora_eval.world import clip, scene_of

DESCRIBED = score_components()
OF_WORLD = [name for name in DESCRIBED if name not in natural_probes()]


def definitions(natural):
    """Return the functions and classes in probes/ by name, those of prompts in plain words or the others."""
    paths = [p for p in sorted((ROOT / "probes").rglob("*.py")) if ("natural" in p.parts) == natural]
    nodes = chain.from_iterable(ast.walk(ast.parse(path.read_text(encoding="utf-8"))) for path in paths)
    return {node.name: node for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}


DEFINED = definitions(natural=False)


def reached(name, defined=DEFINED):
    """Return the definitions that a class uses, itself among them."""
    found, left = {}, [name]
    while left:
        node = defined.get(name := left.pop())
        if node is None or name in found:
            continue
        found[name] = node
        for inner in ast.walk(node):
            left += [inner.id] if isinstance(inner, ast.Name) else []
            left += [inner.attr] if isinstance(inner, ast.Attribute) else []
    return list(found.values())


def number(node):
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return None
    return value if isinstance(value, int | float) else None


def limits(nodes):
    """Return the pairs of numbers that calls with three arguments end in: f(error, full, zero)."""
    calls = (n for n in chain.from_iterable(map(ast.walk, nodes)) if isinstance(n, ast.Call) and len(n.args) == 3)
    return {(a, b) for c in calls for a, b in [(number(c.args[1]), number(c.args[2]))] if None not in (a, b)}


def texts(nodes):
    """Return the texts and the names of keyword arguments in some code."""
    every = list(chain.from_iterable(map(ast.walk, nodes)))
    return {n.value for n in every if isinstance(n, ast.Constant)} | {
        n.arg for n in every if isinstance(n, ast.keyword)
    }


def test_every_probe_is_described():
    assert set(OF_WORLD) == set(registry.probe_names(optional=True))


@pytest.mark.parametrize("name", DESCRIBED)
def test_thresholds_are_those_of_the_code(name):
    defined = DEFINED if name in OF_WORLD else definitions(natural=True)
    nodes = reached(type(registry.probe(name)).__name__, defined)
    there, words = limits(nodes), texts([*nodes, DEFINED["continuation"]])
    for component in DESCRIBED[name]:
        assert component.name in words, f"{component.name} is in no code of {name}"
        for pair in component.code:
            assert tuple(pair) in there, f"{component.name} of {name}: {pair} is in no code"
            shown = re.findall(r"\d+(?:\.\d+)?", f"{component.full} {component.zero} {component.means}")
            missing = {abs(v) for v in pair} - {0} - {float(text) for text in shown}
            assert not missing, f"{component.name} of {name} does not name {missing}"


@pytest.mark.parametrize("name", OF_WORLD)
def test_components_of_the_true_clip_are_described(name):
    probe = registry.probe(name)
    case = probe.cases(1, registry.profile("small"), probe.modes[-1])[0]
    video = clip(scene_of(case.scene, (case.frames - 1) / case.fps), case.size, case.fps, case.frames).video
    score = probe.score(case, video, WorldTracker().track(video))
    assert score.components
    assert set(score.components) <= {c.name for c in DESCRIBED[name]}
