#!/bin/sh
# Beam starts a container of this image with options (--id=..., --worker_pool): they are its own
# program's. A person or a scheduler starts it with a command of ghsl-beam.
set -eu
case "${1:---help}" in
  --help) exec ghsl-beam --help ;;
  -*) exec /opt/apache/beam/boot "$@" ;;
  *) exec ghsl-beam "$@" ;;
esac
