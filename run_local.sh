#!/usr/bin/env bash
# The job on this machine. `./run_local.sh` runs the demonstration, `./run_local.sh test` the tests
# (`./run_local.sh test -m "not cluster"` only those that start no Flink or Spark cluster),
# `./run_local.sh install` only makes the environment. Any other argument goes to ghsl-beam.
# GHSL_BEAM_PYTHON names the Python to use, GHSL_BEAM_VENV the folder of the environment.
set -euo pipefail
cd "$(dirname "$0")"
venv=${GHSL_BEAM_VENV:-.venv}

missing() {  # one line: what is missing, and how to get it on Debian, Fedora and macOS
  echo "run_local.sh: $1. Debian, Ubuntu: $2. Fedora: $3. macOS: $4." >&2
  exit 2
}

find_python() {  # the first Python 3.11, 3.12 or 3.13, into `python`
  local name versions=""
  for name in ${GHSL_BEAM_PYTHON:-python3.11 python3.12 python3.13 python3 python}; do
    command -v "$name" >/dev/null || continue
    if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null
    then python=$name; return; fi
    versions+=", $("$name" --version 2>/dev/null || echo "$name that does not start")"
  done
  local found=${versions#, }
  missing "needs Python 3.11, 3.12 or 3.13, found ${found:-none}" \
    "apt-get install python3-venv (Ubuntu 22.04: python3.11-venv)" "dnf install python3.13" "brew install python@3.13"
}

check_python() {  # what `python` itself needs
  "$python" -c 'import venv, ensurepip' 2>/dev/null || missing \
    "$python has no module venv" "apt-get install ${python##*/}-venv" "dnf install python3-libs" \
    "brew reinstall python@3.13"
  [ "$(uname -s)" != Linux ] || "$python" -c 'import ctypes; ctypes.CDLL("libexpat.so.1")' \
    2>/dev/null || missing "libexpat is missing, which GDAL needs" \
    "apt-get install libexpat1" "dnf install expat" "brew install expat"
}

install() {
  local python
  if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then  # none, or one that broke off
    find_python
    check_python
    "$python" -m venv --clear "$venv"
  fi
  # It is installed again only if its sources have changed.
  local mark="$venv/.installed" wanted
  wanted=$(cat setup.py ghsl_beam/__init__.py pyproject.toml constraints.txt | sha256sum)
  if [ ! -f "$mark" ] || [ "$(cat "$mark")" != "$wanted" ]; then
    echo "installing into $venv (some minutes the first time)"
    local installer=("$venv/bin/python" -m pip install --disable-pip-version-check)
    if command -v uv >/dev/null; then  # the same packages in a fifth of the time
      installer=(uv pip install --python "$venv/bin/python")
    fi
    "${installer[@]}" --quiet -c constraints.txt -e ".[dev]"
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
