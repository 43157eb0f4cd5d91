"""Dead letters: each reason, the headers, the keys, cycles."""

from scenarios.registry import scenario, variants
from session import Channel, Session

QUEUE_TYPES = {"classic": "classic", "quorum": "quorum"}


def declare_pair(s: Session, c: Channel, kind: str = "classic", **arguments: object) -> tuple[str, str]:
    """A queue `jobs` whose dead letters go to `dead` by way of an exchange."""
    jobs, dead, graveyard = s.names("jobs", "dead", "graveyard")
    c.exchange(graveyard, "fanout")
    c.declare(dead)
    c.bind(dead, graveyard)
    c.declare(jobs, x_queue_type=kind, x_dead_letter_exchange=graveyard, **arguments)
    return jobs, dead


@variants(**QUEUE_TYPES)
def rejected(s: Session, kind: str) -> None:
    """basic.reject without requeue."""
    c = s.channel(confirm=True)
    jobs, dead = declare_pair(s, c, kind)
    c.put(jobs, "1", content_type="text/plain", delivery_mode=2, priority=3, message_id="m1", headers={"a": 1})
    c.get(jobs)
    c.reject(1, requeue=False)
    c.until_count(dead, 1)
    c.get(dead)


@variants(**QUEUE_TYPES)
def nacked(s: Session, kind: str) -> None:
    """basic.nack without requeue, several at once."""
    c = s.channel(confirm=True)
    jobs, dead = declare_pair(s, c, kind)
    c.put(jobs, "1", "2", "3")
    for _ in range(3):
        c.get(jobs)
    c.nack(2, requeue=False, multiple=True)
    c.until_count(dead, 2)
    c.get(dead)
    c.get(dead)


@variants(**QUEUE_TYPES)
def expired(s: Session, kind: str) -> None:
    """x-message-ttl runs out."""
    c = s.channel(confirm=True)
    jobs, dead = declare_pair(s, c, kind, x_message_ttl=100)
    c.put(jobs, "1", delivery_mode=2)
    c.until_count(dead, 1)
    c.get(dead)
    c.get(jobs)


@variants(**QUEUE_TYPES)
def expired_by_expiration(s: Session, kind: str) -> None:
    """The message's own expiration is removed and remembered."""
    c = s.channel(confirm=True)
    jobs, dead = declare_pair(s, c, kind)
    c.put(jobs, "1", expiration="100", correlation_id="c1")
    c.until_count(dead, 1)
    c.get(dead)


@variants(**QUEUE_TYPES)
def pushed_out(s: Session, kind: str) -> None:
    """maxlen."""
    c = s.channel(confirm=True)
    jobs, dead = declare_pair(s, c, kind, x_max_length=1)
    c.put(jobs, "1", "2")
    c.until_count(dead, 1)
    c.get(dead)


@scenario
def delivery_limit(s: Session) -> None:
    """A quorum queue gives a message up after so many failures."""
    c = s.channel(confirm=True)
    jobs, dead = declare_pair(s, c, "quorum", x_delivery_limit=1)
    c.put(jobs, "1")
    for tag in (1, 2):
        c.get(jobs)
        c.reject(tag)
    c.until_count(dead, 1)
    c.get(dead)


@scenario
def key_of_its_own(s: Session) -> None:
    """x-dead-letter-routing-key replaces the key; the original stays in x-death."""
    jobs, dead = s.names("jobs", "dead")
    c = s.channel(confirm=True)
    c.declare(dead)
    c.declare(jobs, x_dead_letter_exchange="", x_dead_letter_routing_key=dead)
    c.bind(jobs, "amq.topic", s.name("a.b"))
    c.publish("amq.topic", s.name("a.b"), "1")
    c.get(jobs)
    c.reject(1, requeue=False)
    c.until_count(dead, 1)
    c.get(dead)


@scenario
def original_key(s: Session) -> None:
    """Without a key of its own, the message keeps the one it was published with."""
    jobs, dead, other = s.names("jobs", "dead", "other")
    c = s.channel(confirm=True)
    c.declare(dead)
    c.declare(other)
    c.declare(jobs, x_dead_letter_exchange="amq.topic")
    c.bind(dead, "amq.topic", jobs)
    c.bind(other, "amq.topic", s.name("nobody"))
    c.put(jobs, "1")
    c.get(jobs)
    c.reject(1, requeue=False)
    c.until_count(dead, 1)
    c.get(dead)
    c.count(other)


@scenario
def copies_go_along(s: Session) -> None:
    """CC routes the dead letter as well; BCC was removed at the first publish but still routes."""
    jobs, seen, blind = s.names("jobs", "seen", "blind")
    c = s.channel(confirm=True)
    graveyard = s.name("graveyard")
    c.exchange(graveyard, "direct")
    c.declare(jobs, x_dead_letter_exchange=graveyard)
    for queue, key in ((seen, "seen"), (blind, "blind")):
        c.declare(queue)
        c.bind(queue, graveyard, key)
    c.put(jobs, "1", headers={"CC": ["seen"], "BCC": ["blind"]})
    c.get(jobs)
    c.reject(1, requeue=False)
    c.until_count(seen, 1)
    c.until_count(blind, 1)
    c.get(seen)
    c.get(blind)


@scenario
def copies_stay_behind(s: Session) -> None:
    """With a dead-letter key, CC no longer routes but the header stays."""
    jobs, dead, seen = s.names("jobs", "dead", "seen")
    c = s.channel(confirm=True)
    graveyard = s.name("graveyard")
    c.exchange(graveyard, "direct")
    c.declare(jobs, x_dead_letter_exchange=graveyard, x_dead_letter_routing_key="dead")
    for queue, key in ((dead, "dead"), (seen, "seen")):
        c.declare(queue)
        c.bind(queue, graveyard, key)
    c.put(jobs, "1", headers={"CC": ["seen"]})
    c.get(jobs)
    c.reject(1, requeue=False)
    c.until_count(dead, 1)
    c.get(dead)
    c.count(seen)


@scenario
def exchange_missing(s: Session) -> None:
    """A dead-letter exchange that isn't there: the message is gone."""
    (jobs,) = s.names("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_dead_letter_exchange=s.name("nowhere"))
    c.put(jobs, "1")
    c.get(jobs)
    c.reject(1, requeue=False)
    c.count(jobs)


@scenario
def exchange_internal(s: Session) -> None:
    """Nobody may publish to an internal exchange, but dead letters reach it."""
    jobs, dead, inner = s.names("jobs", "dead", "inner")
    c = s.channel(confirm=True)
    c.exchange(inner, "fanout", internal=True)
    c.declare(dead)
    c.bind(dead, inner)
    c.declare(jobs, x_dead_letter_exchange=inner)
    c.put(jobs, "1")
    c.get(jobs)
    c.reject(1, requeue=False)
    c.until_count(dead, 1)
    c.get(dead)


@scenario
def two_stations(s: Session) -> None:
    """Two deaths in two queues: the newest first, `first` stays, `last` moves."""
    one, two, end = s.names("one", "two", "end")
    c = s.channel(confirm=True)
    c.declare(end)
    c.declare(two, x_dead_letter_exchange="", x_dead_letter_routing_key=end, x_message_ttl=50)
    c.declare(one, x_dead_letter_exchange="", x_dead_letter_routing_key=two)
    c.put(one, "1", expiration="60000")
    c.get(one)
    c.reject(1, requeue=False)
    c.until_count(end, 1)
    c.get(end)


@scenario
def retry_loop(s: Session) -> None:
    """Work queue, rejected, waits for its TTL, and back again: counts go up."""
    work, wait = s.names("work", "wait")
    c = s.channel(confirm=True)
    c.declare(work, x_dead_letter_exchange="", x_dead_letter_routing_key=wait)
    c.declare(wait, x_dead_letter_exchange="", x_dead_letter_routing_key=work, x_message_ttl=50)
    c.put(work, "1")
    for tag in (1, 2, 3):
        c.until_count(work, 1)
        c.get(work)
        c.reject(tag, requeue=False)
    c.until_count(work, 1)
    c.get(work)


@scenario
def cycle_without_a_reject(s: Session) -> None:
    """A message that would only expire round and round is dropped."""
    (jobs,) = s.names("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_dead_letter_exchange="", x_dead_letter_routing_key=jobs, x_message_ttl=50)
    c.put(jobs, "1")
    c.until_count(jobs, 0)


@scenario
def cycle_of_two_without_a_reject(s: Session) -> None:
    """The same over two queues: it comes through each once."""
    one, two = s.names("one", "two")
    c, consumer = s.channel(confirm=True), s.channel()
    c.declare(one, x_dead_letter_exchange="", x_dead_letter_routing_key=two, x_message_ttl=50)
    c.declare(two, x_dead_letter_exchange=s.name("tap"), x_message_ttl=50)
    c.exchange(s.name("tap"), "fanout")
    c.declare(s.name("log"))
    c.bind(one, s.name("tap"))
    c.bind(s.name("log"), s.name("tap"))
    c.put(one, "1")
    c.until_count(s.name("log"), 1)
    c.until_count(one, 0)
    c.until_count(two, 0)
    c.get(s.name("log"))


@scenario
def into_itself_by_reject(s: Session) -> None:
    """A queue that is its own dead-letter target goes round while the client rejects."""
    (jobs,) = s.names("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_dead_letter_exchange="", x_dead_letter_routing_key=jobs)
    c.put(jobs, "1")
    for tag in (1, 2, 3):
        c.until_count(jobs, 1)
        c.get(jobs)
        c.reject(tag, requeue=False)
    c.until_count(jobs, 1)


@scenario
def x_death_from_the_client(s: Session) -> None:
    """A client's own x-death header counts for nothing and is replaced."""
    c = s.channel(confirm=True)
    jobs, dead = declare_pair(s, c)
    mine = {"count": 7, "reason": "rejected", "queue": jobs}
    c.put(jobs, "1", headers={"x-death": [mine], "x-first-death-queue": "mine", "other": True})
    c.get(jobs)
    c.reject(1, requeue=False)
    c.until_count(dead, 1)
    c.get(dead)


@variants(
    nack_classic=("classic", "basic.nack"),
    reject_classic=("classic", "basic.reject"),
    recover_classic=("classic", "basic.recover"),
    close_classic=("classic", "channel.close"),
    nack_quorum=("quorum", "basic.nack"),
    reject_quorum=("quorum", "basic.reject"),
    recover_quorum=("quorum", "basic.recover"),
    close_quorum=("quorum", "channel.close"),
)
def pushed_out_after_a_return(s: Session, choice: tuple[str, str]) -> None:
    """Whether a dead letter is redelivered depends on how the message came back before it died."""
    kind, method = choice
    c = s.channel(confirm=True)
    jobs, dead = declare_pair(s, c, kind, x_max_length=1)
    consumer = s.channel()
    c.put(jobs, "1")
    consumer.get(jobs)
    if method == "channel.close":
        consumer.close()
    elif method == "basic.recover":
        consumer.call(method, requeue=True)
    else:
        consumer.send(method, delivery_tag=1, requeue=True)
    c.until_count(jobs, 1)
    c.put(jobs, "2")
    c.until_count(dead, 1)
    c.get(dead)


@scenario
def order_of_many(s: Session) -> None:
    """Dead letters come in the order in which they died."""
    c, consumer = s.channel(confirm=True), s.channel()
    jobs, dead = declare_pair(s, c)
    c.put(jobs, *"123456")
    consumer.consume(jobs, "worker")
    consumer.take(6)
    consumer.nack(2, requeue=False)
    consumer.nack(6, requeue=False, multiple=True)
    c.until_count(dead, 6)
    for _ in range(6):
        c.get(dead, no_ack=True)


@scenario
def not_by_purge_or_delete(s: Session) -> None:
    """What is purged or deleted is no dead letter."""
    c = s.channel(confirm=True)
    jobs, dead = declare_pair(s, c)
    c.put(jobs, "1")
    c.call("queue.purge", queue=jobs)
    c.put(jobs, "2")
    c.call("queue.delete", queue=jobs)
    c.count(dead)


@scenario
def at_least_once(s: Session) -> None:
    """Kept by the source until the target has confirmed; unroutable ones wait."""
    jobs, dead, graveyard = s.names("jobs", "dead", "graveyard")
    c = s.channel(confirm=True)
    c.exchange(graveyard, "fanout")
    c.declare(dead)
    c.bind(dead, graveyard)
    c.declare(
        jobs,
        x_queue_type="quorum",
        x_dead_letter_exchange=graveyard,
        x_dead_letter_strategy="at-least-once",
        x_overflow="reject-publish",
    )
    c.put(jobs, "1", delivery_mode=2)
    c.get(jobs)
    c.reject(1, requeue=False)
    c.until_count(dead, 1)
    c.get(dead)


@scenario
def expired_while_the_consumer_holds_it(s: Session) -> None:
    """An unacked message doesn't expire; given back, it is gone at once."""
    c = s.channel(confirm=True)
    jobs, dead = declare_pair(s, c, x_message_ttl=50)
    c.put(jobs, "1")
    consumer = s.channel()
    consumer.consume(jobs, "worker")
    consumer.take()
    c.put(jobs, "2")
    consumer.take()
    consumer.cancel("worker")
    s.pause(0.1)
    c.count(dead)
    consumer.nack(2, multiple=True)
    c.until_count(dead, 2)
    c.get(dead)
    c.get(dead)
