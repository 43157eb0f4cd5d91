"""Acks and their errors, and what requeued messages look like when they come again."""

from scenarios.registry import scenario, variants
from session import Session

QUEUE_TYPES = {"classic": "classic", "quorum": "quorum"}


@variants(
    ack={"name": "basic.ack", "delivery_tag": 77},
    nack={"name": "basic.nack", "delivery_tag": 77},
    reject={"name": "basic.reject", "delivery_tag": 77},
    zero={"name": "basic.ack", "delivery_tag": 0},
    zero_nack={"name": "basic.nack", "delivery_tag": 0},
    multiple={"name": "basic.ack", "delivery_tag": 77, "multiple": True},
    zero_multiple={"name": "basic.ack", "delivery_tag": 0, "multiple": True},
)
def unknown_tag(s: Session, method: dict) -> None:
    """A tag that was never given out."""
    c = s.channel()
    c.send(**method)
    c.qos(1)


@scenario
def twice(s: Session) -> None:
    """A tag is settled once."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs)
    c.put(jobs, "1")
    c.get(jobs)
    c.ack(1)
    c.ack(1)
    c.take()


@scenario
def not_asked_for(s: Session) -> None:
    """What was delivered with no_ack can't be acked."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs)
    c.put(jobs, "1")
    c.get(jobs, no_ack=True)
    c.ack(1)
    c.take()


@scenario
def another_channel(s: Session) -> None:
    """A tag belongs to its channel."""
    jobs = s.name("jobs")
    c = s.connect()
    one, two = c.channel(confirm=True), c.channel()
    one.declare(jobs)
    one.put(jobs, "1")
    one.get(jobs)
    two.ack(1)
    two.take()


@scenario
def multiple_of_a_settled_one(s: Session) -> None:
    """With multiple, the tag itself has to be outstanding."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs)
    c.put(jobs, "1", "2")
    c.get(jobs)
    c.get(jobs)
    c.ack(2)
    c.ack(2, multiple=True)
    c.take()


@scenario
def after_an_error_all_come_back(s: Session) -> None:
    """A channel that is closed for an error gives its messages back."""
    jobs = s.name("jobs")
    c = s.connect()
    one, two = c.channel(confirm=True), c.channel()
    one.declare(jobs)
    one.put(jobs, "1", "2")
    one.get(jobs)
    one.get(jobs)
    one.ack(77)
    one.take()
    two.until_count(jobs, 2)
    two.get(jobs)
    two.get(jobs)


@variants(**QUEUE_TYPES)
def nack_comes_again(s: Session, kind: str) -> None:
    """What headers a quorum queue adds, from nack to nack."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_queue_type=kind)
    c.put(jobs, "1", headers={"a": 1})
    for tag in (1, 2, 3):
        c.get(jobs)
        c.nack(tag)
        c.until_count(jobs, 1)
    c.get(jobs)


@variants(**QUEUE_TYPES)
def reject_comes_again(s: Session, kind: str) -> None:
    """The same from reject to reject."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_queue_type=kind)
    c.put(jobs, "1")
    for tag in (1, 2, 3):
        c.get(jobs)
        c.reject(tag)
        c.until_count(jobs, 1)
    c.get(jobs)


@variants(**QUEUE_TYPES)
def channel_closed(s: Session, kind: str) -> None:
    """The same when the channel is closed over it."""
    jobs = s.name("jobs")
    c = s.connect()
    one, two = c.channel(confirm=True), c.channel()
    one.declare(jobs, x_queue_type=kind)
    one.put(jobs, "1", "2", "3")
    for _ in range(3):
        one.get(jobs)
    one.close()
    two.until_count(jobs, 3)
    for _ in range(3):
        two.get(jobs)


@variants(**QUEUE_TYPES)
def connection_lost(s: Session, kind: str) -> None:
    """The same when the socket is gone."""
    jobs = s.name("jobs")
    gone, c = s.connect(), s.channel()
    one = gone.channel(confirm=True)
    one.declare(jobs, x_queue_type=kind)
    one.put(jobs, "1", "2")
    one.get(jobs)
    one.get(jobs)
    gone.hang_up()
    c.until_count(jobs, 2)
    c.get(jobs)
    c.get(jobs)


@variants(**QUEUE_TYPES)
def recovered(s: Session, kind: str) -> None:
    """The same after basic.recover."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_queue_type=kind)
    c.put(jobs, "1")
    c.get(jobs)
    c.call("basic.recover", requeue=True)
    c.until_count(jobs, 1)
    c.get(jobs)


@variants(**QUEUE_TYPES)
def order_of_nacks(s: Session, kind: str) -> None:
    """Classic: back to their places. Quorum: before all others, in the order of return."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_queue_type=kind)
    c.put(jobs, *"12345")
    for _ in range(4):
        c.get(jobs)
    c.nack(3)
    c.nack(1)
    c.nack(4)
    c.until_count(jobs, 4)
    for _ in range(4):
        c.get(jobs)


@variants(**QUEUE_TYPES)
def order_of_many_nacked(s: Session, kind: str) -> None:
    """multiple, with messages of a second consumer between them."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_queue_type=kind)
    c.put(jobs, *"1234")
    for _ in range(3):
        c.get(jobs)
    c.nack(3, multiple=True)
    c.until_count(jobs, 4)
    for _ in range(4):
        c.get(jobs)


@variants(**QUEUE_TYPES)
def nack_to_the_only_consumer(s: Session, kind: str) -> None:
    """A consumer that gives a message back gets it again."""
    jobs = s.name("jobs")
    c, producer = s.channel(), s.channel(confirm=True)
    c.declare(jobs, x_queue_type=kind)
    c.qos(1)
    c.consume(jobs, "t")
    producer.put(jobs, "1", "2")
    c.take()
    c.nack(1)
    c.take()
    c.ack(2)
    c.take()


@variants(
    two={"x_delivery_limit": 2},
    zero={"x_delivery_limit": 0},
)
def delivery_limit(s: Session, arguments: dict) -> None:
    """So many failures, then the message is dropped."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_queue_type="quorum", **arguments)
    c.put(jobs, "1")
    for tag in range(1, arguments["x_delivery_limit"] + 2):
        c.until_count(jobs, 1)
        c.get(jobs)
        c.reject(tag)
    c.until_count(jobs, 0)
    c.get(jobs)


@scenario
def delivery_limit_does_not_count_nacks(s: Session) -> None:
    """nack is no failure."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_queue_type="quorum", x_delivery_limit=1)
    c.put(jobs, "1")
    for tag in range(1, 5):
        c.until_count(jobs, 1)
        c.get(jobs)
        c.nack(tag)
    c.until_count(jobs, 1)
    c.get(jobs)


@scenario
def delivery_limit_by_default(s: Session) -> None:
    """Twenty-one times, then no more."""
    jobs = s.name("jobs")
    c, producer = s.channel(), s.channel(confirm=True)
    c.declare(jobs, x_queue_type="quorum")
    producer.put(jobs, "1")
    c.consume(jobs, "t")
    for tag in range(1, 22):
        c.take()
        c.reject(tag)
    producer.until_count(jobs, 0)


@scenario
def delivery_limit_off(s: Session) -> None:
    """-1 sets no limit."""
    jobs = s.name("jobs")
    c, producer = s.channel(), s.channel(confirm=True)
    c.declare(jobs, x_queue_type="quorum", x_delivery_limit=-1)
    producer.put(jobs, "1")
    c.consume(jobs, "t")
    for tag in range(1, 24):
        c.take()
        c.reject(tag)
    c.take()


@scenario
def delayed_retry(s: Session) -> None:
    """A failed message waits before it comes again."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_queue_type="quorum", x_delayed_retry_type="all", x_delayed_retry_min=300)
    c.put(jobs, "1", "2")
    c.get(jobs)
    c.reject(1)
    c.get(jobs)
    c.get(jobs)
    c.until_count(jobs, 1)
    c.get(jobs)


@scenario
def delayed_retry_of_failed(s: Session) -> None:
    """type `failed`: a nack comes again at once."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_queue_type="quorum", x_delayed_retry_type="failed", x_delayed_retry_min=60000)
    c.put(jobs, "1", "2")
    c.get(jobs)
    c.nack(1)
    c.until_count(jobs, 2)
    c.get(jobs)
    c.reject(2)
    c.get(jobs)
    c.get(jobs)
