"""One case for each command that `rabbitmqadmin help subcommands` lists; what it has changed is
looked up over HTTP."""

import json
import os
import re
import subprocess
import sys
import traceback
from pathlib import Path

from checking import Failed, api, connected, connection_in, equal, has_line, hears_its_end, run_case

TOOL = os.environ["TOOL"]
WORK = Path(os.environ["WORK"])
VHOST = "rabbitmqadmin-v1"
SHOVEL = {"src-uri": "amqp://", "src-queue": "from", "dest-uri": "amqp://", "dest-queue": "to"}
GONE = None


def run(*words: str) -> str:
    """What a command that has to end well prints, lists as lines of tabs."""
    command = [sys.executable, TOOL, "--vhost", VHOST, "--format", "tsv", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise Failed(f"{' '.join(words)}: exit status {done.returncode}: {said}")
    return done.stdout


def at(path: str) -> object:
    """What is there, GONE if nothing is."""
    try:
        return api(path)
    except OSError as error:
        if getattr(error, "code", 0) == 404:
            return GONE
        raise


def text(value: object) -> str:
    return json.dumps(value)


# What is declared, with which words, and where it is then, with what in it. The order is that
# in which one can be made after another, and removed in reverse.
DECLARED = {
    "vhost": ([f"name={VHOST}"], f"/vhosts/{VHOST}", {"name": VHOST}),
    "user": (["name=v1", "password=secret", "tags=monitoring"], "/users/v1", {"tags": ["monitoring"]}),
    "permission": (
        [f"vhost={VHOST}", "user=v1", "configure=^c", "write=^w", "read=^r"],
        f"/permissions/{VHOST}/v1",
        {"configure": "^c", "write": "^w", "read": "^r"},
    ),
    "exchange": (
        ["name=e", "type=topic", 'arguments={"alternate-exchange": "amq.fanout"}'],
        f"/exchanges/{VHOST}/e",
        {"type": "topic", "durable": True, "arguments": {"alternate-exchange": "amq.fanout"}},
    ),
    "queue": (
        ["name=q", "queue_type=quorum", 'arguments={"x-max-length": 9}'],
        f"/queues/{VHOST}/q",
        {"type": "quorum", "arguments": {"x-max-length": 9, "x-queue-type": "quorum"}},
    ),
    "binding": (
        ["source=e", "destination=q", "routing_key=a.#"],
        f"/bindings/{VHOST}/e/e/q/q/a.%2523",
        None,
    ),
    "parameter": (
        ["component=shovel", "name=s", f"value={text(SHOVEL)}"],
        f"/parameters/shovel/{VHOST}/s",
        {"value": SHOVEL},
    ),
    "policy": (
        ["name=p", "pattern=^q", 'definition={"max-length": 5}', "priority=3", "apply-to=queues"],
        f"/policies/{VHOST}/p",
        {"pattern": "^q", "definition": {"max-length": 5}, "priority": 3, "apply-to": "queues"},
    ),
    "operator_policy": (
        ["name=o", "pattern=^q", 'definition={"max-length": 7}', "apply-to=queues"],
        f"/operator-policies/{VHOST}/o",
        {"pattern": "^q", "definition": {"max-length": 7}, "apply-to": "queues"},
    ),
    "vhost_limit": (
        [f"vhost={VHOST}", "name=max-queues", "value=50"],
        f"/vhost-limits/{VHOST}",
        None,
    ),
}
DELETED = {
    "vhost": [f"name={VHOST}"],
    "user": ["name=v1"],
    "permission": [f"vhost={VHOST}", "user=v1"],
    "exchange": ["name=e"],
    "queue": ["name=q"],
    "binding": ["source=e", "destination_type=queue", "destination=q", "properties_key=a.%23"],
    "parameter": ["component=shovel", "name=s"],
    "policy": ["name=p"],
    "operator_policy": ["name=o"],
    "vhost_limit": [f"vhost={VHOST}", "name=max-queues"],
}
# What a list has to have a line with, when all of the above is there.
LISTED = {
    "exchanges": ["e", "topic"],
    "queues": ["q", "1"],
    "bindings": ["e", "q", "a.#"],
    "users": ["v1", "monitoring"],
    "vhosts": [VHOST],
    "permissions": ["v1", "^c", "^w", "^r"],
    "nodes": ["disc"],
    "parameters": ["shovel", "src-queue"],
    "policies": ["^q", "max-length"],
    "operator_policies": ["^q", "max-length"],
    "vhost_limits": ["max-queues", "50"],
}


def declare(what: str) -> None:
    words, path, expected = DECLARED[what]
    run("declare", what, *words)
    if what == "vhost_limit":
        equal(path, at(path), [{"vhost": VHOST, "value": {"max-queues": 50}}])
        return
    found = at(path)
    if found is GONE:
        raise Failed(f"{path} is not there")
    for key, value in (expected or {}).items():
        equal(f"{path} {key}", found[key], value)


def delete(what: str) -> None:
    run("delete", what, *DELETED[what])
    path = DECLARED[what][1]
    if what == "vhost_limit":
        equal(path, [one for one in at(path) if one["value"]], [])
    else:
        equal(path, at(path), GONE)


def publish() -> None:
    said = run("publish", "exchange=e", "routing_key=a.b", "payload=the body", 'properties={"correlation_id": "c"}')
    has_line("publish", said, "published")


def get() -> None:
    has_line("get", run("get", "queue=q", "ackmode=ack_requeue_true"), "a.b", "the body")


def purge() -> None:
    run("purge", "queue", "name=q")
    equal("messages left", run("get", "queue=q").strip(), "No items")


def show_overview() -> None:
    has_line("show overview", run("show", "overview"), api("/overview")["rabbitmq_version"])


def list_of(what: str) -> None:
    has_line(f"list {what}", run("list", what), *LISTED[what])


def of_a_client(names: set[str]) -> None:
    """What is only there while a client is connected."""
    session = connected(VHOST)
    session.connections[0].channel().consume("q", "v1-tag")
    name = connection_in(VHOST)
    run_listed = {"connections": [name, "guest"], "channels": [name, "guest"], "consumers": ["v1-tag"]}
    for what, words in run_listed.items():
        run_named(names, f"list {what}", lambda: has_line(what, run("list", what), *words))
    run_named(names, "close connection", lambda: run("close", "connection", f"name={name}"))
    run_case("a-client-hears-that-it-is-closed", lambda: hears_its_end(session))


def export_and_import(names: set[str]) -> None:
    file = WORK / "definitions.json"
    file.unlink(missing_ok=True)

    def export() -> None:
        run("export", str(file))
        queues = [one["name"] for one in json.loads(file.read_text())["queues"]]
        if "q" not in queues:
            raise Failed(f"only {queues} exported")

    def import_() -> None:
        run("delete", "queue", "name=q")
        run("import", str(file))
        equal("the queue", at(f"/queues/{VHOST}/q")["type"], "quorum")

    run_named(names, "export", export)
    run_named(names, "import", import_)


def run_named(names: set[str], command: str, check) -> None:
    """A case that stands for a command."""
    names.discard(command)
    run_case(command.replace(" ", "-"), check)


def commands() -> set[str]:
    """Every command that the tool's help lists."""
    done = subprocess.run([sys.executable, TOOL, "help", "subcommands"], check=True, stdout=subprocess.PIPE, text=True)
    found = re.findall(r"^  (list|show|declare|delete|close|purge) (\w+)", done.stdout, re.MULTILINE)
    alone = re.findall(r"^  (export|import|publish|get) ", done.stdout, re.MULTILINE)
    return {" ".join(pair) for pair in found} | set(alone)


def main() -> None:
    names = commands()
    for what in DECLARED:
        run_named(names, f"declare {what}", lambda: declare(what))
    for command, check in {"publish": publish, "get": get, "show overview": show_overview}.items():
        run_named(names, command, check)
    for what in LISTED:
        run_named(names, f"list {what}", lambda: list_of(what))
    run_named(names, "purge queue", purge)
    of_a_client(names)
    export_and_import(names)
    for what in reversed(DECLARED):
        run_named(names, f"delete {what}", lambda: delete(what))
    for command in sorted(names):
        print(f"not ok {command.replace(' ', '-')} # no case for it")


if __name__ == "__main__":
    try:
        main()
    except Exception:  # Python's own status for this, 1, would say that all cases were run.
        traceback.print_exc()
        sys.exit(2)
