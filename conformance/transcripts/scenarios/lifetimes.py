"""What ends by itself: messages and queues by the clock, exclusive and auto-delete queues."""

from scenarios.registry import scenario, variants
from session import Session

QUEUE_TYPES = {"classic": "classic", "quorum": "quorum"}


@variants(**QUEUE_TYPES)
def message_ttl(s: Session, kind: str) -> None:
    """An expired message is gone."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_queue_type=kind, x_message_ttl=100)
    c.put(jobs, "1", "2")
    c.until_count(jobs, 0)
    c.get(jobs)


@variants(**QUEUE_TYPES)
def message_ttl_zero(s: Session, kind: str) -> None:
    """Delivered at once or not at all."""
    jobs = s.name("jobs")
    c, consumer = s.channel(confirm=True), s.channel()
    c.declare(jobs, x_queue_type=kind, x_message_ttl=0)
    c.put(jobs, "1")
    c.get(jobs)
    consumer.consume(jobs, "t")
    c.put(jobs, "2")
    consumer.take()


@variants(**QUEUE_TYPES)
def expiration(s: Session, kind: str) -> None:
    """The message's own, shorter than the queue's; the property stays on what is delivered in time."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_queue_type=kind, x_message_ttl=60000)
    c.put(jobs, "1", expiration="50")
    c.put(jobs, "2", expiration="50000")
    c.until_count(jobs, 1)
    c.get(jobs)


@variants(**QUEUE_TYPES)
def expiration_zero(s: Session, kind: str) -> None:
    """"0"."""
    jobs = s.name("jobs")
    c, consumer = s.channel(confirm=True), s.channel()
    c.declare(jobs, x_queue_type=kind)
    c.put(jobs, "1", expiration="0")
    c.get(jobs)
    consumer.consume(jobs, "t")
    c.put(jobs, "2", expiration="0")
    consumer.take()


@variants(**QUEUE_TYPES)
def expiration_behind_another(s: Session, kind: str) -> None:
    """Only the head expires: what is behind it still counts, but is never delivered."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_queue_type=kind)
    c.put(jobs, "1")
    c.put(jobs, "2", expiration="50")
    c.put(jobs, "3")
    s.pause(0.2)
    c.count(jobs)
    c.get(jobs, no_ack=True)
    c.get(jobs, no_ack=True)


@scenario
def requeued_keeps_its_deadline(s: Session) -> None:
    """Giving a message back doesn't start its time anew."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_message_ttl=200)
    c.put(jobs, "1")
    c.get(jobs)
    s.pause(0.3)
    c.nack(1)
    c.until_count(jobs, 0)
    c.get(jobs)


@variants(**QUEUE_TYPES)
def queue_expires(s: Session, kind: str) -> None:
    """A queue that nobody uses goes; its messages are no dead letters."""
    jobs, dead = s.names("jobs", "dead")
    c, observer = s.channel(confirm=True), s.channel()
    c.declare(dead)
    c.declare(jobs, x_queue_type=kind, x_expires=200, x_dead_letter_exchange="", x_dead_letter_routing_key=dead)
    c.put(jobs, "1")
    # A quorum queue looks every few seconds.
    s.pause(1 if kind == "classic" else 8)
    observer.count(jobs)
    c.count(dead)


@scenario
def queue_with_a_consumer_stays(s: Session) -> None:
    """A consumer is a use; after it the time starts."""
    jobs = s.name("jobs")
    c, consumer = s.channel(), s.channel()
    c.declare(jobs, x_expires=200)
    consumer.consume(jobs, "t")
    s.pause(0.5)
    consumer.cancel("t")
    s.pause(0.6)
    c.count(jobs)


@scenario
def exclusive(s: Session) -> None:
    """Another connection may do nothing with it but publish."""
    jobs = s.name("jobs")
    owner, other = s.connect(), s.connect()
    mine = owner.channel()
    mine.declare(jobs, durable=False, exclusive=True)
    mine.bind(jobs, "amq.direct", "k")
    owner.channel().count(jobs)
    other.channel().count(jobs)
    other.channel().declare(jobs, durable=False, exclusive=True)
    other.channel().get(jobs)
    other.channel().consume(jobs, "t")
    other.channel().bind(jobs, "amq.direct", "l")
    other.channel().call("queue.unbind", queue=jobs, exchange="amq.direct", routing_key="k")
    other.channel().call("queue.unbind", queue=jobs, exchange="amq.direct", routing_key="l")
    other.channel().call("queue.purge", queue=jobs)
    other.channel().call("queue.delete", queue=jobs)
    other.channel(confirm=True).put(jobs, "1")
    mine.get(jobs)


@scenario
def exclusive_redeclared(s: Session) -> None:
    """The owner declares it again, durable or not, but not as shared."""
    jobs = s.name("jobs")
    c = s.channel()
    c.declare(jobs, durable=False, exclusive=True)
    c.declare(jobs, durable=True, exclusive=True)
    c.declare(jobs, durable=False)


@scenario
def exclusive_ends_with_its_connection(s: Session) -> None:
    """Gone before the close is answered."""
    jobs = s.name("jobs")
    owner, other = s.connect(), s.channel()
    owner.channel().declare(jobs, durable=False, exclusive=True)
    owner.close()
    other.count(jobs)


@scenario
def auto_delete_never_used(s: Session) -> None:
    """Stays until somebody has consumed; basic.get is not consuming."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, auto_delete=True)
    c.put(jobs, "1")
    c.get(jobs)
    c.count(jobs)


@scenario
def auto_delete_after_cancel(s: Session) -> None:
    """Gone with the last consumer's cancel."""
    jobs = s.name("jobs")
    c = s.channel()
    c.declare(jobs, auto_delete=True)
    c.consume(jobs, "a")
    c.consume(jobs, "b")
    c.cancel("a")
    c.count(jobs)
    c.cancel("b")
    c.until_gone(jobs)


@scenario
def auto_delete_after_close(s: Session) -> None:
    """Gone with the last consumer's channel."""
    jobs = s.name("jobs")
    c = s.connect()
    one, two = c.channel(), c.channel()
    one.declare(jobs, auto_delete=True)
    one.consume(jobs, "a")
    one.close()
    two.until_gone(jobs)
