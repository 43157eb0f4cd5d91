"""basic.consume, its errors and its end; prefetch; basic.get."""

from scenarios.registry import scenario, variants
from session import Session

QUEUE_TYPES = {"classic": "classic", "quorum": "quorum"}


@scenario
def missing_queue(s: Session) -> None:
    """Neither consumed nor got from."""
    c = s.connect()
    c.channel().consume(s.name("missing"), "t")
    c.channel().get(s.name("missing"))


@scenario
def tag_in_use(s: Session) -> None:
    """A tag again on the same channel ends the connection."""
    c = s.channel()
    c.declare(s.name("jobs"))
    c.consume(s.name("jobs"), "t")
    c.consume(s.name("jobs"), "t")


@scenario
def tag_on_another_channel(s: Session) -> None:
    """A tag belongs to its channel."""
    jobs = s.name("jobs")
    c = s.connect()
    one, two = c.channel(), c.channel()
    one.declare(jobs)
    one.consume(jobs, "t")
    two.consume(jobs, "t")
    one.put(jobs, "1", "2")
    one.take()
    two.take()


@scenario
def tag_from_the_server(s: Session) -> None:
    """The empty tag asks for one."""
    c = s.channel()
    c.declare(s.name("jobs"))
    c.consume(s.name("jobs"), "")
    c.put(s.name("jobs"), "1")
    c.take()


@variants(
    priority_text={"x_priority": "high"},
    priority_bool={"x_priority": True},
    priority_negative={"x_priority": -5},
    unknown={"x_color": "red"},
    no_local={"no_local": True},
    stream_offset={"x_stream_offset": "first"},
    timeout={"x_consumer_timeout": 1000},
    timeout_text={"x_consumer_timeout": "1000"},
)
def arguments_classic(s: Session, arguments: dict) -> None:
    """A consumer's arguments on a classic queue."""
    c = s.channel()
    c.declare(s.name("jobs"))
    c.consume(s.name("jobs"), "t", **arguments)


@variants(
    priority_text={"x_priority": "high"},
    unknown={"x_color": "red"},
    stream_offset={"x_stream_offset": "first"},
    timeout={"x_consumer_timeout": 60000},
    timeout_text={"x_consumer_timeout": "1000"},
    timeout_negative={"x_consumer_timeout": -1},
)
def arguments_quorum(s: Session, arguments: dict) -> None:
    """A consumer's arguments on a quorum queue."""
    c = s.channel()
    c.declare(s.name("jobs"), x_queue_type="quorum")
    c.consume(s.name("jobs"), "t", **arguments)


@variants(**QUEUE_TYPES)
def exclusive_second(s: Session, kind: str) -> None:
    """Somebody consumes exclusively already."""
    jobs = s.name("jobs")
    c = s.connect()
    one = c.channel()
    one.declare(jobs, x_queue_type=kind)
    one.consume(jobs, "only", exclusive=True)
    c.channel().consume(jobs, "other")


@variants(**QUEUE_TYPES)
def exclusive_too_late(s: Session, kind: str) -> None:
    """Somebody consumes already."""
    jobs = s.name("jobs")
    c = s.connect()
    one = c.channel()
    one.declare(jobs, x_queue_type=kind)
    one.consume(jobs, "first")
    c.channel().consume(jobs, "only", exclusive=True)


@scenario
def exclusive_and_get(s: Session) -> None:
    """basic.get works beside an exclusive consumer."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    other = s.channel()
    c.declare(jobs)
    other.qos(1)
    other.consume(jobs, "only", exclusive=True)
    c.put(jobs, "1", "2")
    other.take()
    c.get(jobs)


@scenario
def exclusive_after_cancel(s: Session) -> None:
    """Free again once the exclusive consumer is cancelled."""
    jobs = s.name("jobs")
    c = s.channel()
    c.declare(jobs)
    c.consume(jobs, "only", exclusive=True)
    c.cancel("only")
    c.consume(jobs, "again", exclusive=True)


@scenario
def cancel_unknown(s: Session) -> None:
    """Cancelling what isn't there is no error."""
    s.channel().cancel("never")


@scenario
def cancel_keeps_unacked(s: Session) -> None:
    """What a cancelled consumer holds stays with the channel; nothing more comes."""
    jobs = s.name("jobs")
    c, producer = s.channel(), s.channel(confirm=True)
    c.declare(jobs)
    c.consume(jobs, "t")
    producer.put(jobs, "1")
    c.take()
    c.cancel("t")
    producer.put(jobs, "2")
    producer.count(jobs)
    c.ack(1)
    producer.get(jobs, no_ack=True)
    producer.get(jobs, no_ack=True)


@scenario
def cancel_ok_from_the_client(s: Session) -> None:
    """A client may answer the server's cancel."""
    jobs = s.name("jobs")
    c, owner = s.channel(), s.channel()
    c.declare(jobs)
    c.consume(jobs, "t")
    owner.call("queue.delete", queue=jobs)
    c.take()
    c.send("basic.cancel-ok", consumer_tag="t")
    c.qos(1)


@variants(**QUEUE_TYPES)
def prefetch(s: Session, kind: str) -> None:
    """Not more than the prefetch, then one for one."""
    jobs = s.name("jobs")
    c, producer = s.channel(), s.channel(confirm=True)
    c.declare(jobs, x_queue_type=kind)
    producer.put(jobs, *"12345")
    c.qos(2)
    c.consume(jobs, "t")
    c.take(2)
    producer.until_count(jobs, 3)
    c.ack(1)
    c.take()
    c.ack(3, multiple=True)
    c.take(2)


@scenario
def prefetch_for_later_consumers(s: Session) -> None:
    """basic.qos holds for the consumers that come after it."""
    one, two = s.names("one", "two")
    c, producer = s.channel(), s.channel(confirm=True)
    for queue in (one, two):
        c.declare(queue)
        producer.put(queue, "1", "2", "3")
    c.qos(1)
    c.consume(one, "a")
    c.take()
    c.qos(2)
    c.consume(two, "b")
    c.take(2)


@scenario
def prefetch_global(s: Session) -> None:
    """global=true."""
    jobs = s.name("jobs")
    c, producer = s.channel(), s.channel(confirm=True)
    c.declare(jobs)
    producer.put(jobs, "1", "2", "3")
    c.call("basic.qos", prefetch_count=2, **{"global": True})
    c.consume(jobs, "a")
    c.take(2)


@scenario
def prefetch_by_size(s: Session) -> None:
    """Octets can't be limited."""
    s.channel().call("basic.qos", prefetch_size=10)


@scenario
def prefetch_and_no_ack(s: Session) -> None:
    """A consumer that never acks is not held back."""
    jobs = s.name("jobs")
    c, producer = s.channel(), s.channel(confirm=True)
    c.declare(jobs)
    producer.put(jobs, "1", "2", "3")
    c.qos(1)
    c.consume(jobs, "t", no_ack=True)
    c.take(3)
    producer.count(jobs)


@scenario
def round_robin(s: Session) -> None:
    """Consumers take turns."""
    jobs = s.name("jobs")
    one, two, producer = s.channel(), s.channel(), s.channel(confirm=True)
    one.declare(jobs)
    one.consume(jobs, "a")
    two.consume(jobs, "b")
    producer.put(jobs, "1", "2", "3", "4")
    one.take(2)
    two.take(2)


@scenario
def recover(s: Session) -> None:
    """All unacked messages come again."""
    jobs = s.name("jobs")
    c, producer = s.channel(), s.channel(confirm=True)
    c.declare(jobs)
    producer.put(jobs, "1", "2")
    c.consume(jobs, "t")
    c.take(2)
    c.send("basic.recover", requeue=True)
    c.take(3)


@scenario
def recover_without_requeue(s: Session) -> None:
    """Not implemented."""
    s.channel().call("basic.recover")


@scenario
def flow_off(s: Session) -> None:
    """A client can't stop the flow of a channel."""
    c = s.channel()
    c.call("channel.flow", active=True)
    c.call("channel.flow", active=False)


@variants(**QUEUE_TYPES)
def get(s: Session, kind: str) -> None:
    """One at a time, with what remains; empty in the end."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_queue_type=kind)
    c.get(jobs)
    c.put(jobs, "1", "2", delivery_mode=2)
    c.get(jobs)
    c.get(jobs, no_ack=True)
    c.get(jobs)
    c.ack(1)


@scenario
def consumers_are_counted(s: Session) -> None:
    """queue.declare-ok tells how many there are."""
    jobs = s.name("jobs")
    one, two = s.channel(), s.channel()
    one.declare(jobs)
    one.consume(jobs, "a")
    two.consume(jobs, "b")
    two.consume(jobs, "c")
    two.count(jobs)
    two.cancel("c")
    two.count(jobs)
