"""Real Celery workers doing their jobs, each case a question that a user would ask of a broker.

Prints the lines that conformance/run reads.
"""

import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from celery import chain, group
from celery.exceptions import TaskRevokedError

import app as application
from app import app

WORK = Path(os.environ["WORK"])
HERE = Path(__file__).resolve().parent
WAIT_S = 40
ARRAY_OCTETS = 1_000_000

cases: list[Callable[[], None]] = []
workers: dict[str, subprocess.Popen] = {}


def case(script: Callable[[], None]) -> Callable[[], None]:
    cases.append(script)
    return script


def start_worker(name: str, queues: str, concurrency: int = 2, **environment: str) -> None:
    """A prefork worker in a session of its own, so that it can be killed with its children."""
    command = [sys.executable, "-m", "celery", "-A", "app", "worker", "-n", f"{name}@conformance"]
    command += ["-Q", queues, "-c", str(concurrency), "-l", "INFO", "--without-gossip", "--without-mingle"]
    with (WORK / f"{name}.log").open("wb") as log:
        workers[name] = subprocess.Popen(
            command, cwd=HERE, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, env={**os.environ, **environment}
        )


def until(question: Callable[[], object], what: str) -> object:
    """Asks until the answer is true."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if answer := question():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"never: {what}")


def lines(file: str) -> list[str]:
    path = WORK / file
    return path.read_text().split() if path.exists() else []


def inspect(*names: str):
    return app.control.inspect([f"{name}@conformance" for name in names], timeout=5, limit=len(names))


def answers(name: str) -> bool:
    return bool(inspect(name).ping())


def queues_of(name: str) -> set[str]:
    return {queue["name"] for queue in inspect(name).active_queues()[f"{name}@conformance"]}


@case
def result() -> None:
    assert application.add.delay(2, 3).get(timeout=WAIT_S) == 5


@case
def failure_as_result() -> None:
    try:
        application.broken.delay().get(timeout=WAIT_S)
    except ValueError as error:
        assert str(error) == "as intended"
    else:
        raise AssertionError("no error came back")


@case
def large_argument() -> None:
    assert application.length.delay("x" * ARRAY_OCTETS).get(timeout=WAIT_S) == ARRAY_OCTETS


@case
def chain_of_tasks() -> None:
    work = chain(application.add.s(1, 2), application.add.s(3), application.add.s(4))
    assert work.delay().get(timeout=WAIT_S) == 10


@case
def group_of_tasks() -> None:
    assert group(application.add.s(n, n) for n in range(50)).delay().get(timeout=WAIT_S) == [2 * n for n in range(50)]


@case
def group_of_chains() -> None:
    work = group(chain(application.add.s(n, 1), application.add.s(1)) for n in range(10))
    assert work.delay().get(timeout=WAIT_S) == [n + 2 for n in range(10)]


@case
def retries_with_countdown() -> None:
    before = time.monotonic()
    assert application.flaky.delay(2).get(timeout=WAIT_S) == 2
    assert time.monotonic() - before >= 0.6


@case
def countdown() -> None:
    before = time.monotonic()
    assert application.add.apply_async((1, 1), countdown=1).get(timeout=WAIT_S) == 2
    assert time.monotonic() - before >= 1


@case
def expires() -> None:
    late = application.add.apply_async((1, 1), countdown=1, expires=0.2)
    try:
        late.get(timeout=WAIT_S)
    except TaskRevokedError:
        return
    raise AssertionError("it was carried out")


@case
def topic_routing() -> None:
    sent = application.came_by.apply_async(exchange="topics", routing_key="animals.fish.carp")
    assert sent.get(timeout=WAIT_S) == "animals.fish.carp"


@case
def broadcast() -> None:
    application.shout.apply_async(queue="everybody")
    until(lambda: sorted(lines("shouts.txt")) == ["one@conformance", "two@conformance"], "both workers heard it")


@case
def reject_to_dead_letters() -> None:
    with app.connection_for_read() as connection:
        graves = connection.SimpleQueue(next(queue for queue in app.conf.task_queues if queue.name == "graves"))
        sent = application.refuse.apply_async(queue="refused")
        message = graves.get(timeout=WAIT_S)
        message.ack()
        graves.close()
    assert message.headers["id"] == sent.id
    death = message.headers["x-death"][0]
    assert (death["reason"], death["queue"], death["count"]) == ("rejected", "refused", 1), death


@case
def priorities() -> None:
    """Sent before there is a worker; the highest are done first."""
    for priority in (1, 9, 5, 0, 7, 3):
        application.rank.apply_async((priority,), queue="ranked", priority=priority)
    start_worker("ranked", "ranked", concurrency=1)
    until(lambda: len(lines("ranks.txt")) == 6, "all were done")
    assert lines("ranks.txt") == ["9", "7", "5", "3", "1", "0"], lines("ranks.txt")


@case
def acks_late_with_a_killed_worker() -> None:
    """What a dead worker held goes to the next, marked as redelivered."""
    start_worker("doomed", "late", concurrency=1)
    sent = application.survives.apply_async(queue="late")
    until(lambda: lines("survives.txt") == ["False"], "the first worker took it")
    os.killpg(workers.pop("doomed").pid, signal.SIGKILL)
    start_worker("heir", "late", concurrency=1)
    assert sent.get(timeout=WAIT_S) is True
    assert lines("survives.txt") == ["False", "True"]


@case
def events() -> None:
    """What `celery events` and Flower see."""
    seen: dict[str, set[str]] = {}
    ready = threading.Event()

    def on_event(event: dict) -> None:
        seen.setdefault(event.get("uuid", "worker"), set()).add(event["type"])

    def receive() -> None:
        with app.connection_for_read() as connection:
            receiver = app.events.Receiver(connection, handlers={"*": on_event})
            consumer = receiver.itercapture(limit=None, timeout=WAIT_S, wakeup=True)
            ready.set()
            for _ in consumer:
                if stopped.is_set():
                    return

    stopped = threading.Event()
    thread = threading.Thread(target=receive, daemon=True)
    thread.start()
    ready.wait(WAIT_S)
    until(lambda: "worker-heartbeat" in seen.get("worker", ()), "a worker's heartbeat")
    sent = application.add.delay(1, 1)
    wanted = {"task-sent", "task-received", "task-started", "task-succeeded"}
    until(lambda: wanted <= seen.get(sent.id, set()), f"{wanted}, had {seen.get(sent.id)}")
    stopped.set()


@case
def inspect_workers() -> None:
    both = ("one", "two")
    names = {f"{name}@conformance" for name in both}
    assert set(inspect(*both).ping()) == names
    assert all("app.add" in tasks for tasks in inspect(*both).registered().values())
    assert queues_of("one") >= {"work", "topical"}
    assert set(inspect(*both).stats()) == names


@case
def consumers_by_remote_control() -> None:
    """A queue is added to a worker and taken from it again."""
    app.control.add_consumer("extra", destination=["one@conformance"], reply=True)
    sent = application.add.apply_async((1, 2), queue="extra")
    assert sent.get(timeout=WAIT_S) == 3
    app.control.cancel_consumer("extra", destination=["one@conformance"], reply=True)
    # The worker answers first and cancels afterwards.
    until(lambda: "extra" not in queues_of("one"), "the queue was left")


@case
def revoke_waiting() -> None:
    waiting = application.add.apply_async((1, 1), countdown=2)
    app.control.revoke(waiting.id, reply=True, timeout=5, limit=2)
    try:
        waiting.get(timeout=WAIT_S)
    except TaskRevokedError:
        return
    raise AssertionError("it was carried out")


@case
def revoke_running() -> None:
    """terminate=True kills the process that carries it out; the pool goes on."""
    running = application.slow.delay(60)
    until(lambda: lines("slow.txt"), "it started")
    app.control.revoke(running.id, terminate=True, signal="SIGKILL")
    try:
        running.get(timeout=WAIT_S)
    except TaskRevokedError:
        assert application.add.delay(1, 1).get(timeout=WAIT_S) == 2
        return
    raise AssertionError("it was carried out")


@case
def quorum_queue_with_countdown() -> None:
    """Celery's delayed delivery: levels of queues whose deadline is a power of two."""
    start_worker("quorum", "quorum-work", CELERY_QUEUE_TYPE="quorum")
    asked = subprocess.run(
        [sys.executable, str(HERE / "quorum.py")],
        env={**os.environ, "CELERY_QUEUE_TYPE": "quorum"},
        cwd=HERE,
        timeout=2 * WAIT_S,
        capture_output=True,
        text=True,
    )
    assert asked.returncode == 0, asked.stderr[-400:]


@case
def shutdown_by_remote_control() -> None:
    app.control.broadcast("shutdown", destination=["two@conformance"])
    assert workers.pop("two").wait(WAIT_S) == 0


def run(script: Callable[[], None]) -> bool:
    try:
        script()
    except BaseException as error:  # noqa: BLE001 pool workers may end by SystemExit
        traceback.print_exc()
        said = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        print(f"not ok scenario/{script.__name__} # {said}", flush=True)
        return False
    print(f"ok scenario/{script.__name__}", flush=True)
    return True


def main() -> int:
    for file in ("slow.txt", "survives.txt", "ranks.txt", "shouts.txt"):
        (WORK / file).unlink(missing_ok=True)
    for name in ("one", "two"):
        start_worker(name, "work,topical,refused,everybody")
    try:
        until(lambda: answers("one") and answers("two"), "the workers came up")
        outcomes = [run(script) for script in cases]
    finally:
        for worker in workers.values():
            os.killpg(worker.pid, signal.SIGKILL)
    return 0 if all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
