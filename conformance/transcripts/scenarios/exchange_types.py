"""The types of exchanges beyond the specification's four."""

from scenarios.registry import scenario, variants
from session import Session


@variants(
    hash_header={"kind": "x-consistent-hash", "hash_header": "a"},
    hash_message_id={"kind": "x-consistent-hash", "hash_property": "message_id"},
    hash_correlation_id={"kind": "x-consistent-hash", "hash_property": "correlation_id"},
    hash_timestamp={"kind": "x-consistent-hash", "hash_property": "timestamp"},
    hash_routing_key={"kind": "x-consistent-hash", "hash_property": "routing_key"},
    history_zero={"kind": "x-recent-history", "x_recent_history_length": 0},
    history_negative={"kind": "x-recent-history", "x_recent_history_length": -1},
    history_text={"kind": "x-recent-history", "x_recent_history_length": "ten"},
    history_bool={"kind": "x-recent-history", "x_recent_history_length": True},
    modulus={"kind": "x-modulus-hash", "x_color": "red"},
    random={"kind": "x-random"},
    local_random={"kind": "x-local-random"},
)
def declare(s: Session, declaration: dict) -> None:
    """Declared, if its arguments are right; once more without any; and as another type."""
    c = s.channel()
    x = s.name("x")
    c.exchange(x, **declaration)
    c.exchange(x, declaration["kind"])
    c.exchange(x, "fanout")


@variants(
    word={"key": "abc"},
    fraction={"key": "1.5"},
    empty={"key": ""},
    space={"key": " 4"},
    zero={"key": "0"},
    negative={"key": "-3"},
    accent={"key": "é"},
    plus={"key": "+4"},
    leading_zero={"key": "007"},
)
def weight(s: Session, binding: dict) -> None:
    """The key of a consistent-hash exchange's binding is a number."""
    x, queue = s.names("x", "queue")
    c = s.channel()
    c.exchange(x, "x-consistent-hash")
    c.declare(queue)
    c.bind(queue, x, binding["key"])


@variants(
    key={"key": "k"},
    quorum={"queue_type": "quorum"},
    exchange={"to_exchange": True},
)
def local_random(s: Session, binding: dict) -> None:
    """A local-random exchange leads to classic queues without a key."""
    x, queue = s.names("x", "queue")
    c = s.channel()
    c.exchange(x, "x-local-random")
    if binding.get("to_exchange"):
        c.call("exchange.bind", destination="amq.fanout", source=x, routing_key="")
    c.declare(queue, x_queue_type=binding.get("queue_type", "classic"))
    c.bind(queue, x, binding.get("key", ""))


@variants(
    consistent_hash={"kind": "x-consistent-hash", "key": "10"},
    modulus_hash={"kind": "x-modulus-hash", "key": "any"},
    random={"kind": "x-random", "key": "any"},
    local_random={"kind": "x-local-random", "key": ""},
    recent_history={"kind": "x-recent-history", "key": "any"},
)
def one_binding(s: Session, binding: dict) -> None:
    """The only thing bound gets every message once; without it there is the alternate."""
    x, queue, rest = s.names("x", "queue", "rest")
    c = s.channel(confirm=True)
    c.declare(queue)
    c.declare(rest)
    c.exchange(x, binding["kind"], alternate_exchange="amq.direct")
    c.bind(rest, "amq.direct", s.name("k"))
    c.bind(queue, x, binding["key"])
    for body in ("1", "2"):
        c.publish(x, s.name("k"), body, mandatory=True, headers={"CC": ["copy"], "BCC": ["blind"]})
    c.count(queue)
    c.get(queue, no_ack=True)
    c.call("queue.unbind", queue=queue, exchange=x, routing_key=binding["key"])
    c.publish(x, s.name("k"), "3", mandatory=True)
    c.get(rest, no_ack=True)
    c.publish(x, s.name("other"), "4", mandatory=True)


@scenario
def history_again(s: Session) -> None:
    """Each further binding of a queue brings the last messages again, the same one doesn't."""
    x, queue = s.names("x", "queue")
    c = s.channel(confirm=True)
    c.exchange(x, "x-recent-history")
    c.publish(x, "a", "1", headers={"CC": ["copy"], "BCC": ["blind"]})
    c.declare(queue)
    for key in ("k", "k", "l"):
        c.bind(queue, x, key)
    c.until_count(queue, 2)
    c.get(queue, no_ack=True)
    c.get(queue, no_ack=True)


@scenario
def history_through_exchanges(s: Session) -> None:
    """What came through another exchange is kept, and routed on to one bound later."""
    first, x, last, queue = s.names("first", "x", "last", "queue")
    c = s.channel(confirm=True)
    c.exchange(first, "fanout")
    c.exchange(x, "x-recent-history", x_recent_history_length=1)
    c.exchange(last, "direct")
    c.call("exchange.bind", destination=x, source=first, routing_key="")
    c.publish(first, "a", "1")
    c.publish(first, "b", "2", headers={"CC": ["c"]})
    c.declare(queue)
    c.bind(queue, last, "c")
    c.call("exchange.bind", destination=last, source=x, routing_key="")
    c.until_count(queue, 1)
    c.get(queue, no_ack=True)
