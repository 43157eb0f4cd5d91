"""queue.declare, its errors, delete and purge."""

from scenarios.registry import scenario, variants
from session import Session
from wire import Typed

QUEUE_TYPES = {"classic": "classic", "quorum": "quorum"}


@variants(**QUEUE_TYPES)
def declared_twice(s: Session, kind: str) -> None:
    """The same declaration again is answered with what the queue holds."""
    (jobs,) = s.names("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_queue_type=kind, x_max_length=10)
    c.put(jobs, "1", "2")
    c.declare(jobs, x_queue_type=kind, x_max_length=Typed("l", 10))


@scenario
def server_named(s: Session) -> None:
    """The server makes up a name; the empty name then means that queue."""
    c = s.channel()
    made = c.declare("", durable=False, exclusive=True)
    c.put(made["queue"], "hello")
    c.get("")
    c.call("queue.delete", queue="")


@scenario
def server_named_quorum(s: Session) -> None:
    """Quorum queues need a name of their own."""
    s.channel().declare("", x_queue_type="quorum")


@scenario
def no_queue_declared_yet(s: Session) -> None:
    """The empty name means nothing on a channel that has declared nothing."""
    c = s.connect()
    for name in ("basic.get", "queue.purge", "queue.delete"):
        c.channel().call(name, queue="")
    c.channel().consume("", "t")


@scenario
def passive_missing(s: Session) -> None:
    """A passive declaration asks for a queue that isn't there."""
    s.channel().count(s.name("missing"))


@scenario
def passive_ignores_arguments(s: Session) -> None:
    """A passive declaration compares nothing."""
    c = s.channel()
    c.declare(s.name("jobs"))
    c.call("queue.declare", queue=s.name("jobs"), passive=True, auto_delete=True, arguments={"x-max-length": 1})


INEQUIVALENT = {
    "durable": ({}, {"durable": False, "exclusive": False}),
    "auto_delete": ({}, {"auto_delete": True}),
    "other_value": ({"x_max_length": 1}, {"x_max_length": 2}),
    "only_now": ({}, {"x_message_ttl": 1000}),
    "only_then": ({"x_message_ttl": 1000}, {}),
    "overflow_default": ({}, {"x_overflow": "drop-head"}),
    "overflow": ({"x_overflow": "drop-head"}, {"x_overflow": "reject-publish"}),
    "dead_letter_exchange": ({"x_dead_letter_exchange": "a"}, {"x_dead_letter_exchange": "b"}),
    "dead_letter_routing_key": (
        {"x_dead_letter_exchange": "a", "x_dead_letter_routing_key": "k"},
        {"x_dead_letter_exchange": "a", "x_dead_letter_routing_key": "l"},
    ),
    "expires": ({"x_expires": 60000}, {"x_expires": Typed("s", 6000)}),
    "priority": ({"x_max_priority": 5}, {"x_max_priority": Typed("b", 6)}),
    "single_active": ({"x_single_active_consumer": True}, {"x_single_active_consumer": False}),
    "queue_mode": ({}, {"x_queue_mode": "lazy"}),
    "type": ({}, {"x_queue_type": "quorum"}),
    "type_absent": ({"x_queue_type": "quorum"}, {}),
    "delivery_limit": ({"x_queue_type": "quorum"}, {"x_queue_type": "quorum", "x_delivery_limit": 20}),
    "text_for_number": ({"x_queue_mode": "lazy"}, {"x_queue_mode": "default"}),
    "unknown_argument": ({"x_color": "red"}, {"x_color": "blue"}),
    "bytes": ({"x_max_length_bytes": Typed("l", 2**40)}, {"x_max_length_bytes": 1}),
}


@variants(**INEQUIVALENT)
def inequivalent(s: Session, declarations: tuple[dict, dict]) -> None:
    """The same name with something else."""
    c = s.channel()
    for declaration in declarations:
        c.declare(s.name("jobs"), **declaration)


INVALID = {
    "ttl_negative": {"x_message_ttl": -1},
    "ttl_too_large": {"x_message_ttl": 315360000001},
    "ttl_text": {"x_message_ttl": "soon"},
    "ttl_float": {"x_message_ttl": 1.5},
    "ttl_bool": {"x_message_ttl": True},
    "expires_zero": {"x_expires": 0},
    "expires_negative": {"x_expires": -1},
    "expires_text": {"x_expires": "1000"},
    "max_length_negative": {"x_max_length": -1},
    "max_length_text": {"x_max_length": "10"},
    "max_length_bytes_negative": {"x_max_length_bytes": -1},
    "overflow_unknown": {"x_overflow": "explode"},
    "overflow_number": {"x_overflow": 1},
    "priority_too_large": {"x_max_priority": 256},
    "priority_negative": {"x_max_priority": -1},
    "priority_text": {"x_max_priority": "high"},
    "dead_letter_exchange_number": {"x_dead_letter_exchange": 1},
    "dead_letter_key_alone": {"x_dead_letter_routing_key": "k"},
    "dead_letter_key_number": {"x_dead_letter_exchange": "", "x_dead_letter_routing_key": 1},
    "single_active_text": {"x_single_active_consumer": "yes"},
    "queue_type_unknown": {"x_queue_type": "zork"},
    "queue_type_number": {"x_queue_type": 1},
    "queue_mode_number": {"x_queue_mode": 1},
    "queue_mode_unknown": {"x_queue_mode": "eager"},
    "queue_version": {"x_queue_version": 1},
    "locator": {"x_queue_leader_locator": "moon"},
    "quorum_priority": {"x_queue_type": "quorum", "x_max_priority": 5},
    "quorum_queue_mode": {"x_queue_type": "quorum", "x_queue_mode": "lazy"},
    "quorum_transient": {"x_queue_type": "quorum", "durable": False},
    "quorum_exclusive": {"x_queue_type": "quorum", "exclusive": True},
    "quorum_auto_delete": {"x_queue_type": "quorum", "auto_delete": True},
    "quorum_delivery_limit_text": {"x_queue_type": "quorum", "x_delivery_limit": "2"},
    "quorum_strategy": {"x_queue_type": "quorum", "x_dead_letter_strategy": "sometimes"},
    "quorum_overflow_unknown": {"x_queue_type": "quorum", "x_overflow": "explode"},
    "quorum_ttl_negative": {"x_queue_type": "quorum", "x_message_ttl": -1},
    "quorum_retry_type": {"x_queue_type": "quorum", "x_delayed_retry_type": "never"},
    "quorum_retry_min": {"x_queue_type": "quorum", "x_delayed_retry_type": "all", "x_delayed_retry_min": -1},
    "quorum_retry_min_text": {"x_queue_type": "quorum", "x_delayed_retry_min": "1"},
    "quorum_retry_max": {"x_queue_type": "quorum", "x_delayed_retry_max": -1},
    "quorum_retry_type_number": {"x_queue_type": "quorum", "x_delayed_retry_type": 1},
    "quorum_timeout": {"x_queue_type": "quorum", "x_consumer_timeout": -1},
    "quorum_timeout_text": {"x_queue_type": "quorum", "x_consumer_timeout": "1"},
    "quorum_timeout_zero": {"x_queue_type": "quorum", "x_consumer_timeout": 0},
    "quorum_disconnected_timeout": {"x_queue_type": "quorum", "x_consumer_disconnected_timeout": -1},
    "quorum_placement_number": {"x_queue_type": "quorum", "x_member_placement_tag": 1},
    "quorum_group_size_text": {"x_queue_type": "quorum", "x_quorum_initial_group_size": "1"},
    "quorum_group_size_negative": {"x_queue_type": "quorum", "x_quorum_initial_group_size": -1},
    "quorum_in_memory_text": {"x_queue_type": "quorum", "x_max_in_memory_length": "1"},
    "quorum_single_active_text": {"x_queue_type": "quorum", "x_single_active_consumer": "yes"},
    "quorum_strategy_number": {"x_queue_type": "quorum", "x_dead_letter_strategy": 1},
    "quorum_delivery_limit_float": {"x_queue_type": "quorum", "x_delivery_limit": 1.5},
    "locator_number": {"x_queue_leader_locator": 1},
    "queue_version_text": {"x_queue_version": "2"},
    "quorum_group_size": {"x_queue_type": "quorum", "x_quorum_initial_group_size": 0},
    "classic_delivery_limit": {"x_delivery_limit": 3},
    "classic_max_age": {"x_max_age": "1D"},
    "classic_strategy": {"x_dead_letter_exchange": "", "x_dead_letter_strategy": "at-least-once"},
    "reserved_prefix": {"queue": "amq.mine"},
}


@variants(**INVALID)
def invalid(s: Session, declaration: dict) -> None:
    """A declaration that is refused."""
    declaration = {"durable": True, **declaration}
    s.channel().declare(declaration.pop("queue", s.name("jobs")), **declaration)


@scenario
def reject_publish_dlx_on_quorum(s: Session) -> None:
    """A quorum queue takes the argument that only classic queues follow."""
    s.channel().declare(s.name("jobs"), x_queue_type="quorum", x_overflow="reject-publish-dlx")


@scenario
def line_ends_in_names(s: Session) -> None:
    """Line ends are dropped from a name."""
    c = s.channel()
    c.declare(s.name("jo\r\nbs"))
    c.count(s.name("jobs"))


@scenario
def purge(s: Session) -> None:
    """Ready messages go, unacked ones stay."""
    (jobs,) = s.names("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs)
    c.put(jobs, "1", "2", "3")
    c.get(jobs)
    c.call("queue.purge", queue=jobs)
    c.nack(1)
    c.until_count(jobs, 1)
    c.call("queue.purge", queue=s.name("missing"))


@scenario
def delete(s: Session) -> None:
    """Deleting says how many ready messages went; a missing queue is no error."""
    (jobs,) = s.names("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs)
    c.put(jobs, "1", "2", "3")
    c.get(jobs)
    c.call("queue.delete", queue=jobs)
    c.call("queue.delete", queue=jobs)
    c.ack(1)
    c.get(jobs)


@variants(**QUEUE_TYPES)
def delete_if_unused(s: Session, kind: str) -> None:
    """Not while it has a consumer; a quorum queue can't tell."""
    (jobs,) = s.names("jobs")
    c = s.channel()
    c.declare(jobs, x_queue_type=kind)
    c.consume(jobs, "worker")
    c.call("queue.delete", queue=jobs, if_unused=True)


@scenario
def delete_if_unused_quorum(s: Session) -> None:
    """Without a consumer, too."""
    c = s.channel()
    c.declare(s.name("jobs"), x_queue_type="quorum")
    c.call("queue.delete", queue=s.name("jobs"), if_unused=True)


@variants(**QUEUE_TYPES)
def delete_if_empty(s: Session, kind: str) -> None:
    """Not while it has messages; a quorum queue can't tell."""
    (jobs,) = s.names("jobs")
    c = s.channel(confirm=True)
    c.declare(jobs, x_queue_type=kind)
    c.put(jobs, "1")
    c.call("queue.delete", queue=jobs, if_empty=True)


@scenario
def delete_quorum_if_unused_and_empty(s: Session) -> None:
    """Both conditions at once: the first is named."""
    c = s.channel()
    c.declare(s.name("jobs"), x_queue_type="quorum")
    c.call("queue.delete", queue=s.name("jobs"), if_unused=True, if_empty=True)


@scenario
def delete_cancels_consumers(s: Session) -> None:
    """The server cancels the consumers of a deleted queue."""
    (jobs,) = s.names("jobs")
    consumer, owner = s.channel(), s.channel()
    consumer.declare(jobs)
    consumer.consume(jobs, "worker")
    owner.call("queue.delete", queue=jobs)
    consumer.take()


@scenario
def delete_without_cancel_capability(s: Session) -> None:
    """A client that didn't ask to be told is not."""
    (jobs,) = s.names("jobs")
    consumer, owner = s.connect(capabilities={}).channel(), s.channel()
    consumer.declare(jobs)
    consumer.consume(jobs, "worker")
    owner.call("queue.delete", queue=jobs)
    consumer.call("basic.qos", prefetch_count=1)


@scenario
def nowait(s: Session) -> None:
    """Methods with nowait are carried out without a reply, and fail with one."""
    (jobs,) = s.names("jobs")
    c = s.channel()
    c.send("queue.declare", queue=jobs, durable=True, nowait=True)
    c.send("queue.bind", queue=jobs, exchange="amq.direct", routing_key=jobs, nowait=True)
    c.send("basic.consume", queue=jobs, consumer_tag="worker", nowait=True)
    c.publish("amq.direct", jobs, "hello")
    c.take()
    c.send("queue.declare", queue=jobs, durable=False, nowait=True)
    c.take()
