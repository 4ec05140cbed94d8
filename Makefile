# make demo    the example photos, from folders to verdicts        make lint      ruff, mypy, import-linter
# make triton  the Triton kernels compiled for sm_80 and sm_90, no GPU needed
# make test    every test but the slow ones                         make sanitize  native tests under ASan and UBSan
# make slow    the slow tests                                       make bench     throughput, beside the peers
# make bench-search [PHOTOS="dir1 dir2"] [QUICK=1]   exact search beside every peer, and each goal: 20 minutes (3)
# make dali    installs DALI (0.7 GB) and runs the tests that need it; `make test` then runs them too
# make bench-loss   the training loss beside its peers, and each goal: 5 minutes on the CPU
# make bench-views [PHOTOS="dir1 dir2"] [QUICK=1]    decoding, edits and whole chains beside their peers: 7 minutes
# make bench-copies BENCHMARK=dir [MODEL=...]      copies found and look-alikes rejected, beside PDQ and pHash
# Each sets up what it needs in .venv first. PYTHON=... picks the interpreter (3.11 to 3.13).

SOURCES := $(shell find csrc -type f) CMakeLists.txt pyproject.toml constraints.txt scripts/setup.sh
RUN := .venv/bin/python -m

.PHONY: demo test slow dali lint sanitize triton bench bench-copies bench-search bench-loss bench-views clean
.DELETE_ON_ERROR:

.venv/%.stamp: $(SOURCES)
	scripts/setup.sh $(filter-out base,$(subst +, ,$*))
	touch $@

demo: .venv/base.stamp
	rm -rf demo
	$(RUN) asl_fast.embed --images examples/references --out demo/refs.npy
	$(RUN) asl_fast.embed --images examples/queries --out demo/queries.npy
	$(RUN) asl_fast.search --refs demo/refs.npy --queries demo/queries.npy --k 1 --min-score 0.4 \
	    --out demo/matches.csv --report demo/report.html --show 32
	$(RUN) asl_fast.evaluate --matches demo/matches.csv --truth examples/truth.csv
	@echo
	@echo "The table above is demo/matches.csv. Open the pictures in a browser: demo/report.html"

test: .venv/test.stamp
	$(RUN) pytest

slow: .venv/test.stamp
	$(RUN) pytest -m slow

.venv/dali.stamp: constraints.txt | .venv/test.stamp
	$(RUN) pip --disable-pip-version-check --quiet install -c constraints.txt nvidia-dali-cuda130
	.venv/bin/python -c "import asl_fast.views.dali"
	touch $@

dali: .venv/test.stamp .venv/dali.stamp
	$(RUN) pytest tests/views/test_dali.py

lint: .venv/lint.stamp
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	.venv/bin/lint-imports

sanitize: .venv/test.stamp
	scripts/sanitize.sh

triton: .venv/base.stamp
	.venv/bin/python scripts/compile_triton.py

bench: .venv/bench.stamp
	mkdir -p benchmarks/results/cpu
	$(RUN) pytest benchmarks --benchmark-only --benchmark-json benchmarks/results/cpu/ratio_search.json
	$(RUN) benchmarks.table

bench-search: .venv/bench.stamp
	mkdir -p benchmarks/results/cpu
	$(RUN) benchmarks.search $(if $(PHOTOS),--photos $(PHOTOS)) $(if $(QUICK),--quick)
	$(if $(QUICK),,$(RUN) benchmarks.table)

bench-copies: .venv/bench.stamp
	$(if $(BENCHMARK),,$(error make bench-copies BENCHMARK=dir: name a folder that `asl-fast benchmark make` made))
	$(RUN) benchmarks.copies --benchmark $(BENCHMARK) $(if $(MODEL),--model $(MODEL)) --save
	$(RUN) benchmarks.table

bench-loss: .venv/bench.stamp
	$(RUN) benchmarks.loss
	$(RUN) benchmarks.table

bench-views: .venv/bench.stamp
	mkdir -p benchmarks/results/cpu
	$(RUN) benchmarks.views $(if $(PHOTOS),--photos $(PHOTOS)) $(if $(QUICK),--quick)
	$(if $(QUICK),,$(RUN) benchmarks.table)

clean:
	rm -rf .venv build demo
