# make demo     the whole loop on a sample pair, from nothing (PAIR=folder for your own), then the loop in your browser
#               (DEMO_HEADLESS=1: only the report)
# make test     every check that CI runs
# make attack   thousands of spoiled files and studies for the command line, and what it made of them
# make bench    speed and memory beside the reference network, as a table and JSON; make bench-browser: the browser face
# make finish   how many slices and minutes a patient needs, by order and learning (PAIR=folder OUT=folder for your own)
# make storm    break saving off STORM_RUNS times at random moments (kills, Ctrl-C, failing and full disks); what is lost
# make pictures the pictures of the README; make browser-picture: that of the browser face
# Variables: PYTHON (3.11 or newer), PAIR, TORCH_INDEX (a package index that holds a torch build without CUDA)

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
TORCH_INDEX ?=
PAIR ?=
DEMO_HEADLESS ?=
STORM_RUNS ?= 1000
STORM_SEED ?= 0
BIN := $(VENV)/bin

.PHONY: demo test attack finish storm bench bench-browser pictures browser-picture first-day real-pairs install install-test system-packages check-python lint types floors unit clean

check-python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "LMIAL needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Say which with: make PYTHON=python3.12 ...")'

# torch comes first and alone, so that nothing else can draw in another build of it
$(BIN)/.installed: pyproject.toml | check-python
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "$(TORCH)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[browser]"
	@touch $@

# nnU-Net's dependencies would otherwise bring another torch
$(BIN)/.installed-test: $(BIN)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test]" "$(TORCH)"
	@touch $@

install: $(BIN)/.installed
install-test: $(BIN)/.installed-test

demo: $(BIN)/.installed
	$(BIN)/lmial demo $(if $(PAIR),"$(PAIR)") $(if $(DEMO_HEADLESS),,--annotate)

lint: $(BIN)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(BIN)/.installed-test
	$(BIN)/mypy

floors: $(BIN)/.installed-test
	$(BIN)/lint-imports --no-cache

# one process a core, up to four (each may take 2 GB); what drives a browser stays in one of them
unit: $(BIN)/.installed-test
	$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadgroup

test: lint types floors unit

# ten thousand spoiled files and studies (fewer: ATTACK_INPUTS=500), each in a process of its own; tables in attack/
ATTACK_INPUTS ?= 10000
attack: $(BIN)/.installed-test
	nice $(BIN)/python Testing/Python/attack/campaign.py --inputs $(ATTACK_INPUTS)

bench: $(BIN)/.installed-test
	$(BIN)/python Testing/Benchmarks/speed.py

# two real pairs and seven synthetic ones, then the estimate on 42; a broken-off run goes on where it was
OUT ?= bench/finish
finish: $(BIN)/.installed
	$(BIN)/python Testing/Benchmarks/finish.py --out "$(OUT)" $(if $(PAIR),--pair "$(PAIR)")

bench-browser: $(BIN)/.installed-test
	$(BIN)/python Testing/Benchmarks/browser.py

storm: $(BIN)/.installed-test
	@mkdir -p bench
	$(BIN)/python Testing/Python/storm/storm.py --runs $(STORM_RUNS) --seed $(STORM_SEED) --json bench/storm.json

# weights that never saw the patient they judge
UNSEEN := patient01=Testing/Weights/without-patient01.safetensors patient12=Testing/Weights/without-patient12.safetensors

first-day: $(BIN)/.installed
	$(BIN)/python Testing/Benchmarks/first_day.py --weights $(UNSEEN) --pictures Docs/pictures

real-pairs: $(BIN)/.installed
	$(BIN)/python Testing/Benchmarks/real_pairs.py --weights $(UNSEEN)

pictures: $(BIN)/.installed
	$(BIN)/python Docs/make_pictures.py

browser-picture: $(BIN)/.installed-test
	$(BIN)/python Docs/make_browser_picture.py

# strace shows that an annotation is flushed before it is acknowledged; gcc builds the failing disk of `make storm`; the
# browser face is driven in a real Chromium, and draws without a display through EGL
system-packages:
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq cmake gcc strace chromium \
		libegl1 libgl1-mesa-dri >/dev/null

clean:
	rm -rf demo bench dist build
