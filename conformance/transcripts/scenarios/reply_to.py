"""Direct reply-to: requests and replies without a queue."""

from scenarios.registry import scenario
from session import Session

REPLIES = "amq.rabbitmq.reply-to"


@scenario
def request_and_reply(s: Session) -> None:
    """The server makes an address of the name; the reply comes by the default exchange."""
    work = s.name("work")
    client, server = s.channel(), s.channel(confirm=True)
    server.declare(work)
    client.consume(REPLIES, "replies", no_ack=True)
    client.put(work, "question", reply_to=REPLIES, correlation_id="1")
    server.until_count(work, 1)
    question = take_question(server, work)
    server.publish("", question, "answer", mandatory=True, correlation_id="1", delivery_mode=2)
    client.take()


def take_question(channel: object, queue: str) -> str:
    """The reply address of the message that is waiting."""
    channel.send("basic.get", queue=queue, no_ack=True)
    return channel.take_one().properties["reply_to"]


@scenario
def must_not_ack(s: Session) -> None:
    """A reply consumer has no acks."""
    s.channel().consume(REPLIES, "replies")


@scenario
def one_for_each_channel(s: Session) -> None:
    """A second on the same channel."""
    c = s.channel()
    c.consume(REPLIES, "a", no_ack=True)
    c.consume(REPLIES, "b", no_ack=True)


@scenario
def from_another_channel(s: Session) -> None:
    """Requests go out on the channel that consumes the replies."""
    c = s.connect()
    one, two = c.channel(), c.channel()
    one.consume(REPLIES, "replies", no_ack=True)
    two.put(s.name("work"), "question", reply_to=REPLIES)
    two.take()


@scenario
def after_cancel(s: Session) -> None:
    """Cancelled, there is none."""
    c = s.channel()
    c.consume(REPLIES, "replies", no_ack=True)
    c.cancel("replies")
    c.put(s.name("work"), "question", reply_to=REPLIES)
    c.take()


@scenario
def again_after_cancel(s: Session) -> None:
    """Cancelled, there may be another."""
    c = s.channel()
    c.consume(REPLIES, "replies", no_ack=True)
    c.cancel("replies")
    c.consume(REPLIES, "replies", no_ack=True)


@scenario
def requester_gone(s: Session) -> None:
    """A reply to nobody is unroutable."""
    work = s.name("work")
    client, server = s.channel(), s.channel(confirm=True)
    server.declare(work)
    client.consume(REPLIES, "replies", no_ack=True)
    client.put(work, "question", reply_to=REPLIES)
    server.until_count(work, 1)
    address = take_question(server, work)
    server.count(address)
    client.close()
    s.pause(0.1)
    server.publish("", address, "answer", mandatory=True)
    server.count(address)


@scenario
def address_of_nobody(s: Session) -> None:
    """An address that was made up."""
    c = s.channel(confirm=True)
    c.publish("", f"{REPLIES}.made.up", "answer", mandatory=True)


@scenario
def the_name_itself(s: Session) -> None:
    """Declared, got from, deleted, purged, bound: the bare name."""
    c = s.connect()
    c.channel().count(REPLIES)
    c.channel().declare(REPLIES)
    c.channel().get(REPLIES)
    c.channel().call("queue.purge", queue=REPLIES)
    c.channel().call("queue.delete", queue=REPLIES)
    c.channel().bind(REPLIES, "amq.direct", "k")


@scenario
def address_bound(s: Session) -> None:
    """A reply address is no queue to bind."""
    c = s.connect()
    c.channel().bind(f"{REPLIES}.made.up", "amq.direct", "k")
    c.channel().call("queue.unbind", queue=f"{REPLIES}.made.up", exchange="amq.direct", routing_key="k")
    c.channel().call("queue.unbind", queue=REPLIES, exchange="amq.direct", routing_key="k")
