# shellcheck shell=bash
# Sourced: fetches the upstream part of a Debian source package by apt.

# fetch_debian_source PACKAGE VERSION SUITE FOLDER
# Unpacks PACKAGE's upstream source, as released with Debian's SUITE, into
# FOLDER. The mirror is the one this machine already uses; apt gets state of
# its own, so neither the machine's sources nor its package lists change.
fetch_debian_source() {
    local package=$1 version=$2 suite=$3 folder=$4
    if [[ -d $folder ]]; then
        return
    fi
    local apt=$WORK/apt
    rm -rf "$apt"
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/source" "$apt/tree"
    # shellcheck disable=SC2046 # sources.list may well be missing
    write_source_list "$suite" $(find /etc/apt/sources.list /etc/apt/sources.list.d \
        -name '*.sources' -o -name '*.list' 2>/dev/null) >"$apt/wanted.list"
    local options=(
        -o "Dir::Etc::sourcelist=$apt/wanted.list" -o Dir::Etc::sourceparts=-
        -o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt/cache"
        # $WORK need not be readable for apt's own user.
        -o APT::Sandbox::User=root
    )
    apt-get "${options[@]}" -qq update >&2
    # The upstream archive is enough; Debian's patches don't touch the tests.
    (cd "$apt/source" && apt-get "${options[@]}" -qq source --download-only --tar-only "$package") >&2
    local archive=$apt/source/${package}_$version.orig.tar.gz
    if [[ ! -f $archive ]]; then
        echo "$package of $suite is not version $version: $(ls "$apt/source")" >&2
        return 1
    fi
    tar -xzf "$archive" -C "$apt/tree" --strip-components=1
    mv "$apt/tree" "$folder"
    rm -rf "$apt"
}

# write_source_list SUITE FILE...
# The archive that the given apt sources use, as one deb-src line for SUITE,
# signed by the same key.
write_source_list() {
    python3 - "$@" <<'PYTHON'
import re
import sys

suite, files = sys.argv[1], sys.argv[2:]


def entries(text, one_line):
    """(URI, suites, key) of every binary source in a file of either format."""
    if one_line:
        pattern = r"^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)"
        for options, uri, suite_name in re.findall(pattern, text, re.MULTILINE):
            key = re.search(r"signed-by=(\S+)", options)
            yield uri, [suite_name], key and key[1]
        return
    for stanza in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, re.MULTILINE))
        if "deb" in fields.get("Types", "").split() and fields.get("Enabled", "yes") != "no":
            for uri in fields["URIs"].split():
                yield uri, fields["Suites"].split(), fields.get("Signed-By")


found = []
for path in files:
    with open(path) as stream:
        for uri, suites, key in entries(stream.read(), path.endswith(".list")):
            # Security updates live in an archive of their own.
            if not any("security" in name for name in suites):
                found.append((uri, key))
if not found:
    sys.exit("no archive among the machine's apt sources: " + " ".join(files))
# A third party's archive is rarely called so.
uri, key = next((source for source in found if "debian" in source[0]), found[0])
signed = f"[signed-by={key}] " if key else ""
print(f"deb-src {signed}{uri} {suite} main")
PYTHON
}
