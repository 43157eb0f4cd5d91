"""Exchanges, bindings, and where a message goes."""

from scenarios.registry import scenario, variants
from session import Session
from wire import Typed


@variants(
    type=({}, {"kind": "fanout"}),
    durable=({}, {"durable": False}),
    auto_delete=({}, {"auto_delete": True}),
    internal=({}, {"internal": True}),
    alternate=({"alternate_exchange": "a"}, {"alternate_exchange": "b"}),
    alternate_absent=({"alternate_exchange": "a"}, {}),
    unknown_argument=({"x_color": "red"}, {"x_color": "blue"}),
    same=({}, {}),
)
def declared_twice(s: Session, declarations: tuple[dict, dict]) -> None:
    """The same name, perhaps with something else."""
    c = s.channel()
    for declaration in declarations:
        c.exchange(s.name("x"), **{"kind": "direct", **declaration})


@variants(
    unknown_type={"kind": "zork"},
    empty_type={"kind": ""},
    reserved={"exchange": "amq.mine"},
    default={"exchange": ""},
    predeclared={"exchange": "amq.direct"},
    predeclared_other={"exchange": "amq.direct", "kind": "fanout"},
    alternate_number={"alternate_exchange": 1},
    passive_missing={"passive": True},
    passive_default={"exchange": "", "passive": True},
    passive_predeclared={"exchange": "amq.topic", "passive": True},
    hash_both={"kind": "x-consistent-hash", "hash_header": "a", "hash_property": "message_id"},
    hash_property={"kind": "x-consistent-hash", "hash_property": "color"},
)
def declare(s: Session, declaration: dict) -> None:
    """A declaration that something is the matter with."""
    c = s.channel()
    c.exchange(**{"exchange": s.name("x"), "kind": "direct", **declaration})


@variants(
    missing={},
    default={"exchange": ""},
    predeclared={"exchange": "amq.fanout"},
)
def delete(s: Session, arguments: dict) -> None:
    """What can't be deleted, and what needn't be there."""
    s.channel().call("exchange.delete", **{"exchange": s.name("x"), **arguments})


@scenario
def delete_if_unused(s: Session) -> None:
    """Used is an exchange that is the source of a binding; being a destination doesn't count."""
    source, target, queue = s.names("source", "target", "queue")
    c = s.connect()
    first = c.channel()
    first.exchange(source, "direct")
    first.exchange(target, "fanout")
    first.declare(queue)
    first.call("exchange.bind", destination=target, source=source, routing_key="k")
    first.call("exchange.delete", exchange=target, if_unused=True)
    first.bind(queue, source, "k")
    first.call("exchange.delete", exchange=source, if_unused=True)


@scenario
def auto_delete(s: Session) -> None:
    """Gone with its last binding, not before its first."""
    x, queue = s.names("x", "queue")
    c = s.channel()
    c.exchange(x, "direct", auto_delete=True)
    c.declare(queue)
    c.exchange(x, "direct", passive=True)
    c.bind(queue, x, "a")
    c.bind(queue, x, "b")
    c.call("queue.unbind", queue=queue, exchange=x, routing_key="a")
    c.exchange(x, "direct", passive=True)
    c.call("queue.unbind", queue=queue, exchange=x, routing_key="b")
    c.exchange(x, "direct", passive=True)


@scenario
def auto_delete_with_the_queue(s: Session) -> None:
    """Gone when the queue that its last binding led to is deleted."""
    x, queue = s.names("x", "queue")
    c = s.channel()
    c.exchange(x, "fanout", auto_delete=True)
    c.declare(queue)
    c.bind(queue, x)
    c.call("queue.delete", queue=queue)
    c.exchange(x, "fanout", passive=True)


@variants(
    queue_missing=("missing", "amq.direct", {}),
    exchange_missing=("queue", "missing", {}),
    both_missing=("missing", "missing", {}),
    default=("queue", "", {}),
    x_match=("queue", "amq.headers", {"x_match": "some"}),
    x_match_number=("queue", "amq.headers", {"x_match": 1}),
    three_hashes=("queue", "amq.topic", {}),
)
def bind(s: Session, ends: tuple[str, str, dict]) -> None:
    """A binding that is refused."""
    queue, exchange, arguments = ends
    c = s.channel()
    c.declare(s.name("queue"))
    exchange = s.name(exchange) if exchange == "missing" else exchange
    c.bind(s.name(queue), exchange, "#.a.#.b.#", **arguments)


@scenario
def bind_hash_weights(s: Session) -> None:
    """The key of a binding to a consistent-hash exchange is its weight."""
    x, queue = s.names("x", "queue")
    c = s.connect()
    first = c.channel()
    first.exchange(x, "x-consistent-hash")
    first.declare(queue)
    first.bind(queue, x, "abc")
    c.channel().bind(queue, x, "0")


@scenario
def bind_local_random(s: Session) -> None:
    """A local-random exchange wants no key."""
    x, queue = s.names("x", "queue")
    c = s.channel()
    c.exchange(x, "x-local-random")
    c.declare(queue)
    c.bind(queue, x, "k")


@scenario
def unbind_what_is_not(s: Session) -> None:
    """Unbinding is content with anything that isn't there."""
    c = s.channel()
    c.declare(s.name("queue"))
    c.call("queue.unbind", queue=s.name("queue"), exchange="amq.direct", routing_key="never")
    c.call("queue.unbind", queue=s.name("missing"), exchange="amq.direct", routing_key="k")
    c.call("queue.unbind", queue=s.name("queue"), exchange=s.name("missing"), routing_key="k")
    c.call("exchange.unbind", destination=s.name("missing"), source="amq.direct", routing_key="k")
    c.call("queue.unbind", queue=s.name("queue"), exchange="", routing_key="k")


@scenario
def exchange_bind_default(s: Session) -> None:
    """The default exchange takes no part in bindings."""
    s.channel().call("exchange.bind", destination="", source="amq.direct", routing_key="k")


@scenario
def bound_twice(s: Session) -> None:
    """Several bindings, one copy."""
    queue = s.name("queue")
    c = s.channel(confirm=True)
    c.declare(queue)
    for key in ("a.*", "a.b", "#", "a.b"):
        c.bind(queue, "amq.topic", queue + "." + key)
    c.publish("amq.topic", queue + ".a.b", "1")
    c.count(queue)


@variants(
    star="*",
    hash="#",
    two_hashes="#.#",
    middle_star="a.*.b",
    hash_b="#.b",
    a_hash="a.#",
    star_dot="*.",
    empty="",
)
def topic(s: Session, pattern: str) -> None:
    """A binding key against keys with empty words and without any."""
    c = s.channel(confirm=True)
    x, queue = s.names("x", "queue")
    c.exchange(x, "topic")
    c.declare(queue)
    c.bind(queue, x, pattern)
    for key in ("", "a", "b", ".", "a.", ".b", "a.b", "a..b", "a.x.b", "a.x.y.b"):
        c.publish(x, key, key, mandatory=True)
    c.count(queue)


@variants(
    all={"x_match": "all", "a": 1, "b": "x"},
    default={"a": 1, "b": "x"},
    any={"x_match": "any", "a": 1, "b": "x"},
    any_none={"x_match": "any"},
    all_none={"x_match": "all"},
    void={"a": None},
    any_with_x={"x_match": "any-with-x", "x_a": 1},
    all_with_x={"x_match": "all-with-x", "a": 1, "x_a": 1},
    all_ignores_x={"x_match": "all", "a": 1, "x_a": 2},
    bool={"a": True},
    wide={"a": Typed("l", 1)},
)
def headers(s: Session, criteria: dict) -> None:
    """A headers binding against messages of several kinds; what isn't returned was routed."""
    c = s.channel(confirm=True)
    x, queue = s.names("x", "queue")
    c.exchange(x, "headers")
    c.declare(queue)
    c.bind(queue, x, "", **criteria)
    probes = [None, {}, {"a": 1}, {"a": Typed("l", 1)}, {"a": "1"}, {"a": True}, {"a": 1, "b": "x"}, {"x-a": 1}, {"a": 1, "x-a": 1}]
    for probe in probes:
        c.publish(x, "", "1", mandatory=True, **({} if probe is None else {"headers": probe}))
    c.count(queue)


@scenario
def copies(s: Session) -> None:
    """CC and BCC are further keys; BCC is taken out of the message."""
    one, two, three = s.names("one", "two", "three")
    c = s.channel(confirm=True)
    for queue in (one, two, three):
        c.declare(queue)
    c.put(one, "1", headers={"CC": [two, one], "BCC": [three], "a": 1})
    for queue in (one, two, three, one):
        c.get(queue)


@scenario
def alternate(s: Session) -> None:
    """What an exchange can't route goes on to its alternate, and counts as routed."""
    x, spare, queue = s.names("x", "spare", "queue")
    c = s.channel(confirm=True)
    c.exchange(spare, "fanout")
    c.exchange(x, "direct", alternate_exchange=spare)
    c.declare(queue)
    c.publish(x, "k", "nowhere", mandatory=True)
    c.bind(queue, spare)
    c.publish(x, "k", "spare", mandatory=True)
    c.get(queue)


@scenario
def alternate_in_a_circle(s: Session) -> None:
    """Two exchanges that are each other's alternate."""
    one, two = s.names("one", "two")
    c = s.channel(confirm=True)
    c.exchange(one, "direct", alternate_exchange=two)
    c.exchange(two, "direct", alternate_exchange=one)
    c.publish(one, "k", "1", mandatory=True)


@scenario
def alternate_missing(s: Session) -> None:
    """An alternate that isn't there is none."""
    c = s.channel(confirm=True)
    c.exchange(s.name("x"), "direct", alternate_exchange=s.name("missing"))
    c.publish(s.name("x"), "k", "1", mandatory=True)


@scenario
def exchange_to_exchange(s: Session) -> None:
    """Through two exchanges, and only once where two ways lead."""
    one, two, queue = s.names("one", "two", "queue")
    c = s.channel(confirm=True)
    c.exchange(one, "topic")
    c.exchange(two, "topic")
    c.declare(queue)
    c.call("exchange.bind", destination=two, source=one, routing_key="a.*")
    c.call("exchange.bind", destination=one, source=two, routing_key="#")
    c.bind(queue, two, "*.b")
    c.bind(queue, one, "a.b")
    c.publish(one, "a.b", "1")
    c.publish(one, "a.c", "2", mandatory=True)
    c.count(queue)
    c.get(queue)


@scenario
def internal(s: Session) -> None:
    """Clients may not publish to it."""
    c = s.channel()
    c.exchange(s.name("x"), "direct", internal=True)
    c.publish(s.name("x"), "k", "1")
    c.take()


@scenario
def recent_history(s: Session) -> None:
    """A new binding is given the last messages."""
    x, queue = s.names("x", "queue")
    c = s.channel(confirm=True)
    c.exchange(x, "x-recent-history", x_recent_history_length=2)
    c.publish(x, "", "1")
    c.publish(x, "", "2")
    c.publish(x, "", "3", headers={"x-recent-history-no-store": True})
    c.publish(x, "", "4")
    c.declare(queue)
    c.bind(queue, x)
    c.until_count(queue, 2)
    c.get(queue)
    c.get(queue)
