# make demo | test | test-fast | fuzz | soak | lint | venv | clean. Each makes what it needs; PYTHON= names another Python,
# ROS=kilted takes the wheels of ROS 2 Kilted instead of Jazzy's, in an environment beside.
PYTHON ?= python3
VENV := .venv$(if $(ROS),-$(ROS))
export ROS
BIN := $(VENV)/bin
# Files side by side, the tests of one after each other: many wait for a node or for DDS. A worker that dies is not
# replaced: pytest-xdist would wait for ever for the files that it had done.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --max-worker-restart 0 --dist loadfile --no-loadscope-reorder
SETUP := tools/setup_venv.sh setup.py constraints.txt constraints-kilted.txt launch config rviz $(wildcard interfaces/*/*.txt interfaces/*/msg/*)

# A home that cannot be written must not matter.
export ROS_LOG_DIR ?= $(CURDIR)/$(VENV)/log
export NUMBA_CACHE_DIR ?= $(CURDIR)/$(VENV)/numba
export PYTHONUNBUFFERED := 1

.PHONY: demo test test-fast fuzz soak lint format venv setup dev clean

venv setup: $(VENV)/.made-run
dev: $(VENV)/.made-dev

$(VENV)/.made-run: $(SETUP)
	@tools/setup_venv.sh $(VENV) $(PYTHON)
	@touch $@

$(VENV)/.made-dev: $(VENV)/.made-run
	@tools/setup_venv.sh $(VENV) $(PYTHON) dev
	@touch $@

# The real node in its own process, a recording played into it over DDS, and what came out as a video.
demo: $(VENV)/.made-run
	@$(BIN)/evlayerseg demo $(if $(RECORDING),--recording $(RECORDING))

test: lint
	$(PYTEST)

# What one runs after each change: below a minute.
test-fast: $(VENV)/.made-dev
	$(PYTEST) -q -m "not slow and not ros"

# What topics, files and models may bring, for longer than the tests do.
fuzz: $(VENV)/.made-dev
	$(BIN)/python tools/fuzz.py --minutes $(or $(MINUTES),10)

# The node under RATE Mev/s and a fault every 5 s; prints what docs/reliability.md shows.
soak: $(VENV)/.made-run
	@$(BIN)/python tools/soak.py --minutes $(or $(MINUTES),30) --mev-s $(or $(RATE),5)

lint: $(VENV)/.made-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.made-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build install log .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
