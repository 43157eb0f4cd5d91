"""x-max-length and x-max-length-bytes with each overflow."""

from scenarios.registry import scenario, variants
from session import Session

QUEUE_TYPES = {"classic": "classic", "quorum": "quorum"}


@variants(**QUEUE_TYPES)
def drop_head(s: Session, kind: str) -> None:
    """The oldest messages go, to the dead letters, the newest stay."""
    jobs, dead = s.names("jobs", "dead")
    c = s.channel(confirm=True)
    c.declare(dead)
    c.declare(jobs, x_queue_type=kind, x_max_length=2, x_dead_letter_exchange="", x_dead_letter_routing_key=dead)
    c.put(jobs, "1", "2", "3", "4")
    c.until_count(dead, 2)
    for queue in (dead, dead, jobs, jobs, jobs):
        c.get(queue, no_ack=True)


@variants(**QUEUE_TYPES)
def drop_head_by_bytes(s: Session, kind: str) -> None:
    """The octets of the bodies are what counts."""
    jobs, dead = s.names("jobs", "dead")
    c = s.channel(confirm=True)
    c.declare(dead)
    c.declare(jobs, x_queue_type=kind, x_max_length_bytes=300, x_dead_letter_exchange="", x_dead_letter_routing_key=dead)
    c.put(jobs, "1" * 120, "2" * 120, "3" * 120, "4" * 20)
    c.until_count(dead, 1)
    for queue in (dead, jobs, jobs, jobs):
        c.get(queue, no_ack=True)


@scenario
def drop_head_one_too_large(s: Session) -> None:
    """A message larger than the limit pushes out everything and itself."""
    jobs, dead = s.names("jobs", "dead")
    c = s.channel(confirm=True)
    c.declare(dead)
    c.declare(jobs, x_max_length_bytes=100, x_dead_letter_exchange="", x_dead_letter_routing_key=dead)
    c.put(jobs, "1", "2" * 120)
    c.until_count(dead, 2)
    c.get(dead, no_ack=True)
    c.get(dead, no_ack=True)
    c.get(jobs)


@variants(**QUEUE_TYPES)
def unacked_do_not_count(s: Session, kind: str) -> None:
    """Messages with a consumer are outside of the limit until they come back."""
    jobs, dead = s.names("jobs", "dead")
    c = s.channel(confirm=True)
    c.declare(dead)
    c.declare(jobs, x_queue_type=kind, x_max_length=2, x_dead_letter_exchange="", x_dead_letter_routing_key=dead)
    c.put(jobs, "1", "2")
    c.get(jobs)
    c.get(jobs)
    c.put(jobs, "3", "4")
    c.nack(2, multiple=True)
    c.until_count(dead, 2)
    for queue in (dead, dead, jobs, jobs):
        c.get(queue, no_ack=True)


@variants(**QUEUE_TYPES)
def max_length_zero(s: Session, kind: str) -> None:
    """Nothing is kept, but a waiting consumer gets its message."""
    (jobs,) = s.names("jobs")
    c, consumer = s.channel(confirm=True), s.channel()
    c.declare(jobs, x_queue_type=kind, x_max_length=0)
    c.put(jobs, "1")
    c.get(jobs)
    consumer.consume(jobs, "worker")
    c.put(jobs, "2")
    consumer.take()


@scenario
def reject_publish(s: Session) -> None:
    """A full classic queue refuses exactly; a message taken makes room."""
    jobs, dead = s.names("jobs", "dead")
    c = s.channel(confirm=True)
    c.declare(dead)
    c.declare(
        jobs, x_max_length=2, x_overflow="reject-publish", x_dead_letter_exchange="", x_dead_letter_routing_key=dead
    )
    c.put(jobs, "1", "2", "3")
    c.get(jobs, no_ack=True)
    c.put(jobs, "4", "5")
    c.count(jobs)
    c.count(dead)


@scenario
def reject_publish_dlx(s: Session) -> None:
    """What a full classic queue refuses becomes a dead letter, and is refused all the same."""
    jobs, dead = s.names("jobs", "dead")
    c = s.channel(confirm=True)
    c.declare(dead)
    c.declare(
        jobs, x_max_length=1, x_overflow="reject-publish-dlx", x_dead_letter_exchange="", x_dead_letter_routing_key=dead
    )
    c.put(jobs, "1", "2")
    c.until_count(dead, 1)
    c.get(dead)
    c.get(jobs)


@scenario
def reject_publish_by_bytes(s: Session) -> None:
    """The message that reaches past the limit is refused."""
    (jobs,) = s.names("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_max_length_bytes=100, x_overflow="reject-publish")
    c.put(jobs, "1" * 60, "2" * 60, "3" * 60, "4")
    c.count(jobs)


@scenario
def reject_publish_unconfirmed(s: Session) -> None:
    """Without confirms a refused message is dropped in silence."""
    (jobs,) = s.names("jobs")
    c = s.channel()
    c.declare(jobs, x_max_length=1, x_overflow="reject-publish")
    c.put(jobs, "1", "2")
    c.until_count(jobs, 1)
    c.get(jobs)


@scenario
def reject_publish_mandatory(s: Session) -> None:
    """Refused is not unroutable: nothing is returned."""
    (jobs,) = s.names("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_max_length=0, x_overflow="reject-publish")
    c.publish("", jobs, "1", mandatory=True)


@scenario
def reject_publish_by_one_of_two(s: Session) -> None:
    """One queue that refuses makes a nack, though the other keeps the message."""
    full, roomy = s.names("full", "roomy")
    c = s.channel(confirm=True)
    c.exchange(s.name("both"), "fanout")
    c.declare(full, x_max_length=1, x_overflow="reject-publish")
    c.declare(roomy)
    c.bind(full, s.name("both"))
    c.bind(roomy, s.name("both"))
    c.publish(s.name("both"), "", "1")
    c.publish(s.name("both"), "", "2")
    c.count(full)
    c.count(roomy)


@scenario
def reject_publish_quorum(s: Session) -> None:
    """A quorum queue notices one message late, and opens again at four fifths."""
    (jobs,) = s.names("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_queue_type="quorum", x_max_length=10, x_overflow="reject-publish")
    c.put(jobs, *"123456789abcdef")
    c.count(jobs)
    for _ in range(2):
        c.get(jobs, no_ack=True)
    c.put(jobs, "x")
    c.get(jobs, no_ack=True)
    c.put(jobs, "y")


@scenario
def reject_publish_quorum_was_full(s: Session) -> None:
    """Full once is full until four fifths, also when nobody published in between."""
    (jobs,) = s.names("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_queue_type="quorum", x_max_length=1, x_overflow="reject-publish")
    c.put(jobs, "1", "2")
    c.get(jobs, no_ack=True)
    c.put(jobs, "3")
    c.get(jobs, no_ack=True)
    c.put(jobs, "4")


@scenario
def reject_publish_quorum_filled_by_returns(s: Session) -> None:
    """Messages that come back count, too."""
    (jobs,) = s.names("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_queue_type="quorum", x_max_length=2, x_overflow="reject-publish")
    c.put(jobs, "1", "2")
    c.get(jobs)
    c.get(jobs)
    c.put(jobs, "3", "4")
    c.nack(2, multiple=True)
    c.until_count(jobs, 4)
    c.put(jobs, "5")


@scenario
def drop_head_with_priorities(s: Session) -> None:
    """The head is the oldest of the highest priority."""
    jobs, dead = s.names("jobs", "dead")
    c = s.channel(confirm=True)
    c.declare(dead)
    c.declare(
        jobs, x_max_length=3, x_max_priority=5, x_dead_letter_exchange="", x_dead_letter_routing_key=dead
    )
    for body, priority in (("h1", 5), ("l1", 1), ("m1", 3), ("h2", 5), ("l2", 1)):
        c.put(jobs, body, priority=priority)
    c.until_count(dead, 2)
    for queue in (dead, dead, jobs, jobs, jobs):
        c.get(queue, no_ack=True)


@variants(**QUEUE_TYPES)
def limit_and_ready_consumer(s: Session, kind: str) -> None:
    """What a consumer takes at once never fills the queue."""
    (jobs,) = s.names("jobs")
    c, consumer = s.channel(confirm=True), s.channel()
    c.declare(jobs, x_queue_type=kind, x_max_length=1)
    consumer.qos(3)
    consumer.consume(jobs, "worker")
    c.put(jobs, "1", "2", "3")
    consumer.take(3)
    c.put(jobs, "4", "5")
    consumer.ack(1)
    consumer.take()


@variants(**QUEUE_TYPES)
def properties_by_bytes(s: Session, kind: str) -> None:
    """On quorum queues alone, properties weigh what they take in the header frame: 2 octets if there are none."""
    jobs = s.name("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_queue_type=kind, x_max_length_bytes=300)
    c.put(jobs, *(digit * 98 for digit in "123"))
    c.count(jobs)
    c.put(jobs, "4" * 2)
    for _ in range(4):
        c.get(jobs, no_ack=True)


@scenario
def delayed_retry_counts(s: Session) -> None:
    """What waits to be tried again takes room, too: what is ready makes way for it."""
    jobs, dead = s.names("jobs", "dead")
    c = s.channel(confirm=True)
    c.declare(dead)
    retry = {"x_delayed_retry_type": "all", "x_delayed_retry_min": 60000}
    c.declare(
        jobs, x_queue_type="quorum", x_max_length=2, x_dead_letter_exchange="", x_dead_letter_routing_key=dead, **retry
    )
    c.put(jobs, "1", "2")
    c.get(jobs)
    c.put(jobs, "3")
    c.reject(1)
    c.until_count(dead, 1)
    c.get(dead, no_ack=True)
    c.get(jobs)
    c.reject(3)
    c.put(jobs, "4")
    c.until_count(dead, 1)
    c.get(dead, no_ack=True)
    c.get(jobs)


@scenario
def delayed_retry_counts_by_bytes(s: Session) -> None:
    """The same with octets."""
    jobs, dead = s.names("jobs", "dead")
    c = s.channel(confirm=True)
    c.declare(dead)
    retry = {"x_delayed_retry_type": "all", "x_delayed_retry_min": 60000}
    c.declare(
        jobs,
        x_queue_type="quorum",
        x_max_length_bytes=300,
        x_dead_letter_exchange="",
        x_dead_letter_routing_key=dead,
        **retry,
    )
    c.put(jobs, "1" * 120, "2" * 120)
    c.get(jobs)
    c.get(jobs)
    c.nack(2, multiple=True)
    c.until_count(jobs, 0)
    c.put(jobs, "3" * 120)
    c.until_count(dead, 1)
    c.get(dead, no_ack=True)
    c.get(jobs)


@variants(**QUEUE_TYPES)
def requeued_over_the_limit(s: Session, kind: str) -> None:
    """What comes back is not refused, however full the queue is by then."""
    jobs, dead = s.names("jobs", "dead")
    c = s.channel(confirm=True)
    c.declare(dead)
    c.declare(
        jobs,
        x_queue_type=kind,
        x_max_length=1,
        x_overflow="reject-publish",
        x_dead_letter_exchange="",
        x_dead_letter_routing_key=dead,
    )
    c.put(jobs, "1")
    c.get(jobs)
    c.put(jobs, "2")
    c.nack(1)
    c.until_count(jobs, 2)
    for queue in (jobs, jobs, dead):
        c.get(queue, no_ack=True)


@scenario
def expired_makes_room(s: Session) -> None:
    """A queue full of messages takes others once those have expired."""
    jobs, dead = s.names("jobs", "dead")
    c = s.channel(confirm=True)
    c.declare(dead)
    c.declare(
        jobs,
        x_max_length=2,
        x_message_ttl=300,
        x_overflow="reject-publish",
        x_dead_letter_exchange="",
        x_dead_letter_routing_key=dead,
    )
    c.put(jobs, "1", "2", "3")
    c.until_count(dead, 2)
    c.put(jobs, "4")
    for queue in (jobs, dead, dead):
        c.get(queue, no_ack=True)


@variants(**QUEUE_TYPES)
def expired_and_pushed_out(s: Session, kind: str) -> None:
    """Behind one that lives on, what has expired leaves once it is the first, for that reason."""
    jobs, dead = s.names("jobs", "dead")
    c = s.channel(confirm=True)
    c.declare(dead)
    c.declare(jobs, x_queue_type=kind, x_max_length=2, x_dead_letter_exchange="", x_dead_letter_routing_key=dead)
    c.put(jobs, "1")
    c.put(jobs, "2", expiration="50")
    s.pause(0.3)
    c.put(jobs, "3")
    c.until_count(dead, 2)
    for queue in (dead, dead, jobs, jobs):
        c.get(queue, no_ack=True)


@variants(**QUEUE_TYPES)
def returned_to_a_full_queue(s: Session, kind: str) -> None:
    """A quorum queue asks consumers first, and drops then; a classic one drops what comes back."""
    (jobs,) = s.names("jobs")
    c, consumer = s.channel(confirm=True), s.channel()
    c.declare(jobs, x_queue_type=kind, x_max_length=2)
    consumer.qos(1)
    consumer.consume(jobs, "worker")
    c.put(jobs, "1")
    consumer.take()
    c.put(jobs, "2", "3")
    consumer.nack(1)
    consumer.take()
    c.count(jobs)
