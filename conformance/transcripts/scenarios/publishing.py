"""basic.publish: what is refused, what is returned, what arrives; confirms and transactions."""

from scenarios.registry import scenario, variants
from session import Session
from wire import Typed


@variants(
    exchange_missing={"exchange": "missing"},
    expiration_text={"expiration": "abc"},
    expiration_empty={"expiration": ""},
    expiration_negative={"expiration": "-1"},
    expiration_leftover={"expiration": "1s"},
    expiration_too_large={"expiration": "315360000001"},
    expiration_float={"expiration": "1.5"},
    expiration_space={"expiration": " 1"},
    cc_text={"headers": {"CC": "queue"}},
    cc_numbers={"headers": {"CC": [1]}},
    bcc_text={"headers": {"BCC": "queue"}},
    user_id_other={"user_id": "bob"},
    user_id_own={"user_id": "guest"},
    reply_to_without_consumer={"reply_to": "amq.rabbitmq.reply-to"},
    immediate={"immediate": True},
)
def refused(s: Session, properties: dict) -> None:
    """A message that something is wrong with."""
    c = s.channel(confirm=True)
    exchange = properties.pop("exchange", "")
    c.publish(s.name(exchange) if exchange else "", s.name("queue"), "1", **properties)


@scenario
def all_properties(s: Session) -> None:
    """Every property and every type of header value comes back as it was sent."""
    queue = s.name("queue")
    c = s.channel(confirm=True)
    c.declare(queue)
    table = {
        "text": "grün",
        "bool": False,
        "byte": Typed("b", -1),
        "unsigned byte": Typed("B", 255),
        "short": Typed("s", -1),
        "unsigned short": Typed("u", 65535),
        "int": -1,
        "unsigned int": Typed("i", 2**32 - 1),
        "long": Typed("l", -(2**40)),
        "float": Typed("f", 0.5),
        "double": 0.25,
        "time": Typed("T", 1000000000),
        "octets": Typed("x", b"\x00\xff"),
        "nothing": None,
        "table": {"inner": {}},
        "array": [1, "two", [], {}],
    }
    c.put(
        queue,
        "body",
        content_type="text/plain",
        content_encoding="identity",
        headers=table,
        delivery_mode=2,
        priority=9,
        correlation_id="c",
        reply_to="r",
        expiration="60000",
        message_id="m",
        timestamp=1000000000,
        type="t",
        user_id="guest",
        app_id="a",
        cluster_id="u",
    )
    c.get(queue)


@scenario
def no_properties_no_body(s: Session) -> None:
    """A message of nothing."""
    queue = s.name("queue")
    c = s.channel(confirm=True)
    c.declare(queue)
    c.put(queue, "")
    c.put(queue, "", headers={})
    c.get(queue)
    c.get(queue)


@scenario
def x_headers(s: Session) -> None:
    """A client's own x-headers."""
    queue = s.name("queue")
    c = s.channel(confirm=True)
    c.declare(queue)
    c.put(queue, "1", headers={"x-b": 1, "a": 2, "x-a": 3, "x-delivery-count": 4})
    c.get(queue)


@scenario
def large_body(s: Session) -> None:
    """A body of several frames comes back in as many as frame_max asks for."""
    queue = s.name("queue")
    c = s.channel(confirm=True)
    c.declare(queue)
    c.put(queue, "x" * 300000)
    c.get(queue)


@scenario
def too_large(s: Session) -> None:
    """More than max_message_size."""
    c = s.channel(confirm=True)
    c.put(s.name("queue"), "x" * 16777217)


@scenario
def after_a_refused_one(s: Session) -> None:
    """What follows on the channel is thrown away."""
    queue = s.name("queue")
    c = s.connect()
    first, second = c.channel(), c.channel()
    first.declare(queue)
    first.post(s.name("missing"), "k", "1")
    first.post("", queue, "2")
    first.take()
    second.count(queue)


@scenario
def mandatory(s: Session) -> None:
    """Returned before it is confirmed, with all that was published."""
    c = s.channel(confirm=True)
    c.publish("", s.name("nowhere"), "1", mandatory=True, content_type="a/b", headers={"BCC": [s.name("x")], "a": 1})
    c.publish("amq.fanout", "", "2")
    c.publish("amq.direct", s.name("k"), "", mandatory=True)


@scenario
def mandatory_unconfirmed(s: Session) -> None:
    """Returned as well without confirms."""
    c = s.channel()
    c.publish("amq.direct", s.name("nowhere"), "1", mandatory=True)
    c.take()


@scenario
def confirm_twice(s: Session) -> None:
    """A second confirm.select changes nothing."""
    queue = s.name("queue")
    c = s.channel(confirm=True)
    c.declare(queue)
    c.put(queue, "1")
    c.call("confirm.select")
    c.put(queue, "2")


@scenario
def confirm_persistent(s: Session) -> None:
    """Every one of many is confirmed."""
    queue = s.name("queue")
    c = s.channel(confirm=True)
    c.declare(queue)
    for number in range(1, 11):
        c.post("", queue, str(number), delivery_mode=2)
    c.outcomes(10)
    c.count(queue)


@scenario
def confirm_then_tx(s: Session) -> None:
    """Not both."""
    s.channel(confirm=True).call("tx.select")


@scenario
def tx_then_confirm(s: Session) -> None:
    """Not both, the other way round."""
    c = s.channel()
    c.call("tx.select")
    c.confirm()


@variants(commit="tx.commit", rollback="tx.rollback")
def no_transaction(s: Session, method: str) -> None:
    """Nothing was begun."""
    s.channel().call(method)


@scenario
def tx_commit(s: Session) -> None:
    """Publishes and acks take effect at the commit."""
    queue = s.name("queue")
    c, other = s.channel(), s.channel()
    c.declare(queue)
    c.put(queue, "before")
    other.until_count(queue, 1)
    c.call("tx.select")
    c.get(queue)
    c.ack(1)
    c.put(queue, "inside")
    other.count(queue)
    c.call("tx.commit")
    other.until_count(queue, 1)
    other.get(queue)
    c.get(queue)


@scenario
def tx_rollback(s: Session) -> None:
    """Publishes are forgotten, acked tags are outstanding again."""
    queue = s.name("queue")
    c = s.channel()
    c.declare(queue)
    c.put(queue, "before")
    c.until_count(queue, 1)
    c.call("tx.select")
    c.get(queue)
    c.ack(1)
    c.put(queue, "inside")
    c.call("tx.rollback")
    c.count(queue)
    c.nack(1)
    c.call("tx.commit")
    c.until_count(queue, 1)
    c.get(queue)


@scenario
def tx_mandatory(s: Session) -> None:
    """Returns come with the commit."""
    c = s.channel()
    c.call("tx.select")
    c.publish("", s.name("nowhere"), "1", mandatory=True)
    c.call("basic.qos", prefetch_count=1)
    c.call("tx.commit")


@scenario
def tx_publish_refused(s: Session) -> None:
    """Publishing to a missing exchange fails at once."""
    c = s.channel()
    c.call("tx.select")
    c.publish(s.name("missing"), "k", "1")
    c.take()


@scenario
def tx_unknown_tag(s: Session) -> None:
    """An unknown tag is refused at the ack."""
    c = s.channel()
    c.call("tx.select")
    c.ack(7)
    c.take()


@scenario
def tx_reject_publish(s: Session) -> None:
    """A queue that refuses a message of a transaction."""
    queue = s.name("queue")
    c = s.channel()
    c.declare(queue, x_max_length=0, x_overflow="reject-publish")
    c.call("tx.select")
    c.put(queue, "1")
    c.call("tx.commit")


@scenario
def tx_refused_in_part(s: Session) -> None:
    """One queue refuses its message; another had room for its own."""
    full, free, seen = s.names("full", "free", "seen")
    c, other = s.channel(), s.channel()
    c.declare(full, x_max_length=0, x_overflow="reject-publish")
    c.declare(free)
    c.declare(seen)
    c.put(seen, "before")
    other.until_count(seen, 1)
    c.call("tx.select")
    c.get(seen)
    c.ack(1)
    c.put(free, "1")
    c.put(full, "2")
    c.call("tx.commit")
    other.get(free)
    other.get(seen)
