#!/bin/sh
# Prints the path of a working Python 3.13, or says in one sentence how to get one and exits 1.
#
# A candidate counts only when it runs and says it is 3.13: a version manager's shim can be first on
# PATH and fail, or be another version under the same name. PYTHON=... names the interpreter to use
# and is then the only candidate.
set -u

works() {
    found=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2], sys.executable)' 2>/dev/null </dev/null) || return 1
    case $found in
        "3.13 "*) path=${found#* } ;;
        *) return 1 ;;
    esac
    "$path" -c 'import venv, ensurepip' 2>/dev/null </dev/null
}

if [ -n "${PYTHON:-}" ]; then
    if works "$PYTHON"; then
        printf '%s\n' "$path"
        exit 0
    fi
    echo "PYTHON=$PYTHON is not a working Python 3.13 (with venv): name one, e.g. make run PYTHON=/usr/bin/python3.13." >&2
    exit 1
fi

for candidate in python3.13 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python3.13 \
    "$HOME"/.local/share/uv/python/cpython-3.13*/bin/python3.13 /usr/local/bin/python3.13 \
    /usr/bin/python3.13 /opt/homebrew/bin/python3.13 python3 python; do
    if works "$candidate"; then
        printf '%s\n' "$path"
        exit 0
    fi
done

echo "No working Python 3.13 (with venv) was found: install it (e.g. 'apt install python3.13-venv', 'brew install python@3.13' or 'pyenv install 3.13') or name one with PYTHON=/path/to/python3.13." >&2
exit 1
