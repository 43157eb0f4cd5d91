# shellcheck shell=bash
# Sourced by the Python suites: a virtual environment and a released source tree.

# make_venv FOLDER REQUIREMENT...
# A virtual environment with exactly these requirements; made again only when
# the list changes. Its marker is written last, so a broken-off installation
# is not taken for a finished one.
make_venv() {
    local folder=$1
    shift
    local wanted
    wanted=$(printf '%s\n' "$@")
    if [[ -f $folder/requirements && $(<"$folder/requirements") == "$wanted" ]]; then
        return
    fi
    rm -rf "$folder"
    if ! python3 -m venv "$folder" >&2; then
        # Debian splits the module off from python3.
        rm -rf "$folder"
        "$REPO/conformance/install_packages" python3-venv
        python3 -m venv "$folder" >&2
    fi
    "$folder/bin/pip" install --quiet --disable-pip-version-check "$@" >&2
    printf '%s\n' "$wanted" >"$folder/requirements"
}

# fetch_sdist VENV NAME VERSION FOLDER
# Unpacks NAME's source package, which has the tests that its wheel lacks,
# into FOLDER, unless it is there.
fetch_sdist() {
    local venv=$1 name=$2 version=$3 folder=$4
    if grep -qsx "Version: $version" "$folder/PKG-INFO"; then
        return
    fi
    rm -rf "$folder"
    local download
    download=$(mktemp -d -p "$WORK")
    "$venv/bin/pip" download --quiet --disable-pip-version-check --no-deps \
        --no-binary "$name" --dest "$download" "$name==$version" >&2
    mkdir "$download/tree"
    tar -xzf "$download"/*.tar.gz -C "$download/tree" --strip-components=1
    mv "$download/tree" "$folder"
    rm -rf "$download"
}

# run_pytest VENV ARGUMENT...
# pytest with the plugins of this folder; the case lines leave by descriptor 3,
# which tests can't write to by accident, everything else goes to the log.
run_pytest() {
    local venv=$1
    shift
    local plugins
    plugins=$(dirname "${BASH_SOURCE[0]}")
    CASE_LINES_FD=3 PYTHONPATH="$plugins${PYTHONPATH:+:$PYTHONPATH}" PYTHONDONTWRITEBYTECODE=1 \
        "$venv/bin/python" -m pytest -p case_lines -p no:cacheprovider \
        --tb=short --timeout-method=signal --durations=15 "$@" 3>&1 >&2
}
