"""The story of one run: the shop opens, analytics falls behind, the books are closed.

Prints the story and the final account, and `ok` or `not ok` for each thing that
must be true at the end. Exits 1 if one of them is not.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pika.exceptions import AMQPError

import account
import topology
from account import Account
from find_dead_letter import dead_letters, deaths
from orders import order, sound
from processes import Broker, Service
from workbench import Workbench

HERE = Path(__file__).resolve().parent
WORK = Path(os.environ["WORK"])
ORDERS = int(os.environ["ORDERS"])

# A run that gets no further for so long has failed.
PATIENCE_SECONDS = 30


class Run:
    """One run of the shop: its folder, its services, and what was found true or not."""

    def __init__(self, title: str, prefix: str, folder: Path) -> None:
        self.prefix = prefix
        self.folder = folder
        self.orders = [order(number) for number in range(1, ORDERS + 1)]
        self.services: dict[str, Service] = {}
        self.passed = True
        print(f"\n{title}")

    def tell(self, event: str) -> None:
        print(f"  {datetime.now():%H:%M:%S.%f}"[:-3], event, flush=True)

    def check(self, case: str, holds: bool, otherwise: str = "") -> None:
        line = f"ok {self.prefix}{case}" if holds else f"not ok {self.prefix}{case} # {otherwise}"
        print(line, flush=True)
        self.passed = self.passed and holds

    def start(self, *names: str) -> None:
        for name in names:
            self.services[name] = Service(name, self.folder)
        self.tell(f"started: {', '.join(names)}")

    def kill(self, name: str) -> None:
        self.services.pop(name).kill()
        self.tell(f"killed: {name}")

    def kill_all(self) -> None:
        while self.services:
            self.services.popitem()[1].kill()

    def confirmed(self) -> int:
        """How many orders have been confirmed so far."""
        sent = account.read_journal(self.folder, "order-service")
        return sum(entry["outcome"] == "confirmed" for entry in sent)

    def books(self, letters: list = ()) -> Account:
        return account.draw_up(self.orders, self.folder, letters)

    def wait(self, what: str, done: Callable[[], bool], pause: float = 0.1) -> None:
        """Waits until `done`, for as long as the journals keep growing."""
        size, patience_ends = -1, 0.0
        while not done():
            now_size = sum(path.stat().st_size for path in self.folder.glob("*.jsonl"))
            if now_size != size:
                size, patience_ends = now_size, time.monotonic() + PATIENCE_SECONDS
            if time.monotonic() > patience_ends:
                self.tell(f"gave up waiting: {what}")
                return
            time.sleep(pause)


def depths() -> dict[str, int]:
    with topology.connect() as connection:
        return topology.depths(connection.channel())


def play(run: Run, broker: Broker | None) -> None:
    """The run itself. With a broker of its own, that is killed half-way."""
    with topology.connect() as connection:
        topology.remove(connection.channel())
        topology.declare(connection.channel())
    run.start("payment", "inventory", "notification", "analytics")
    run.start("order-service")
    run.wait("a quarter confirmed", lambda: run.confirmed() >= ORDERS // 4, pause=0.005)
    run.kill("analytics")
    if broker:
        run.wait("half confirmed", lambda: run.confirmed() >= ORDERS // 2, pause=0.005)
        break_down(run, broker)
    run.wait("all confirmed", lambda: not run.services["order-service"].is_running())
    backlog = depths()["shop.analytics"]
    run.tell(f"the order service is done; analytics has missed {backlog} events")
    run.start("analytics")
    run.wait("all dealt with", lambda: all(line.settled() for line in run.books().lines))
    run.wait("queues empty", lambda: not any(working_depths().values()))
    gone = [name for name, service in run.services.items() if not service.is_running()]
    run.kill_all()
    run.check("every-service-kept-running", gone == ["order-service"], f"ended: {gone}")
    run.check("late-consumer-had-a-backlog", backlog > 0, "there was nothing to catch up with")


def break_down(run: Run, broker: Broker) -> None:
    """Kills the broker without warning and starts it again on what it left on disk."""
    broker.kill()
    confirmed = run.confirmed()
    run.tell(f"the broker was killed with -9; {confirmed} orders were confirmed")
    run.check("broker-killed-half-way", confirmed < ORDERS, "all orders were confirmed by then")
    time.sleep(1)
    broker.start()
    run.tell("the broker is back, on the same data directory")


def working_depths() -> dict[str, int]:
    """The depths of the services' own queues."""
    return {queue: count for queue, count in depths().items() if queue in topology.BINDINGS}


def audit(run: Run) -> None:
    """Draws up the account from what is left when all services are gone."""
    with topology.connect() as connection:
        letters = dead_letters(connection)
    books = run.books(letters)
    unconfirmed = books.unconfirmed()
    run.check("every-order-confirmed", not unconfirmed, f"{len(unconfirmed)} are not")
    for line in books.lines:
        kind = "order" if line.kind == "order.placed" else "payment"
        run.check(
            f"{line.service}-accounts-for-every-{kind}",
            line.balances(),
            f"{len(line.missing())} missing, {len(line.doubled())} twice,"
            f" {len(line.misjudged())} wrong",
        )
    caught_up = all(line.settled() for line in books.lines if line.service == "analytics")
    run.check("late-consumer-caught-up", caught_up, "it did not")
    check_dead_letters(run, letters)
    left = {queue: count for queue, count in working_depths().items() if count}
    run.check("nothing-left-in-queues", not left, f"left: {left}")
    print(f"\n{account.table(books)}\n")
    run.check("the-account-balances", books.balances(), "see the table")


def check_dead_letters(run: Run, letters: list) -> None:
    """Every dead letter says why it is one, and can be found without being lost."""
    unexplained = [p.message_id for p, _ in letters if not explains_itself(p)]
    run.check(
        "poison-dead-lettered-with-x-death",
        bool(letters) and not unexplained,
        f"{len(letters)} dead letters, x-death wrong or missing: {unexplained[:3]}",
    )
    poison = next(o.order_id for o in run.orders if o.spoil == "quantity below one")
    search = subprocess.run(
        [HERE / "find-dead-letter", poison], capture_output=True, text=True, check=False
    )
    run.tell(f"find-dead-letter {poison}")
    print(search.stdout + search.stderr, end="")
    found = search.returncode == 0 and "shop.inventory" in search.stdout
    run.check("found-by-correlation-id", found, "find-dead-letter did not find it")
    kept = depths()[topology.DEAD_LETTERS]
    run.check(
        "dead-letters-kept-by-the-search",
        kept == len(letters),
        f"{kept} of {len(letters)} are left",
    )


def mend(run: Run, bench: Workbench) -> None:
    """What was wrong is put right: each dead letter is found, understood, sent back and done."""
    dead = bench.summary()
    run.tell(f"the workbench: {dead['messages']} dead letters in {len(dead['first_queues'])} queues")
    run.start(*account.SERVICES)
    misunderstood, unsent = [], []
    for number, spoiled in enumerate(run.orders, 1):
        if not spoiled.spoil:
            continue
        letters = bench.find(spoiled.order_id)
        queues = {f"shop.{service}" for service in account.SERVICES if spoiled.refused_by(service)}
        if {letter["first_death_queue"] for letter in letters} != queues:
            misunderstood.append(spoiled.order_id)
        for letter in letters:
            if letter["told"] != f"rejected by a consumer of '{letter['first_death_queue']}'":
                misunderstood.append(spoiled.order_id)
            if not bench.replay(letter["id"], sound(number)):
                unsent.append(spoiled.order_id)
    run.check("each-found-and-understood", not misunderstood, f"wrong: {misunderstood[:3]}")
    run.check("each-put-right-and-sent-back", not unsent, f"not sent: {unsent[:3]}")
    run.wait("all put right", lambda: not any(undone(run).values()))
    run.kill_all()
    missing = undone(run)
    run.check("every-order-done-by-every-service", not any(missing.values()), f"{missing}")
    twice = [x for line in run.books().lines for x, times in line.handled.items() if times > 1]
    run.check("no-order-done-twice", not twice, f"twice: {twice[:3]}")
    left = depths()[topology.DEAD_LETTERS]
    run.check("no-dead-letter-left", left == 0, f"{left} are left")


def undone(run: Run) -> dict[str, int]:
    """How many of the orders placed each service hasn't done."""
    placed = [line for line in run.books().lines if line.kind == "order.placed"]
    return {line.service: len(line.expected - line.handled.keys()) for line in placed}


def explains_itself(properties) -> bool:
    """Whether the headers are those of an order rejected once by one of our services."""
    if len(deaths(properties)) != 1:
        return False
    death = deaths(properties)[0]
    age = datetime.now(UTC).replace(tzinfo=None) - death["time"]
    first = [properties.headers.get(f"x-first-death-{x}") for x in ("queue", "reason", "exchange")]
    return (
        death["queue"] in topology.BINDINGS
        and (death["reason"], death["count"]) == ("rejected", 1)
        and (death["exchange"], death["routing-keys"]) == ("shop", ["order.placed"])
        and timedelta(seconds=-2) < age < timedelta(hours=1)
        and first == [death["queue"], "rejected", "shop"]
    )


def fresh_folder(name: str) -> Path:
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def steady_run() -> bool:
    run = Run(f"{ORDERS} orders; analytics is down for a while", "", fresh_folder("steady"))
    return play_and_audit(run, None)


def crash_run(program: str) -> bool:
    folder = fresh_folder("crash")
    run = Run(f"{ORDERS} orders; the broker is killed half-way", "crash-", folder)
    broker = Broker(program, folder)
    os.environ["AMQP_URL"] = f"amqp://guest:guest@{broker.address}/%2f"
    return play_and_audit(run, broker)


def play_and_audit(run: Run, broker: Broker | None) -> bool:
    """A run from its beginning to its end; whether all was as it must be."""
    try:
        if broker:
            broker.start()
        play(run, broker)
        audit(run)
        if broker:
            mend(run, Workbench(broker.http))
            run.check("broker-stops-cleanly", broker.stops_cleanly(), "not in time, or not with 0")
    except (AMQPError, RuntimeError) as error:
        run.check("run-came-to-its-end", False, repr(error))
    finally:
        run.kill_all()
        if broker:
            broker.kill()
    return run.passed


def main() -> int:
    program = os.environ.get("HARRIER_BIN")
    only_crash = sys.argv[1:] == ["--crash"]
    if ORDERS < 200:
        sys.exit(f"ORDERS={ORDERS}: at least 200 are needed to spoil one in every way")
    passed = only_crash or steady_run()
    if program:
        passed = crash_run(program) and passed
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
