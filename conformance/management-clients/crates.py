"""The Rust crates of RabbitMQ's management tools, with the tests that they ship: built once for
the suites rabbitmqadmin and http-client, in a workspace around the untouched sources."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORK = Path(os.environ["WORK"])
# Both suites build here; cargo lets one wait for the other.
BUILD = WORK.parent / "management-crates"
TOOL, CLIENT = ("rabbitmqadmin", "2.35.0"), ("rabbitmq_http_client", "0.93.0")
# TLS by OpenSSL, since tests of the client load PKCS #12. A client without TLS isn't foreseen.
FEATURES = ["blocking", "async", "native-tls"]
TEST_LIMIT_S = 900
RESULT = re.compile(r"^test (\S+) \.\.\. (ok|FAILED|ignored)", re.MULTILINE)


def source_of(crate: tuple[str, str]) -> Path:
    return BUILD / "-".join(crate)


def run(command: list, **options) -> subprocess.CompletedProcess:
    return subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, **options)


def write_if_changed(path: Path, text: str) -> None:
    """Leaves an unchanged file its time stamp, so that cargo does not build again."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def fetch(crate: tuple[str, str]) -> None:
    """Copies a crate, tests and all, from where cargo unpacks a dependency's source."""
    source = source_of(crate)
    if (source / "Cargo.toml").is_file():
        return
    name, version = crate
    asking = BUILD / f"fetch-{name}" / "Cargo.toml"
    write_if_changed(
        asking,
        f'[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2024"\n'
        f'[dependencies.{name}]\nversion = "={version}"\n[workspace]\n',
    )
    write_if_changed(asking.parent / "src" / "lib.rs", "")
    command = ["cargo", "metadata", "--format-version", "1", "--manifest-path", asking]
    packages = json.loads(run(command).stdout)["packages"]
    unpacked = {(package["name"], package["version"]): package["manifest_path"] for package in packages}
    partly = source.with_name(f"{source.name}.{os.getpid()}")
    shutil.copytree(Path(unpacked[crate]).parent, partly)
    try:
        partly.rename(source)
    except OSError:  # The other suite was quicker.
        shutil.rmtree(partly)


def install_openssl() -> None:
    if shutil.which("pkg-config") and not subprocess.run(["pkg-config", "--exists", "openssl"]).returncode:
        return
    run([HERE.parent / "install_packages", "libssl-dev", "pkg-config", "gcc", "libc6-dev"])


def build() -> dict[str, Path]:
    """Returns the test program of each crate, and the tool itself as `bin`."""
    install_openssl()
    for crate in (TOOL, CLIENT):
        fetch(crate)
    members = ", ".join(f'"{source_of(crate).name}"' for crate in (TOOL, CLIENT))
    write_if_changed(BUILD / "Cargo.toml", f'[workspace]\nmembers = [{members}]\nresolver = "3"\n')
    write_if_changed(BUILD / "Cargo.lock", (HERE / "Cargo.lock").read_text(encoding="utf-8"))
    # They ask for Rust 1.94, Harrier for 1.93: let the compiler say what it can't do.
    command = ["cargo", "test", "--no-run", "--locked", "--ignore-rust-version", "--message-format", "json"]
    command += ["--no-default-features", "--test", "integration"]
    command += ["--features", ",".join(f"{CLIENT[0]}/{feature}" for feature in FEATURES)]
    for name, version in (TOOL, CLIENT):
        command += ["--package", f"{name}@{version}"]
    # Debug information would be most of the build.
    environment = os.environ | {
        "CARGO_TARGET_DIR": str(BUILD / "target"),
        "CARGO_PROFILE_DEV_DEBUG": "0",
        "CARGO_PROFILE_TEST_DEBUG": "0",
    }
    messages = map(json.loads, run(command, cwd=BUILD, env=environment).stdout.splitlines())
    programs = {}
    for message in messages:
        if message.get("executable"):
            package = Path(message["manifest_path"]).parent.name
            kind = "bin" if "bin" in message["target"]["kind"] else package
            programs[kind] = Path(message["executable"])
    return programs


def reasons(log: str) -> dict[str, str]:
    """What each failed test said when it panicked."""
    said = {}
    for name, output in re.findall(r"^---- (\S+) stdout ----\n(.*?)(?=^---- |^failures:)", log, re.M | re.S):
        panic = re.search(r"panicked at [^\n]*\n(.*)", output, re.S)
        text = re.sub(r"[`\\]+", "", panic.group(1)) if panic else "no panic message"
        # assert_cmd says first that a command failed, and then how.
        stderr = re.search(r"stderr=(.*?)command=", text, re.S)
        said[name] = " ".join((stderr.group(1) if stderr else text).split())[:200]
    return said


def run_tests(crate: tuple[str, str], program: Path, log: Path, leaving_out: list[str]) -> None:
    """One thread: tests of these crates look at all there is in a broker, and change it."""
    command = [program, "--test-threads", "1"]
    for name in leaving_out:
        command += ["--skip", name]
    # How long tests wait for statistics, in ms.
    environment = os.environ | {"TEST_STATS_DELAY": "500", "RUST_BACKTRACE": "0"}
    with log.open("w") as output:
        subprocess.run(
            command,
            cwd=source_of(crate),
            env=environment,
            stdout=output,
            stderr=output,
            timeout=TEST_LIMIT_S,
            check=False,
        )
    text = log.read_text(errors="replace")
    said = reasons(text)
    for name, result in RESULT.findall(text):
        if result == "FAILED":
            print(f"not ok {name} # {said.get(name, '')}", flush=True)
        else:
            status = "ok" if result == "ok" else "skip"
            print(f"{status} {name}" + (" # ignored by its author" if status == "skip" else ""), flush=True)
    if "\ntest result: " not in text:
        sys.exit(f"the tests broke off; see {log}")
