# Two commands do it all on a fresh Debian with Python 3.11: make demo, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CHECKPOINTS ?= base 4x 42x
export OMP_NUM_THREADS ?= 1

.PHONY: help demo test test-slow browser docs soak fuzz lint format bench card encoders validate leaderboard baseline gate clean

help:
	@echo "make demo      install and run the main job: the four suites on the bundled generator, beside the oracle and a frozen picture"
	@echo "make test      install and run the tests, but for those of some 10 s and more"
	@echo "make test-slow run those: clusters, killed runs, other processors, mutated files, training"
	@echo "make docs      the documentation site, into build/site"
	@echo "make soak      kill a sweep, a run with fidelity, a merge and a training at random moments; they must make what they make undisturbed"
	@echo "make fuzz      5,000 mutated inputs of every kind that is read: no traceback, no hang, nothing outside the folder, good rows scored"
	@echo "make lint      ruff (format and lint) and mypy --strict"
	@echo "make bench     timings, as tables"
	@echo "make card      measures and pictures of the bundled checkpoints, into docs/"
	@echo "make encoders  what the bundled encoders notice, into reports/"
	@echo "make validate  the validity card, into reports/"
	@echo "make leaderboard, make baseline   of the bundled checkpoints, into reports/"
	@echo "make gate      the default checkpoint against the committed baseline"

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@# A reference of the tracking tests; of its requirements the tests need none that is not here, and one is a second OpenCV.
	$(BIN)/python -m pip install --quiet --no-deps trackeval==1.3.0
	@touch $@

demo: $(VENV)/installed
	$(BIN)/sora-eval run generator=reference suite=smoke 'references=[oracle,frozen]' out=runs/demo

# The report is looked at in a real browser; where none is and apt-get may install one, it does.
browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -qq -y chromium >/dev/null; } || echo "no chromium: the browser tests will be skipped"

# By whole files, in their order: what a file's tests share is made once.
test: $(VENV)/installed browser
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

test-slow: $(VENV)/installed browser
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m slow

soak: $(VENV)/installed
	rm -rf build/soak
	$(BIN)/python tests/soak.py 50 build/soak

fuzz: $(VENV)/installed
	rm -rf build/fuzz
	$(BIN)/python tests/fuzz.py 5000 build/fuzz

lint: $(VENV)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@# mypy does not follow setuptools' package-dir: it gets a copy of the tree as it is installed.
	@rm -rf build/typed && mkdir -p build/typed && cp -r sora_eval build/typed/ && cp -r generator probes conf build/typed/sora_eval/
	MYPYPATH=build/typed $(BIN)/mypy --strict --cache-dir .mypy_cache -p sora_eval

format: $(VENV)/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The notice of the theme's authors on MkDocs 2 is no warning of ours.
docs: $(VENV)/installed
	@$(BIN)/python -c "import mkdocstrings, material" 2>/dev/null || $(BIN)/python -m pip install --quiet --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

bench: $(VENV)/installed
	@$(BIN)/python -c "import diffusers" 2>/dev/null || $(BIN)/python -m pip install --quiet --editable '.[bench]'
	PYTHONPATH=tests $(BIN)/python -m benchmarks.bench

# Measures of the bundled checkpoints, into docs/model_card.md, and the pictures of the README.
card: $(VENV)/installed
	for c in $(CHECKPOINTS); do $(BIN)/sora-eval eval-tasks checkpoint=$$c replace=true || exit 1; done
	for c in $(CHECKPOINTS); do $(BIN)/sora-eval eval-tasks checkpoint=$$c 'tasks=[text]' count=120 out=runs/text120-$$c replace=true || exit 1; done
	PYTHONPATH=tests $(BIN)/python -m benchmarks.model_card $(CHECKPOINTS:%=runs/tasks-%) --text $(CHECKPOINTS:%=runs/text120-%)
	PYTHONPATH=tests $(BIN)/python -m benchmarks.gallery $(lastword $(CHECKPOINTS)) docs

validate: $(VENV)/installed
	$(BIN)/sora-eval validate
	$(BIN)/sora-eval validate suite=abilities suite.count=4 fidelity.count=0 out=reports/abilities

leaderboard: $(VENV)/installed
	$(BIN)/sora-eval run +sweep=scaling suite=smoke replace=true hydra.sweep.dir=runs/leaderboard
	$(BIN)/sora-eval leaderboard runs/smoke-small/reference/*/0 --out reports
	cp runs/leaderboard/scaling.png docs/scaling.png
	$(BIN)/sora-eval run +sweep=scaling suite=abilities suite.count=2 replace=true hydra.sweep.dir=runs/leaderboard-abilities
	$(BIN)/sora-eval leaderboard runs/abilities-small/reference/*/0 --out reports/abilities

# What the bundled checkpoint can do, with a first frame given: where it scores 0, nothing can fall.
GATED := suite=gate 'suite.modes=[i2v]' 'suite.suites=[left_right,object_permanence,physics]' 'references=[]' 'fidelity.metrics=[]' tracking=false players=0 replace=true
BASELINE := reports/baselines/reference-$(lastword $(CHECKPOINTS))
baseline: $(VENV)/installed
	$(BIN)/sora-eval run generator=reference $(GATED) out=runs/baseline
	$(BIN)/sora-eval baseline save runs/baseline --out $(BASELINE)

gate: $(VENV)/installed
	$(BIN)/sora-eval run generator=reference $(GATED) out=runs/gate
	$(BIN)/sora-eval gate --baseline $(BASELINE) --candidate runs/gate

encoders: $(VENV)/installed
	$(BIN)/sora-eval encoders

clean:
	rm -rf $(VENV) build dist *.egg-info runs
