# make help lists the targets. Each makes .venv by itself: by uv where it is on the PATH (it chooses the CPU or CUDA build of
# torch), else by pip, also where uv cannot reach PyTorch's index. UV= forces pip.
VENV := .venv
BIN := $(VENV)/bin
UV ?= $(shell command -v uv 2>/dev/null)
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && command -v $$p && break; done)

PIP = $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -c requirements.lock -e '.[dev]'

SOURCE ?= pipeline/sample
TIMES ?= 1
CORPUS ?= corpus
CONFIG ?= $(if $(filter pipeline/sample,$(SOURCE)),pipeline/configs/sample.yaml,)
SET ?=
RELEASE ?= corpus-events
OUT ?= training
TRAINING ?= stages/train/configs/demonstrations.yaml
quoted = '$(subst ','\'',$(1))'
BUILD = $(BIN)/corpus build $(foreach s,$(SOURCE),--source $(call quoted,$(s))) --corpus $(call quoted,$(CORPUS)) \
	$(if $(CONFIG),--config $(call quoted,$(CONFIG))) $(foreach s,$(SET),--set $(call quoted,$(s)))

.DEFAULT_GOAL := help
.PHONY: corpus report test cluster-test store-test serve-test review review-test check-exports soak gpu-check bench bench-segment bench-captions bench-balance bench-find bench-load bench-closed-loop bench-closed-loop-pixels train eval experiments lint sample sample-train captioner pictures lock clean help

corpus: $(VENV)/.installed  ## Build the corpus of the sample, or of SOURCE="dir1 name=dir2" [CORPUS=out] [CONFIG=my.yaml] [SET="a.b=1"]
	$(BUILD)

report: $(VENV)/.installed  ## Write the report of CORPUS again: one HTML page
	$(BIN)/corpus report --corpus $(call quoted,$(CORPUS))

train: $(VENV)/.installed  ## Train the reference model on the bundled demonstrations' shards, ten minutes in all, or on RELEASE="url1 url2" [OUT=training] [TRAINING=my.yaml]; again: go on
	$(if $(filter corpus-events,$(RELEASE)),$(MAKE) corpus SOURCE=pipeline/demonstrations CORPUS=corpus-events CONFIG=pipeline/configs/training.yaml SET=shard.level=L1)
	$(BIN)/corpus train $(foreach s,$(RELEASE),--shards $(call quoted,$(s))) --config $(call quoted,$(TRAINING)) --out $(call quoted,$(OUT)) --resume

# A process a core, four at most, each a file of tests at a time: tests wait for Ray a third of their time
test: $(VENV)/.installed  ## Run the tests
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

cluster-test: $(VENV)/.installed  ## Build on a Ray cluster of several nodes on this machine, one of them killed
	$(BIN)/python -m pytest -m cluster tests/cluster

store-test: $(VENV)/.installed  ## Build on an S3 server on this machine, through kills, damage and an outage
	@test -x $(VENV)/store/bin/moto_server || { $(PYTHON) -m venv $(VENV)/store && \
		$(VENV)/store/bin/python -m pip install --quiet --disable-pip-version-check -r tests/store/requirements.txt; }
	S3_SERVER=$(VENV)/store/bin/moto_server $(BIN)/python -m pytest -m store tests/store

serve-test: $(VENV)/.installed  ## Caption the sample through transformers serve, as a server of OpenAI's interface
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[serve]'
	$(BIN)/python -m pytest -m serve tests/captioning

review: $(VENV)/.installed  ## Open the review page of CORPUS: captions, boundaries, accept, reject, all by keys
	$(BIN)/corpus review --corpus $(call quoted,$(CORPUS))

review-test: $(VENV)/.installed  ## The review page in a headless Chromium (Debian's, or one that is fetched), servers killed; a quarter of an hour
	@$(BIN)/python -c 'import playwright, axe_playwright_python' 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/review/requirements.txt
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || $(BIN)/python -m playwright install chromium
	$(BIN)/python -m pytest -m review -s tests/review tests/report

check-exports: corpus  ## Open and train on the exports of CORPUS with lerobot and Megatron Energon; writes docs/exports.md (Python 3.12 or 3.13; 11 GB, once)
	$(BIN)/python -m tests.exports --corpus $(call quoted,$(CORPUS)) --of $(call quoted,$(SOURCE)) --environments $(VENV) --write docs/exports.md

soak: $(VENV)/.installed  ## Break inputs, builds and corpora in every way, over and over; writes docs/soak.md (about an hour)
	$(BIN)/python -m pytest -m soak
	$(BIN)/python -m tests.faults.soak --write docs/soak.md

bench: $(VENV)/.installed  ## Measure builds against the floor, memory, growth, idle reruns; writes docs/bench.md (a quarter of an hour; SOURCE, TIMES: a folder of your own as well)
	$(BIN)/python -m tests.benchmarks.bench --write docs/bench.md $(if $(filter-out pipeline/sample,$(SOURCE)),--source $(SOURCE) --times $(TIMES))

gpu-check:  ## Run the models on this machine's GPU, held to the CPU, and print their rates (needs torch, transformers, pyarrow and pydantic; no Ray, PyAV, Polars, FAISS)
	$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) -m tests.benchmarks.gpu_check

bench-segment: $(VENV)/.installed  ## Score boundaries against the truth, beside other methods; writes docs/segmentation.md, docs/gold.md, or EVENTS=e.parquet TRUTH=t.csv
	$(BIN)/python -m tests.benchmarks.segmentation.bench $(if $(EVENTS),--events $(EVENTS) --truth $(TRUTH),--write docs/segmentation.md)
	$(if $(EVENTS),,@test ! -d ../shared/data || $(BIN)/python -m tests.benchmarks.gold --write docs/gold.md)

bench-captions: $(VENV)/.installed  ## Score captions against the truth, before and after a prompt changes; writes docs/captions.md, docs/gold.md
	$(BIN)/python -m tests.benchmarks.captions --write docs/captions.md
	@test ! -d ../shared/data || $(BIN)/python -m tests.benchmarks.gold --write docs/gold.md

bench-balance: $(VENV)/.installed  ## Measure clusters, the balance, the deal into tars, and a night; writes docs/balance.md (half an hour)
	$(BIN)/python -m tests.benchmarks.balanced --write docs/balance.md

bench-find: $(VENV)/.installed corpus  ## Measure corpus find against the sample's truth, and its time on many events; writes docs/find.md (a quarter of an hour)
	$(BIN)/python -m tests.benchmarks.finding --corpus $(CORPUS) --events 10000,100000,1000000 --write docs/find.md

bench-load: $(VENV)/.installed  ## Measure the loader beside bare decoding and LeRobotDataset (where check-exports has put it); writes docs/loader.md (five minutes)
	$(BIN)/python -m tests.benchmarks.loading --write docs/loader.md

bench-closed-loop: $(VENV)/.installed out/pool  ## Measure the baselines on the hard tasks over five draws of demonstrations, recorded if they are not there; writes docs/closed-loop.md (over an hour)
	$(MAKE) corpus SOURCE=out/pool CORPUS=corpus-pool CONFIG=pipeline/configs/training.yaml
	$(BIN)/python -m tests.benchmarks.closed_loop --shards corpus-pool --parts out/closed-loop.jsonl --write docs/closed-loop.md

bench-closed-loop-pixels: $(VENV)/.installed  ## Measure the policy from pictures on two tasks, recorded if they are not there; writes its section of docs/closed-loop.md (a quarter of an hour of one core, without the recording)
	$(BIN)/python -m pip install --quiet -c requirements.lock -e '.[sample]'
	test -d training-set || $(MAKE) sample-train
	$(MAKE) corpus SOURCE=training-set CORPUS=corpus-training CONFIG=pipeline/configs/training.yaml
	$(BIN)/python -m tests.benchmarks.closed_loop.pixels --shards corpus-training --parts out/closed-loop-pixels.jsonl \
		--write docs/closed-loop.md

SHARDS ?= corpus-episodes
.PHONY: corpus-episodes
corpus-episodes: $(VENV)/.installed
	$(MAKE) corpus SOURCE=pipeline/demonstrations CORPUS=corpus-episodes CONFIG=pipeline/configs/training.yaml

eval: $(VENV)/.installed $(filter corpus-episodes,$(SHARDS))  ## Train the baselines on SHARDS (whole episodes; the shipped demonstrations) and try them in the simulator; writes out/closed-loop.html
	$(BIN)/python -m pip install --quiet -c requirements.lock -e '.[sample]'
	$(BIN)/python -m stages.train.closed_loop --shards $(SHARDS) $(if $(RUN),--run $(call quoted,$(RUN))) --write out/closed-loop.html

lint: $(VENV)/.installed  ## Check format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy schemas stages pipeline

sample: $(VENV)/.installed  ## Record the sample again (simulator: MuJoCo; needs EGL or OSMesa)
	$(BIN)/python -m pip install --quiet -c requirements.lock -e '.[sample]'
	$(BIN)/python -m pipeline.recorder --out pipeline/sample --seed 0

out/pool:
	$(BIN)/python -m pip install --quiet -c requirements.lock -e '.[sample]'
	$(BIN)/python -m pipeline.recorder.demonstrations --out out/pool --per-task 64 --seed 1 --no-pictures \
		--tasks pick-place-v3 bin-picking-v3 shelf-place-v3 assembly-v3 peg-insert-side-v3

# each command goes on where it was stopped; JOBS: processes
JOBS ?= 2
experiments: $(VENV)/.installed out/pool  ## Events or chunks, captions or tasks, balance or not: train and try policies over draws of demonstrations; writes docs/experiments.md (an hour and a half)
	$(MAKE) corpus SOURCE=out/pool CORPUS=corpus-pool-events CONFIG=pipeline/configs/training.yaml SET="shard.level=L1 shard.future=32"
	$(BIN)/python -m stages.train.experiments.pool --shards corpus-pool-events --to out/pool.npz
	$(BIN)/python -m stages.train.experiments.windows --pool out/pool.npz --out out/windows.jsonl --processes $(JOBS)
	$(BIN)/python -m stages.train.experiments.balance --pool out/pool.npz --out out/balance.jsonl --processes $(JOBS)
	$(BIN)/python -m stages.train.experiments --windows out/windows.jsonl --balance out/balance.jsonl --write docs/experiments.md

sample-train: $(VENV)/.installed  ## Record the trainer's whole training set into training-set/ (simulator, as for sample; ten minutes of CPU)
	$(BIN)/python -m pip install --quiet -c requirements.lock -e '.[sample]'
	$(BIN)/python -m pipeline.recorder.demonstrations --out training-set --per-task 30 --seed 0

captioner: $(VENV)/.installed  ## Train the sample's captioner again (simulator, as for sample; about an hour on two cores)
	$(BIN)/python -m pip install --quiet -c requirements.lock -e '.[sample]'
	$(BIN)/python -m pipeline.recorder.captions --out pipeline/sample/captioner

pictures: $(VENV)/.installed  ## Quantise the picture network again (the same bytes, on the same pins)
	$(BIN)/python -m pip install --quiet -c requirements.lock -e '.[convert]'
	$(BIN)/python -m pipeline.recorder.pictures

lock: $(VENV)/.installed  ## Choose new pins for all dependencies (needs uv)
	$(UV) pip compile pyproject.toml --all-extras --universal --python-version 3.11 --no-annotate --no-header --quiet --upgrade \
		| grep -vE '^(nvidia-|cuda-|triton)' > requirements.new
	{ head -2 requirements.lock; cat requirements.new; } > requirements.merged
	mv requirements.merged requirements.lock && rm requirements.new

clean:  ## Remove the environment, caches and the sample's corpus
	rm -rf $(VENV) corpus *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  make \1\t/' | expand -t 20

# An install takes minutes in which pip and uv are still: $(call watched,COMMAND) runs one and says every few seconds how
# far it has come; its output is shown if it fails.
define watched
@log=$(VENV)/install.log; { $(1); } >$$log 2>&1 & job=$$!; begun=$$(date +%s); shown=0; \
trap 'pkill -P $$job; kill $$job 2>/dev/null; exit 130' INT TERM; \
while kill -0 $$job 2>/dev/null; do \
	sleep 1; passed=$$(( $$(date +%s) - begun )); \
	if [ -t 1 ] || [ $$((passed - shown)) -ge 20 ]; then shown=$$passed; \
		last=$$(tr '\r' '\n' <$$log | grep -vE 'WARNING|uninstall' | tail -n 1 | sed 's/^ *//' | cut -c1-70); \
		printf '  %3d s, %5d MB installed   %-70s' $$passed $$(du -sm $(VENV) 2>/dev/null | cut -f1) "$$last"; \
		if [ -t 1 ]; then printf '\r'; else echo; fi; \
	fi; \
done; wait $$job && echo || { echo; cat $$log; exit 1; }
endef

$(VENV)/.installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11, 3.12 or 3.13 found; give one: make PYTHON=/path/to/python3.11"; exit 2; }
	@echo "Installing into $(VENV), once: 2 to 5 minutes. It takes 2.6 GB with torch's CPU build, 6.3 GB with the CUDA build"
	@echo "(3 GB to download), which is what pip gets on most machines; neither needs a GPU."
ifneq ($(UV),)
	$(UV) venv --quiet --allow-existing --seed --python $(PYTHON) $(VENV)
	$(call watched,$(UV) pip install --python $(BIN)/python --torch-backend=auto -c requirements.lock -e '.[dev]' || { \
		echo "make: uv could not install (it asks PyTorch's own index for torch); trying pip"; $(PIP); })
else
	$(PYTHON) -m venv $(VENV)
	$(call watched,$(PIP))
endif
	@touch $@
