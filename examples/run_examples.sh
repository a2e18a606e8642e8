#!/usr/bin/env bash
# The interactive menu: run the pipeline on any engine, on all, install, clean, look around.
# Works with bash 3.2 and newer.  What it is given goes to the menu: ./run_examples.sh --source sample
set -eu

unset CDPATH
cd "$(dirname "$0")"

find_baton() {
    if [ -x ../.venv/bin/baton ]; then
        echo ../.venv/bin/baton
    elif command -v baton >/dev/null 2>&1; then
        command -v baton
    fi
}

find_python() {
    for name in python3 python; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$name"
            return
        fi
    done
}

baton="$(find_baton)"
if [ -n "$baton" ]; then
    if [ -t 1 ]; then
        echo "✅ Options 1 to 4 train the reference's model: RMSE 6.6077 on the published January 2021, on each engine."
    fi
    exec "$baton" menu ${1+"$@"}
fi

echo "error: baton is not installed: there is neither ../.venv/bin/baton nor baton on PATH" >&2
echo >&2
if [ -n "$(find_python)" ]; then
    echo "hint: install it, in the folder above: make demo" >&2
else
    echo "hint: install Python 3.11 or newer, then run, in the folder above: make demo" >&2
fi
exit 4
