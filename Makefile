# Everything a person types. It needs Python 3.11 or newer and, the first time, a network; nothing else.
# What is installed comes from the hash-pinned locks in requirements/, into .venv, and is not looked at again until they change.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Wheels only: a machine without a compiler must work, and one with a compiler must get the same code.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --no-input --only-binary :all: --require-hashes

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(VENV)/.dev ## install everything into .venv

.PHONY: demo
demo: $(VENV)/.runtime ## trade on the simulated exchange, on this machine (ARGS="--for 30s")
	@requirements/bring-redis $(VENV)
	@$(BIN)/phoenix demo $(ARGS)

.PHONY: test
test: $(VENV)/.dev ## every suite, with its time, and what was skipped and why (SUITES="core house")
	@requirements/bring-redis $(VENV) || true # what cannot run without it is skipped, and named
	@requirements/bring-kube $(VENV) || true # likewise
	@requirements/bring-helm $(VENV) || true # likewise; it is not built for this, which takes minutes
	@requirements/bring-promtool $(VENV) || true # likewise
	@$(BIN)/python tests/run.py $(SUITES)

# Without VENUE an exchange of ours is judged; tests/conformance/conftest.py says what a testnet needs (keys by environment).
.PHONY: conformance
conformance: $(VENV)/.dev ## hold a venue to its documentation (VENUE=https://…: a testnet; default: our exchange)
	@$(BIN)/python -m pytest -q tests/conformance $(if $(VENUE),--venue $(VENUE)) $(ARGS)

# Half an hour on two cores; the last line is `faults=N violations=N seed=N`. Without a SEED it draws one and says it.
.PHONY: test-faults
test-faults: $(VENV)/.dev ## many workers under random faults, judged by their history (SEED=7 FAULTS=2000)
	@requirements/bring-redis $(VENV)
	@$(BIN)/python tests/faults/run.py $(if $(SEED),--seed $(SEED)) --faults $(or $(FAULTS),2000)

# Half an hour of one core, or more; the last line is `hours=N faults=N violations=N agreement=true rss=…`. Status 1 where one is not so.
.PHONY: soak
soak: $(VENV)/.dev ## days of four makers with faults, in one process and in virtual time (HOURS=72 SEED=7)
	@requirements/bring-redis $(VENV)
	@$(BIN)/python tests/soak/soak.py --hours $(or $(HOURS),72) $(if $(SEED),--seed $(SEED))

.PHONY: check
check: $(VENV)/.dev ## format, lint, types, import layers, generated files, example manifests
	@failed=; for step in "ruff format --check ." "ruff check ." mypy lint-imports \
		"python -m phoenix_crds.generate --check ." "phoenix check -f configs/"; do \
		echo "── $$step"; $(BIN)/$$step || failed="$$failed [$$step]"; \
	done; if [ -n "$$failed" ]; then echo "make check: not in order:$$failed" >&2; exit 1; fi

.PHONY: generate
generate: $(VENV)/.dev ## write what is made from the models: crds/*.yaml, docs/reference.md
	@$(BIN)/python -m phoenix_crds.generate .
	@charts/gather .
	@PYTHONPATH=charts $(BIN)/python -m dashboards

.PHONY: format
format: $(VENV)/.dev ## write the format that `make check` wants
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .

.PHONY: image
image: ## the container image phoenix:dev (BASE_IMAGE=any/python:3.11-or-newer BUILD_ARGS="--network host")
	docker build $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) $(BUILD_ARGS) --tag phoenix:dev .

.PHONY: sbom
sbom: ## what is in the image phoenix:dev, with versions and licences (CycloneDX)
	@docker run --rm --network none --entrypoint cat phoenix:dev /opt/phoenix/sbom.cdx.json

# What it heeds of the environment (IMAGE_LOAD, REDIS_IMAGE, …) stands at the top of tests/cluster/run.py.
.PHONY: test-cluster
test-cluster: $(VENV)/.dev ## a real cluster: KUBECONFIG's, or one of kind (ARGS="-k restart")
	@requirements/bring-redis $(VENV) || true # needed where BASE_IMAGE says that registries are out of reach
	@requirements/bring-helm $(VENV) || true # what cannot run without it is skipped, and named
	@BASE_IMAGE="$(BASE_IMAGE)" BUILD_ARGS="$(BUILD_ARGS)" $(BIN)/python tests/cluster/run.py $(ARGS)

# Heeds the environment as test-cluster does; KEEP=1 leaves it where it quotes.
.PHONY: cluster-demo
cluster-demo: $(VENV)/.dev helm ## Helm, the simulated exchange and four makers in a cluster: KUBECONFIG's, or one of kind
	@requirements/bring-redis $(VENV) || true # as for test-cluster
	@BASE_IMAGE="$(BASE_IMAGE)" BUILD_ARGS="$(BUILD_ARGS)" KEEP="$(KEEP)" $(BIN)/python tests/cluster/demo.py

.PHONY: helm
helm: $(BIN)/python ## Helm into .venv/helm where there is none: the official archive, else built with Go (minutes)
	@requirements/bring-helm $(VENV) --build

.PHONY: bench
bench: $(VENV)/.dev ## measure, against the peers named in the table; writes build/bench.json
	@$(BIN)/python benchmarks/run.py $(ARGS)

# 200 seeded hours and a recording, about an hour on two cores; stopped, it goes on where it was. ARGS="--seeds 20" for a short one, "--minutes 0" for
# what there is, --publish writes docs/quality.md.
.PHONY: quality
quality: $(VENV)/.dev ## how Phoenix trades beside others, in the same markets; writes build/quality/
	@$(BIN)/python benchmarks/quality_report.py $(ARGS)

.PHONY: lock
lock: ## resolve requirements/*.txt anew, with hashes for every platform (needs the network)
	@$(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip install --quiet pip-tools
	@for target in runtime:pyproject.toml build:requirements/build.in dev:requirements/dev.in; do \
		CUSTOM_COMPILE_COMMAND="make lock" build/lock/bin/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe \
			--no-annotate --strip-extras --no-emit-options --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
			--output-file requirements/$${target%%:*}.txt $${target#*:}; \
	done
	@CUSTOM_COMPILE_COMMAND="make lock" build/lock/bin/pip-compile --quiet --upgrade --generate-hashes --no-emit-options \
		--no-annotate --no-emit-index-url --no-emit-trusted-host --output-file build/lock/local.txt requirements/local.in
	@awk 'NR == FNR { if ($$0 !~ /^#/) wanted[$$1]; next } /^#/ { if (!begun) print; next } \
		/^[a-z]/ { begun = 1; split($$1, name, "=="); keep = name[1] in wanted } keep && NF' \
		requirements/local.in build/lock/local.txt > requirements/local.txt # what they need to be imported is not wanted

.PHONY: clean
clean: ## remove what was built; .venv stays
	rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# The stamps. Each is younger than all that it was made from.

$(BIN)/python:
	@requirements/make-venv $(VENV) $(PYTHON)

$(VENV)/.runtime: requirements/runtime.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "installing phoenix into $(VENV) …"
	@$(PIP_INSTALL) -r requirements/runtime.txt -r requirements/build.txt
	@$(BIN)/python -m pip install --quiet --no-input --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	@echo "installing the tools of the house into $(VENV) …"
	@$(PIP_INSTALL) -r requirements/dev.txt
	@touch $@
