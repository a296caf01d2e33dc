#!/usr/bin/env bash
# Everything that only a GPU can show, in one go: the conformance suite and random kernels on both
# NVIDIA back ends, compute-sanitizer where it is there, then the benchmarks. Writes report.json,
# report.md and a log for each part to a folder.
#
#   tests/gpu/run.sh [--install] [FOLDER] [conformance] [generator] [sanitizer] [bench]
#
# Runs what lies in this checkout; with --install what `pip install --no-deps --no-build-isolation .`
# makes of it. Needs a GPU, Python with NumPy, rich, CuPy, numba-cuda, pytest and pytest-xdist, for
# the benchmarks SciPy; installs none of these. PYTHON says which Python, if not python3.
# Status: 0 if all is well, 1 if anything failed or there is no GPU, 2 for a wrong command line.
set -euo pipefail
exec "${PYTHON:-python3}" "$(dirname "$0")/run.py" "$@"
