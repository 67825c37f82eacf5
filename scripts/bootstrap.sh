# shellcheck shell=bash
# Sourced by the other scripts, which set $root (bash 3.2 is enough): makes .venv there and keeps it
# in step with pyproject.toml and constraints.txt. Knows nothing of what is run afterwards.
#
#   bootstrap EXTRA     EXTRA is runtime or dev; dev contains runtime, and what training needs.
#
# A stamp per extra holds what was installed, word for word, so that the usual case is one `cmp` and
# no call of pip. pip's own settings (PIP_INDEX_URL, PIP_FIND_LINKS, ...) are left to the user.

venv=$root/.venv

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# What has to be installed. The folder is part of it: the programs in a .venv fail when it is moved.
wanted() { printf '%s\n' "$root" && cat "$root/pyproject.toml" "$root/constraints.txt"; }

is_installed() { [ -x "$venv/bin/python" ] && wanted | cmp -s - "$venv/.installed-$1"; }

find_python() {
    local candidate
    for candidate in python3.11 python3 python3.12 python3.13 python3.14; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    say "Python 3.11 or newer is needed; install it, or put it on the PATH as python3."
    return 1
}

make_venv() {
    if ! "$1" -c 'import ensurepip, venv' 2>/dev/null; then
        say "$1 lacks the modules venv and ensurepip; on Debian and Ubuntu install python3-venv."
        return 1
    fi
    if ! "$1" -m venv --clear "$venv" >&2; then
        say "could not make $venv with $1; the lines above say why."
        return 1
    fi
}

install_packages() {
    local python=$1 extras=runtime target=$root interrupted=
    if [ "$2" = dev ]; then
        extras="runtime dev"
        target="${root}[dev,train,onnx,openvino,ray,camera]"
    fi
    # .installing is there from here to the end of pip: one that is found belongs to a run that was
    # stopped half-way, and pip takes half a package for a whole one.
    if [ -e "$venv/.installing" ] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        make_venv "$python" || return 1
    fi
    wanted >"$venv/.installing" || return 1
    trap 'interrupted=yes' INT TERM HUP
    # Editable: a clone is there to be changed, and the weights need no second copy.
    if ! "$venv/bin/python" -m pip install --disable-pip-version-check --editable "$target" \
        --constraint "$root/constraints.txt" >&2; then
        [ -z "$interrupted" ] || exit 130
        rm -f "$venv/.installing"
        say "pip did not install the packages; the lines above say why."
        return 1
    fi
    trap - INT TERM HUP
    local extra
    for extra in $extras; do
        cp "$venv/.installing" "$venv/.installed-$extra" || return 1
    done
    rm -f "$venv/.installing"
}

bootstrap() {
    local python
    if is_installed "$1"; then
        return
    fi
    if [ -L "$venv" ] && [ -e "$venv/.installed-runtime" ] &&
        [ "$(head -n 1 "$venv/.installed-runtime")" != "$root" ]; then
        say "$venv is a link to the packages of another checkout; remove it."
        return 1
    fi
    say "preparing $venv; the first time this fetches large packages and takes some minutes"
    python=$(find_python) || return 1
    # One install at a time. The kernel frees the lock when the last process that holds it ends, so
    # a killed install leaves nothing behind. Python has flock on every system, the shell has not.
    exec 9>>"$root/scripts/bootstrap.sh" || return 1
    "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' || return 1
    is_installed "$1" || install_packages "$python" "$1" || return 1
    exec 9>&-
}
