#!/bin/sh
# Makes VENV hold exactly the packages of LOCK (hash-checked), creating it when it is not there.
#
# Usage: localstack/install.sh VENV LOCK
# Does nothing when VENV already matches LOCK. Needs a Python 3.13 (see find-python.sh) and, the first
# time, about a gigabyte of disk.
set -eu

venv=$1
lock=$2
here=$(dirname "$0")
need_mb=1024

stamp=$venv/.installed
wanted=$(cksum "$lock" requirements/bootstrap.txt "$here/install.sh")
if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi

free_mb=$(df -Pk . | awk 'NR == 2 { print int($4 / 1024) }')
if [ "$free_mb" -lt "$need_mb" ]; then
    echo "Only $free_mb MB of disk are free here, installing needs $need_mb MB: free some space and try again." >&2
    exit 1
fi

say() {
    printf '%s\n' "$1 ..."
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() {
    "$@" >"$log" 2>&1 </dev/null
}
run() {
    if ! quietly "$@"; then
        tail -n 20 "$log" >&2
        echo "Installing into $venv failed (see above): '$1' did not succeed; check the network and try again." >&2
        exit 1
    fi
}

rm -f "$stamp"
# A venv whose interpreter is gone or of another version cannot be repaired, only replaced.
if ! "$venv/bin/python" -c 'import sys, pip; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; then
    python=$(sh "$here/find-python.sh")
    say "creating $venv with $("$python" --version)"
    rm -rf "$venv"
    run "$python" -m venv "$venv"
fi
say "installing $(grep -c '==' "$lock") locked packages into $venv"
run "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
# uv takes the name of the venv to fill from the environment.
if ! VIRTUAL_ENV=$PWD/$venv quietly "$venv/bin/uv" pip sync --quiet --require-hashes "$lock"; then
    # uv knows nothing of an index or a certificate that pip was set up with on this machine.
    say "uv could not install ($(tail -n 1 "$log")), trying pip, which takes longer"
    run "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
fi
printf '%s' "$wanted" >"$stamp"
