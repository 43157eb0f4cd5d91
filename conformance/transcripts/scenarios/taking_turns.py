"""Which consumer, and which message, is first: priorities and the single active consumer."""

from scenarios.registry import scenario, variants
from session import Session

QUEUE_TYPES = {"classic": "classic", "quorum": "quorum"}


@variants(**QUEUE_TYPES)
def consumer_priority(s: Session, kind: str) -> None:
    """The higher gets all until it is full."""
    jobs = s.name("jobs")
    low, high, producer = s.channel(), s.channel(), s.channel(confirm=True)
    low.declare(jobs, x_queue_type=kind)
    low.consume(jobs, "low", x_priority=-1)
    high.qos(2)
    high.consume(jobs, "high", x_priority=10)
    producer.put(jobs, "1", "2", "3")
    high.take(2)
    low.take()
    high.ack(1)
    # A quorum queue learns of the ack by another way than of the message.
    s.pause(0.2)
    producer.put(jobs, "4")
    high.take()


@variants(**QUEUE_TYPES)
def single_active(s: Session, kind: str) -> None:
    """One gets everything; when it is cancelled, the next does."""
    jobs = s.name("jobs")
    one, two, producer = s.channel(), s.channel(), s.channel(confirm=True)
    one.declare(jobs, x_queue_type=kind, x_single_active_consumer=True)
    one.consume(jobs, "a")
    two.consume(jobs, "b")
    producer.put(jobs, "1", "2")
    one.take(2)
    one.cancel("a")
    producer.put(jobs, "3")
    two.take()


@variants(**QUEUE_TYPES)
def single_active_channel_closed(s: Session, kind: str) -> None:
    """What the first held goes to the next, in order."""
    jobs = s.name("jobs")
    one, two, producer = s.channel(), s.channel(), s.channel(confirm=True)
    one.declare(jobs, x_queue_type=kind, x_single_active_consumer=True)
    one.consume(jobs, "a")
    two.consume(jobs, "b")
    producer.put(jobs, "1", "2", "3")
    one.take(3)
    one.ack(1)
    one.close()
    two.take(2)


@variants(**QUEUE_TYPES)
def single_active_by_priority(s: Session, kind: str) -> None:
    """A newcomer of higher priority: a quorum queue switches to it when the old one is done."""
    jobs = s.name("jobs")
    one, two, producer = s.channel(), s.channel(), s.channel(confirm=True)
    one.declare(jobs, x_queue_type=kind, x_single_active_consumer=True)
    one.consume(jobs, "a")
    producer.put(jobs, "1")
    one.take()
    two.consume(jobs, "b", x_priority=5)
    one.ack(1)
    producer.until_count(jobs, 0)
    producer.put(jobs, "2")
    (two if kind == "quorum" else one).take()


@variants(**QUEUE_TYPES)
def single_active_exclusive(s: Session, kind: str) -> None:
    """exclusive doesn't go with it."""
    jobs = s.name("jobs")
    c = s.channel()
    c.declare(jobs, x_queue_type=kind, x_single_active_consumer=True)
    c.consume(jobs, "a", exclusive=True)


@variants(**QUEUE_TYPES)
def single_active_get(s: Session, kind: str) -> None:
    """basic.get beside a single active consumer."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_queue_type=kind, x_single_active_consumer=True)
    c.put(jobs, "1")
    c.get(jobs)


@variants(**QUEUE_TYPES)
def single_active_prefetch(s: Session, kind: str) -> None:
    """The waiting one gets nothing while the active one is full."""
    jobs = s.name("jobs")
    one, two, producer = s.channel(), s.channel(), s.channel(confirm=True)
    one.declare(jobs, x_queue_type=kind, x_single_active_consumer=True)
    one.qos(1)
    one.consume(jobs, "a")
    two.consume(jobs, "b")
    producer.put(jobs, "1", "2")
    one.take()
    producer.until_count(jobs, 1)
    one.ack(1)
    one.take()


@scenario
def message_priority(s: Session) -> None:
    """x-max-priority: the highest first, in order within one; too high is the highest, none is 0."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_max_priority=5)
    for priority in (1, 9, 5, None, 1, 0, 3):
        c.put(jobs, str(priority), **({} if priority is None else {"priority": priority}))
    for _ in range(7):
        c.get(jobs, no_ack=True)


@scenario
def message_priority_unasked(s: Session) -> None:
    """A classic queue without x-max-priority doesn't look."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs)
    for priority in (1, 9, 5):
        c.put(jobs, str(priority), priority=priority)
    for _ in range(3):
        c.get(jobs, no_ack=True)


@scenario
def message_priority_quorum(s: Session) -> None:
    """32 levels, always; none is 4."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_queue_type="quorum")
    for priority in (200, 9, 5, None, 4, 1, 0, 31, 32):
        c.put(jobs, str(priority), **({} if priority is None else {"priority": priority}))
    for _ in range(9):
        c.get(jobs, no_ack=True)


@variants(**QUEUE_TYPES)
def message_priority_requeued(s: Session, kind: str) -> None:
    """Given back: classic keeps the level, quorum serves it before all others."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_queue_type=kind, **({"x_max_priority": 9} if kind == "classic" else {}))
    c.put(jobs, "low", priority=1)
    c.get(jobs)
    c.put(jobs, "high", priority=9)
    c.nack(1)
    c.until_count(jobs, 2)
    c.get(jobs)
    c.get(jobs)
