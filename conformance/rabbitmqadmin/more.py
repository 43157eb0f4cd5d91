"""Commands that the crate's own tests don't run, or not to a good end against a broker without
federation and streams. What a command has changed is looked up by another one's answer, or over
HTTP."""

import base64
import json
import subprocess
import tempfile
from collections.abc import Callable

from checking import PORT, Failed, api, connected, connection_in, equal, has_line, hears_its_end, run_case

VHOST = "rabbitmqadmin.more"
CASES: list[Callable[["Tool"], None]] = []


class Tool:
    """rabbitmqadmin, set to a virtual host of its own."""

    def __init__(self, path: str):
        self.path = path

    def run(self, *words: str, stdin: str = "") -> str:
        """What a command that has to end well prints, with tables drawn for scripts."""
        command = [self.path, "--vhost", VHOST, "--non-interactive", *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split())
            raise Failed(f"{' '.join(words)}: exit status {done.returncode}: {said}")
        return done.stdout

    def shows(self, *words: str, line_with: list[str]) -> None:
        has_line(" ".join(words), self.run(*words), *line_with)


def case(run: Callable[[Tool], None]) -> Callable[[Tool], None]:
    CASES.append(run)
    return run


# --- bindings and queues --------------------------------------------------


@case
def bindings_are_listed_and_deleted(tool: Tool) -> None:
    ends = ["--source", "amq.topic", "--destination-type", "queue", "--destination", "bound"]
    arguments = ["--routing-key", "a.#", "--arguments", '{"x": 1}']
    tool.run("queues", "declare", "--name", "bound")
    tool.run("bindings", "declare", *ends, *arguments)
    tool.shows("bindings", "list", line_with=["amq.topic", "bound", "a.#"])
    tool.run("bindings", "delete", *ends, *arguments)
    tool.run("bindings", "delete", *ends, *arguments, "--idempotently")
    equal("bindings left", [one["source"] for one in api(f"/queues/{VHOST}/bound/bindings")], [""])


@case
def leaders_are_rebalanced(tool: Tool) -> None:
    tool.run("queues", "rebalance")
    tool.run("rebalance", "queues")


@case
def consumers_are_listed(tool: Tool) -> None:
    session = connected(VHOST)
    channel = session.connections[0].channel()
    tool.run("queues", "declare", "--name", "consumed")
    channel.consume("consumed", "the-tag")
    connection_in(VHOST)
    tool.shows("list", "consumers", line_with=["consumed", "the-tag"])
    session.close()


# --- connections ----------------------------------------------------------


@case
def a_connection_is_closed_by_name(tool: Tool) -> None:
    session = connected(VHOST)
    name = connection_in(VHOST)
    tool.run("close", "connection", "--name", name)
    hears_its_end(session)
    tool.run("close", "connection", "--name", name, "--idempotently")


@case
def connections_of_a_user_are_listed_and_closed(tool: Tool) -> None:
    session = connected(VHOST)
    name = connection_in(VHOST)
    tool.shows("users", "connections", "--username", "guest", line_with=[name])
    tool.run("close", "user_connections", "--username", "guest")
    hears_its_end(session)


# --- limits and parameters ------------------------------------------------


@case
def limits_of_a_vhost_are_set_listed_and_cleared(tool: Tool) -> None:
    tool.run("declare", "vhost_limit", "--name", "max-queues", "--value", "77")
    tool.shows("list", "vhost_limits", line_with=[VHOST, "max-queues", "77"])
    tool.run("delete", "vhost_limit", "--name", "max-queues")
    equal("limits left", [one["value"] for one in api(f"/vhost-limits/{VHOST}") if one["value"]], [])


@case
def parameters_are_set_listed_and_cleared(tool: Tool) -> None:
    uri = "amqp://guest:guest@localhost:5672"
    value = {"src-uri": uri, "src-queue": "from", "dest-uri": uri, "dest-queue": "to"}
    named = ["--component", "shovel", "--name"]
    tool.run("declare", "parameter", *named, "one", "--value", json.dumps(value))
    tool.run("parameters", "set", *named, "two", "--value", json.dumps(value))
    kept = api(f"/parameters/shovel/{VHOST}")
    equal("kept", sorted((one["name"], one["value"]["src-queue"]) for one in kept), [("one", "from"), ("two", "from")])
    tool.shows("list", "parameters", "--component", "shovel", line_with=["one", VHOST])
    tool.shows("parameters", "list", "--component", "shovel", line_with=["two", VHOST])
    tool.shows("parameters", "list_in", "--component", "shovel", line_with=["one", VHOST])
    tool.shows("parameters", "list_all", line_with=["two", VHOST])
    tool.run("delete", "parameter", *named, "one")
    tool.run("parameters", "clear", *named, "two")
    equal("left", api(f"/parameters/shovel/{VHOST}"), [])


# --- definitions ----------------------------------------------------------


@case
def there_are_no_upstreams_and_no_streams(tool: Tool) -> None:
    equal("upstreams", tool.run("federation", "list_all_upstreams").strip(), "")
    files = ["ca-certificate-bundle", "client-certificate-file", "client-private-key-file"]
    options = [word for file in files for word in (f"--node-local-{file}-path", "/nowhere")]
    tool.run("federation", "enable_tls_peer_verification_for_all_upstreams", *options)
    # Lists queues of all types, with RabbitMQ as well.
    tool.run("streams", "list")
    tool.run("delete", "stream", "--name", "none", "--idempotently")


@case
def definitions_are_exported(tool: Tool) -> None:
    tool.run("queues", "declare", "--name", "exported")
    exported = json.loads(tool.run("export", "definitions", "--stdout"))
    names = [queue["name"] for queue in exported["queues"] if queue["vhost"] == VHOST]
    if "exported" not in names:
        raise Failed(f"only {names} exported")


@case
def definitions_are_imported(tool: Tool) -> None:
    user = {"name": VHOST, "password_hash": "", "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": []}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"users": [user]}, file)
        file.flush()
        tool.run("import", "definitions", "--file", file.name)
    equal("imported", api(f"/users/{VHOST}")["name"], VHOST)
    tool.run("users", "delete", "--name", VHOST)


@case
def definitions_of_a_vhost_are_imported(tool: Tool) -> None:
    queue = {"name": "imported", "durable": True, "auto_delete": False, "arguments": {}}
    given = {"queues": [queue], "exchanges": [], "bindings": [], "policies": [], "parameters": []}
    tool.run("definitions", "import_into_vhost", "--stdin", stdin=json.dumps(given))
    equal("imported", api(f"/queues/{VHOST}/imported")["durable"], True)


# --- the node -------------------------------------------------------------


@case
def the_broker_is_shown(tool: Tool) -> None:
    node = api("/nodes")[0]["name"]
    tool.shows("nodes", "list", line_with=[node])
    tool.shows("show", "endpoint", line_with=[str(PORT)])
    tool.shows("show", "churn", line_with=["Client connections opened", str(api("/overview")["churn_rates"]["connection_created"])])


@case
def nothing_is_quorum_critical(tool: Tool) -> None:
    tool.run("health_check", "node_is_quorum_critical")


@case
def no_deprecated_feature_is_in_use(tool: Tool) -> None:
    tool.run("health_check", "deprecated_features_in_use")


@case
def deprecated_features_in_use_are_listed(tool: Tool) -> None:
    used = [feature["name"] for feature in api("/deprecated-features/used")]
    for words in (["deprecated_features", "list_used"], ["list", "deprecated_features_in_use"]):
        output = tool.run(*words)
        equal("not listed", [name for name in used if name not in output], [])


@case
def a_hashed_password_lets_its_user_in(tool: Tool) -> None:
    hashed = tool.run("passwords", "salt_and_hash", "s3cret").split()[-1]
    equal("octets of salt and hash", len(base64.b64decode(hashed)), 36)
    tool.run("users", "declare", "--name", VHOST, "--password-hash", hashed, "--tags", "administrator")
    login = [tool.path, "--username", VHOST, "--password", "s3cret", "list", "nodes"]
    equal("exit status", subprocess.run(login, capture_output=True, timeout=60, check=False).returncode, 0)
    tool.run("users", "delete", "--name", VHOST)


def run_all(path: str) -> None:
    """One line a case."""
    tool = Tool(path)
    tool.run("vhosts", "declare", "--name", VHOST)
    for run in CASES:
        run_case(f"more/{run.__name__}", lambda: run(tool))
    tool.run("vhosts", "delete", "--name", VHOST, "--idempotently")
