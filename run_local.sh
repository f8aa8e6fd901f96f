#!/usr/bin/env bash
# The job on this machine. `./run_local.sh` runs the demonstration, `./run_local.sh test` the tests
# (`./run_local.sh test -m "not cluster"` only those that start no Flink or Spark cluster),
# `./run_local.sh install` only makes the environment. Any other argument goes to ghsl-beam.
set -euo pipefail
cd "$(dirname "$0")"
venv=${GHSL_BEAM_VENV:-.venv}

install() {
  if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then  # none, or one that broke off
    local python=python3
    command -v python3.11 >/dev/null && python=python3.11
    "$python" -m venv --clear "$venv"
  fi
  # It is installed again only if its sources have changed.
  local mark="$venv/.installed" wanted
  wanted=$(cat setup.py ghsl_beam/__init__.py pyproject.toml constraints.txt | sha256sum)
  if [ ! -f "$mark" ] || [ "$(cat "$mark")" != "$wanted" ]; then
    echo "installing into $venv (some minutes the first time)"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
    echo "$wanted" >"$mark"
  fi
}

case "${1:-}" in
  "")
    install
    "$venv/bin/python" examples/arrange_sample.py --into data/sample
    "$venv/bin/ghsl-beam" run examples/havelland.yaml
    ;;
  install) install ;;
  test)
    shift
    install
    TF_CPP_MIN_LOG_LEVEL=3 "$venv/bin/python" -m pytest --numprocesses 3 "$@"
    ;;
  *)
    install
    "$venv/bin/ghsl-beam" "$@"
    ;;
esac
