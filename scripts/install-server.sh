#!/usr/bin/env bash
# Make .venv with the server and its tools. Nothing happens when it is up to date.
#
# usage: install-server.sh [extras]     (default: files,pretrained,evaluate,train,enlarge,parquet,dev)
# PYTHON names the interpreter (3.10 ... 3.13), TORCH_INDEX where torch comes from. LOCKED=1: only the server, in the
# versions of requirements-server.lock, each file checked by its hash.
set -euo pipefail
cd "$(dirname "$0")/.."
extras=${1:-files,pretrained,evaluate,train,enlarge,parquet,dev}
[ -z "${LOCKED:-}" ] || extras=locked
stamp=.venv/.installed-$(printf '%s' "$extras" | tr ',' '-')

# Compiled once for all: tests start hundreds of processes, and where Python is told to keep nothing that it compiled, or may
# write nothing as our workers, each would do it anew. Of the libraries what is used is compiled, by being imported.
compiled() {
    .venv/bin/python -m compileall -q plugin server scripts benchmarks tests || true
    [ "${1:-}" = new ] || return 0
    PYTHONDONTWRITEBYTECODE='' .venv/bin/python - <<'PY' || true
import contextlib, importlib
for name in ("landbrush.server.workers.tasks", "landbrush.server.web.app", "onnxruntime", "faiss", "torch", "torch._dynamo",
             "transformers", "diffusers", "accelerate", "peft", "safetensors.torch", "tokenizers", "pyogrio", "skimage.metrics",
             "scipy.signal", "scipy.sparse.linalg", "scipy.optimize", "pytest", "hypothesis"):
    with contextlib.suppress(Exception):
        importlib.import_module(name)
for name, parts in {"diffusers": ("StableDiffusionPipeline", "FluxPipeline"), "transformers": ("CLIPTextModel", "T5EncoderModel")}.items():
    for part in parts:
        with contextlib.suppress(Exception):
            getattr(importlib.import_module(name), part)
PY
}

if [ -f "$stamp" ] && [ "$stamp" -nt pyproject.toml ] && .venv/bin/python -c 'import landbrush.server.contract.requests' 2>/dev/null; then
    compiled
    exit 0
fi

usable() { "$1" -c 'import sys, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }
find_python() {
    for name in ${PYTHON:-} python3.11 python3.12 python3.13 python3.10 python3; do
        if command -v "$name" >/dev/null && usable "$name"; then command -v "$name"; return; fi
    done
}

python=$(find_python)
if [ -z "$python" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing Python's venv with apt-get ..."
    DEBIAN_FRONTEND=noninteractive apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install python3 python3-venv >/dev/null
    python=$(find_python)
fi
if [ -z "$python" ]; then
    echo "Python 3.10 to 3.13 with venv is needed (Debian and Ubuntu: apt-get install python3 python3-venv)." >&2
    exit 1
fi

[ -x .venv/bin/python ] || "$python" -m venv .venv
pip=".venv/bin/python -m pip --disable-pip-version-check --quiet"
# Most modules of the libraries are never used here.
libraries="$pip install --no-compile"
echo "installing the server into .venv (2 to 3 GB on disk) ..."
if [ -n "${LOCKED:-}" ]; then
    $pip install --require-hashes -r requirements-server.lock
    $pip install --require-hashes --no-deps -r requirements-aside.lock
    $pip install --no-deps -e .
    touch "$stamp"
    compiled new
    exit 0
fi
# TORCH_INDEX: an index to take torch from first. Where no GPU's driver is, it is PyTorch's own with the small CPU builds;
# where that cannot be reached, the usual build does the same.
torch='torch>=2.4,<2.14'
has_driver() { [ -e /proc/driver/nvidia/version ] || [ -e /usr/lib/wsl/lib/libcuda.so.1 ] || command -v nvidia-smi >/dev/null; }
if [ -n "${TORCH_INDEX:-}" ]; then
    $libraries "$torch" --index-url "$TORCH_INDEX"
elif [ "$(uname -s)" = Linux ] && ! has_driver && ! .venv/bin/python -c 'import torch' 2>/dev/null; then
    $libraries --retries 1 --timeout 20 "$torch" --index-url https://download.pytorch.org/whl/cpu >/dev/null 2>&1 || true
fi
$libraries -e ".[$extras]"
$libraries --no-deps -r scripts/aside.in
touch "$stamp"
compiled new
