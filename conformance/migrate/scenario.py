"""Fills a RabbitMQ, has it migrated while publishers run, counts every message."""

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections import Counter
from pathlib import Path
from urllib.parse import quote, urlsplit

import pika

RABBITMQ_URL = os.environ.get("RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5673")
MANAGEMENT = os.environ.get("RABBITMQ_MANAGEMENT", "http://127.0.0.1:15673")
SCALE = float(os.environ.get("MIGRATE_SCALE", "1"))
VHOSTS = ["migrate-1", "migrate-2"]
READY_TIMEOUT_S = 60
MIGRATE_TIMEOUT_S = 900
PUBLISH_FOR_S = 20

# virtual host, queue, arguments, messages, octets of a body
QUEUES = [
    ("migrate-1", "classic", {}, 30_000, 100),
    ("migrate-1", "quorum", {"x-queue-type": "quorum"}, 30_000, 100),
    ("migrate-1", "priority", {"x-max-priority": 10}, 14_000, 50),
    ("migrate-1", "headers", {"x-queue-type": "quorum"}, 12_000, 300),
    ("migrate-1", "ttl", {"x-message-ttl": 3_600_000, "x-dead-letter-exchange": ""}, 10_000, 10),
    ("migrate-1", "large", {}, 600, 200_000),
    ("migrate-2", "a/b ü%", {}, 3_400, 20),
]
# Published to while the migration runs.
LIVE = ["classic", "quorum"]


def case(name: str, problem: str = "") -> None:
    print(f"not ok {name} # {problem}" if problem else f"ok {name}", flush=True)


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def api(base: str, method: str, path: str, body=None):
    request = urllib.request.Request(
        f"{base}/api{path}", method=method, data=None if body is None else json.dumps(body).encode()
    )
    user = urlsplit(RABBITMQ_URL)
    login = f"{user.username}:{user.password}" if base == MANAGEMENT else "guest:guest"
    request.add_header("Authorization", "Basic " + b64encode(login.encode()).decode())
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
        return json.loads(text) if text else None


def connect(url: str, vhost: str) -> pika.BlockingConnection:
    return pika.BlockingConnection(pika.URLParameters(f"{url}/{quote(vhost, safe='')}"))


def message(queue: str, number: int, size: int) -> tuple[bytes, pika.BasicProperties]:
    """The message of a number: whoever gets it can tell whether it is right."""
    body = f"{queue} {number} ".encode()
    body += hashlib.sha256(body).hexdigest().encode() * (size // 64 + 1)
    properties = pika.BasicProperties(
        delivery_mode=2 if number % 10 else 1,
        message_id=f"{queue}-{number}",
        correlation_id=str(number),
        priority=number % 10 if queue == "priority" else None,
        expiration="3600000" if queue == "ttl" and number % 2 else None,
        headers={"n": number, "deep": {"list": [1, "two", None, True]}} if queue == "headers" else None,
        content_type="text/plain",
    )
    return body[: max(size, 20)], properties


def fingerprint(body: bytes, properties: pika.BasicProperties) -> tuple:
    return (
        hashlib.sha256(body).digest(),
        properties.delivery_mode,
        properties.correlation_id,
        properties.priority,
        properties.expiration,
        json.dumps(properties.headers, sort_keys=True),
        properties.content_type,
    )


def fill() -> dict[tuple[str, str], dict[str, tuple]]:
    """Publishes everything; what each queue has, by message id."""
    expected = {}
    for vhost in VHOSTS:
        api(MANAGEMENT, "PUT", f"/vhosts/{vhost}", {})
    for vhost, queue, arguments, count, size in QUEUES:
        connection = connect(RABBITMQ_URL, vhost)
        channel = connection.channel()
        channel.queue_declare(queue, durable=True, arguments=arguments)
        known = expected[vhost, queue] = {}
        for number in range(int(count * SCALE)):
            body, properties = message(queue, number, size)
            channel.basic_publish("", queue, body, properties)
            known[properties.message_id] = fingerprint(body, properties)
        # All before its answer has been dealt with.
        channel.close()
        connection.close()
    return expected


class LivePublisher(threading.Thread):
    """Publishes with confirms until it is stopped."""

    def __init__(self, queue: str, known: dict[str, tuple]):
        super().__init__()
        self.queue = queue
        self.known = known
        self.confirmed = 0
        self.stopped = threading.Event()

    def run(self) -> None:
        connection = connect(RABBITMQ_URL, "migrate-1")
        channel = connection.channel()
        channel.confirm_delivery()
        number = 1_000_000
        while not self.stopped.is_set():
            body, properties = message(self.queue, number, 100)
            channel.basic_publish("", self.queue, body, properties)
            # Only what is confirmed has to arrive.
            self.known[properties.message_id] = fingerprint(body, properties)
            self.confirmed += 1
            number += 1
        connection.close()


def start_harrier(data: Path) -> tuple[subprocess.Popen, str, str]:
    shutil.rmtree(data, ignore_errors=True)
    command = [os.environ["HARRIER_BIN"], "serve", "--data-dir", data]
    command += ["--amqp", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    with open("migrated-broker.log", "wb") as errors:
        broker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    ready = broker.stdout.readline()
    found = re.search(r"amqp=(\S+) http=(\S+)", ready)
    if not found:
        sys.exit(f"no broker: {ready!r}")
    return broker, f"amqp://guest:guest@{found[1]}", f"http://{found[2]}"


def migrate(http: str, *more: str) -> subprocess.Popen:
    command = [os.environ["HARRIER_BIN"], "migrate", "--from", RABBITMQ_URL]
    command += ["--management", MANAGEMENT, "--to", http]
    for vhost in VHOSTS:
        command += ["--queue-vhost", vhost]
    return subprocess.Popen(
        command + list(more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def take_all(url: str, vhost: str, queue: str) -> tuple[dict[str, tuple], Counter]:
    """Everything in a queue, by message id, and how often each was there."""
    connection = connect(url, vhost)
    channel = connection.channel()
    count = channel.queue_declare(queue, passive=True).method.message_count
    got: dict[str, tuple] = {}
    times: Counter = Counter()
    if count:
        for _, properties, body in channel.consume(queue, auto_ack=True, inactivity_timeout=10):
            if properties is None:
                break
            got[properties.message_id] = fingerprint(body, properties)
            times[properties.message_id] += 1
            if sum(times.values()) == count:
                break
        channel.cancel()
    connection.close()
    return got, times


def compare(url: str, expected: dict[tuple[str, str], dict[str, tuple]]) -> None:
    for (vhost, queue), known in expected.items():
        got, times = take_all(url, vhost, queue)
        lost = known.keys() - got.keys()
        altered = [name for name in known.keys() & got.keys() if known[name] != got[name]]
        twice = sum(count - 1 for count in times.values())
        log(f"{vhost} {queue}: {len(known)} sent, {len(got)} arrived, {twice} more than once")
        name = re.sub(r"\W+", "-", f"{vhost}-{queue}").strip("-")
        problem = ""
        if lost or altered:
            problem = f"{len(lost)} lost, {len(altered)} altered of {len(known)}"
        case(f"arrived[{name}]", problem)


def run_all() -> None:
    for vhost in VHOSTS:
        forget(vhost)
    began = time.monotonic()
    expected = fill()
    total = sum(map(len, expected.values()))
    log(f"{total} messages published in {time.monotonic() - began:.0f} s")
    broker, amqp, http = start_harrier(Path("migrated-data"))
    try:
        dry = migrate(http, "--dry-run")
        said, _ = dry.communicate(timeout=60)
        log(said)
        done = dry.returncode == 0 and "7 queues would be moved" in said
        case("dry-run", "" if done else said[-200:].replace("\n", " | "))
        move(http, expected)
        left = api(MANAGEMENT, "GET", "/queues?columns=vhost,name,messages")
        left = {(q["vhost"], q["name"]): q.get("messages", 0) for q in left if q["vhost"] in VHOSTS}
        case("source-is-empty", "" if not any(left.values()) else f"{left}")
        compare(amqp, expected)
    finally:
        broker.terminate()
        case("broker-stops", "" if broker.wait(30) == 0 else f"exit status {broker.returncode}")
        for vhost in VHOSTS:
            forget(vhost)
        shutil.rmtree("migrated-data", ignore_errors=True)


def move(http: str, expected: dict[tuple[str, str], dict[str, tuple]]) -> None:
    """Migrates while publishers run; the first run is ended half way."""
    publishers = [LivePublisher(queue, expected["migrate-1", queue]) for queue in LIVE]
    for publisher in publishers:
        publisher.start()
    began = time.monotonic()
    first = migrate(http)
    time.sleep(5)
    first.kill()
    first.communicate()
    second = migrate(http)
    stop = threading.Timer(PUBLISH_FOR_S, lambda: [p.stopped.set() for p in publishers])
    stop.start()
    said, _ = second.communicate(timeout=MIGRATE_TIMEOUT_S)
    log(said)
    for publisher in publishers:
        publisher.join()
    live = sum(publisher.confirmed for publisher in publishers)
    log(f"migrated in {time.monotonic() - began:.0f} s, {live} messages published meanwhile")
    case("migrate", "" if second.returncode == 0 else said[-200:].replace("\n", " | "))
    left = api(http, "GET", "/shovels")
    case("no-shovel-is-left", "" if not left else f"{left}"[:200])


def forget(vhost: str) -> None:
    try:
        api(MANAGEMENT, "DELETE", f"/vhosts/{vhost}")
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise


def listens(url: str) -> bool:
    address = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((address.hostname, address.port)) == 0


def main() -> None:
    missing = [url for url in (RABBITMQ_URL, MANAGEMENT) if not listens(url)]
    if missing or "HARRIER_BIN" not in os.environ:
        print("skip all # no RabbitMQ with its management API to migrate from")
        return
    # The ledger has it for machines without one, and wants to hear of it.
    print("skip all # not skipped: there is a RabbitMQ")
    run_all()


main()
