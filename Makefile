# Targets call one tool each; `test` is all of them. `make demo` and `make test` install what they need.
PY = .venv/bin/python
BUILD = build/landbrush
# What Python compiles is kept, whatever the shell says: the tests start hundreds of processes.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo demo-desktop demo-first-edit bench-queue bench-many test test-fast test-server test-qgis test-other-qgis run lint types imports scan package wheelhouse bench bench-single-image bench-ground bench-words bench-remove bench-noisy bench-came bench-start demo-models demo-mmm demo-evaluate bench-evaluate attack bench-sandbox sbom licences install lock release clean

demo:        ## the main job on a real image inside the QGIS desktop (RASTER= PROMPT= POLYGONS= for your own)
	scripts/demo.sh

install:     ## the server's environment, .venv
	scripts/install-server.sh

test: install ## everything
	$(MAKE) -j 2 lint types imports scan licences
	$(MAKE) test-server
	$(MAKE) test-qgis PACKAGED=1

test-fast: install ## the contract, rasters in small, the plugin's client, units: two minutes on two cores
	$(PY) -m pytest -n auto --dist loadfile tests/server tests/plugin -m "not slow"

test-server: install ## the server, the contract and the plugin's client; needs no QGIS and no root
	$(PY) -m pytest -n auto --dist loadfile tests/server tests/plugin

test-qgis: install $(if $(PACKAGED),,package) ## inside real QGIS: offscreen, qgis_process, and the desktop on a virtual screen
	scripts/install-qgis.sh $(or $(QGIS_SUITE),any)
	scripts/install-qgis-tests.sh
	scripts/test-qgis.sh

test-other-qgis: install ## the same in the QGIS of another Debian, in a folder of its own: make test-other-qgis SUITE=bookworm|trixie|forky (root, debootstrap)
	scripts/test-other-qgis.sh $(or $(SUITE),bookworm) -n auto --maxprocesses 4 --dist loadfile tests/qgis

run: install ## QGIS on your screen with the plugin and its server
	scripts/install-qgis.sh $(or $(QGIS_SUITE),any)
	scripts/qgis-desktop.sh .cache/run-profile

lint: install
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: install
	mkdir -p .cache/types && ln -sfn $(CURDIR) .cache/types/landbrush
	MYPYPATH=.cache/types .venv/bin/mypy -p landbrush.server -p landbrush.plugin

imports: install
	.venv/bin/lint-imports

licences: install ## that every licence of what the server needs goes with ours
	$(PY) scripts/sbom.py --check

sbom: install ## build/landbrush.cdx.json, a CycloneDX bill of materials, and docs/licences.md
	$(PY) scripts/sbom.py

package: install ## build/landbrush.zip for plugins.qgis.org
	$(PY) scripts/package.py

wheelhouse: install ## build/wheelhouse-*.zip: the small setup for computers without a network (ARGS="--platform win_amd64 --python 3.12")
	$(PY) scripts/wheelhouse.py $(ARGS)

scan: package ## the QGIS repository's security scan on the built plugin
	$(PY) scripts/scan.py $(BUILD)

demo-models: install ## every editor with a pretrained network, tiny, over HTTP: a table and figures
	$(PY) benchmarks/pretrained.py editors parity seams

demo-mmm: install ## weather, modalities, generation, datasets, learning: figures, pictures in demo/mmm
	$(PY) benchmarks/mmm.py

demo-evaluate: install ## editors on real ground beside what really came, and training: figures, a page in demo/evaluate
	$(PY) benchmarks/evaluate.py benchmark training

bench-evaluate: install ## time and memory a case over 500 cases
	$(PY) benchmarks/evaluate.py flat

demo-first-edit: install package ## from the zip to a first edit in a fresh profile, clicks alone (installs a server of its own)
	scripts/install-qgis.sh $(or $(QGIS_SUITE),any)
	scripts/first-edit.sh

demo-desktop: install package ## a planner's day by mouse and keys in QGIS: figures, pictures in demo/day (QUICK=1: English alone, without the dark look)
	scripts/day.sh

bench: install ## every figure on a line of its own
	$(PY) benchmarks/run.py

attack: install ## hostile files, odd requests, kills, over loopback (ten minutes); fails where something gets through
	$(PY) -m tests.attack

bench-sandbox: install ## what workers cost: first and second edit, beside the same in one process
	$(PY) benchmarks/sandbox.py

bench-start: install ## what it costs to begin: an edit on the command line, a server, its first edit, a refusal (Linux)
	$(PY) benchmarks/start.py

bench-queue: install ## what a long queue of jobs costs
	$(PY) benchmarks/long_queue.py

bench-many: install ## what 100,000 polygons cost (two minutes, 8 GB of memory)
	$(PY) benchmarks/many_polygons.py

bench-single-image: install ## figures of single-image editing
	$(PY) benchmarks/single_image.py

bench-ground: install ## what the scene parser understands on places it has not seen, and what flood, snow, fire make of it
	$(PY) benchmarks/ground.py

bench-words: install ## words on layers that nobody tuned for: acted on, judged right, grain, cost (about ten minutes)
	$(PY) benchmarks/words.py

RIVALS := $(CURDIR)/.cache/rivals

bench-remove: install ## Remove beside OpenCV's shift-map and Telea and PatchMatch (five minutes)
	@test -d $(RIVALS) || $(PY) -m pip install --quiet --no-deps --target $(RIVALS) opencv-contrib-python-headless==5.0.0.93 pypatchmatch==2.2.0
	PYTHONPATH=$(RIVALS) $(PY) benchmarks/removals.py build/removals.png build/removals.txt

bench-noisy: install ## "ground after tsunami" on small noisy crops
	$(PY) benchmarks/noisy_crops.py build/noisy_crops.png

bench-came: install ## how far tornado damage and risen lakes are from what really came
	$(PY) benchmarks/came.py

lock: ## the newest versions of everything that fit together, for developers and, with hashes, for servers (needs uv)
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.10 --no-annotate --upgrade -o requirements-dev.lock
	uv pip compile pyproject.toml --extra files --extra pretrained --universal --python-version 3.10 --no-annotate --generate-hashes --upgrade -o requirements-server.lock
	uv pip compile pyproject.toml --universal --python-version 3.10 --no-annotate --generate-hashes -c requirements-server.lock -o requirements-core.lock
	uv pip compile scripts/aside.in --universal --python-version 3.10 --no-annotate --no-deps --generate-hashes --upgrade -o requirements-aside.lock

release: install ## make release VERSION=0.3.0: versions, changelog, commit, tag, package
	$(PY) scripts/release.py $(VERSION)

clean:
	rm -rf build demo .cache .venv .venv-qgis *.egg-info
