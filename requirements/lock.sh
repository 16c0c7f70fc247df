#!/usr/bin/env bash
# Writes every lock file from pyproject.toml (`make lock`).
#
# The files hold names, versions and hashes, never a registry's address: they install from whatever
# index the machine is set up with. Everything follows requirements/dev.txt, so that the version a
# test ran with is the version a function ships.
#
# Usage: requirements/lock.sh UV [uv pip compile options, e.g. --upgrade]
set -euo pipefail
cd "$(dirname "$0")/.."

uv=$1
shift

compile() {
    "$uv" pip compile --quiet --universal --python-version 3.13 --generate-hashes \
        --no-header --no-emit-index-url --custom-compile-command "make lock" "$@"
}

# Services that need packages of their own have a group of their name; the others, none and no list.
services=()
for folder in functions/*/; do
    service=$(basename "$folder")
    if grep -q "^$service = \[" pyproject.toml; then services+=("$service"); fi
done

groups=()
for group in "${services[@]}" local test lint; do
    groups+=(--group "$group")
done

compile "$@" pyproject.toml "${groups[@]}" --output-file requirements/dev.txt
compile pyproject.toml --constraints requirements/dev.txt --output-file layers/dependencies/requirements.txt
# Each with all it needs, also what the layer has: pip installs hashed requirements only when complete.
for service in "${services[@]}"; do
    compile --group "$service" --constraints requirements/dev.txt --output-file "functions/$service/src/requirements.txt"
done

# Only uv itself, for pip to install into an empty venv.
echo uv | compile - --constraints requirements/dev.txt --no-annotate --output-file requirements/bootstrap.txt
compile "$@" --group sam --output-file requirements/sam.txt
