"""amqp-publish, amqp-get, amqp-consume, amqp-declare-queue, amqp-delete-queue.

Each function named case_* is one case; its argument is a Bench, on which it
sets up queues, runs the tools and looks at the broker with pika.
"""

import os
import subprocess
import sys
import tempfile
import time
import traceback
import uuid
from contextlib import contextmanager

import pika

URL = os.environ["AMQP_URL"]
HOST = os.environ["AMQP_HOST"]
PORT = os.environ["AMQP_PORT"]
# How long one tool may take; they answer in milliseconds.
TOOL_TIMEOUT_S = 20
# The largest payload of one frame at the frame_max that RabbitMQ offers.
FRAME_PAYLOAD_MAX = 131072 - 8
EMPTY = 2  # amqp-get's exit status when there is no message
FAILED = 1


class Bench:
    """Names of its own, the tools, and a pika channel; cleans up after itself."""

    def __init__(self):
        self.connection = pika.BlockingConnection(pika.URLParameters(URL))
        self.channel = self.connection.channel()
        self.queues = []
        self.running = []

    def close(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
                process.wait()
        if self.channel.is_closed:
            self.channel = self.connection.channel()
        for queue in self.queues:
            self.channel.queue_delete(queue)
        self.connection.close()

    def name(self):
        """A queue name that nobody else uses; deleted at the end."""
        queue = f"amqp-tools.{uuid.uuid4().hex}"
        self.queues.append(queue)
        return queue

    def queue(self, durable=False):
        """An empty queue, made by amqp-declare-queue."""
        queue = self.name()
        done("amqp-declare-queue", "-q", queue, *(["-d"] if durable else []))
        return queue

    def ready(self, queue):
        """The number of messages that wait for a consumer."""
        return self.channel.queue_declare(queue, passive=True).method.message_count

    def exists(self, queue):
        """Whether there is such a queue, on a channel that may break for it."""
        channel = self.connection.channel()
        try:
            channel.queue_declare(queue, passive=True)
        except pika.exceptions.ChannelClosedByBroker as closed:
            # 405 is another connection's exclusive queue.
            equal(closed.reply_code in (404, 405), True)
            return closed.reply_code == 405
        channel.close()
        return True

    def start(self, *command):
        """A tool that runs beside the case."""
        process = subprocess.Popen(
            with_url(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.running.append(process)
        return process

    def consumer_of(self, queue, *command):
        """The same, returned when it consumes from `queue`."""
        before = self.channel.queue_declare(queue, passive=True).method.consumer_count
        process = self.start(*command)
        wait_until(
            lambda: self.channel.queue_declare(queue, passive=True).method.consumer_count > before,
            "the consumer to be there",
        )
        return process


def with_url(command):
    return [command[0], "-u", URL, *command[1:]] if "-u" not in command else list(command)


def tool(*command, stdin=b""):
    """Runs a tool to its end: (exit status, output, error text)."""
    result = subprocess.run(with_url(command), input=stdin, capture_output=True, timeout=TOOL_TIMEOUT_S)
    return result.returncode, result.stdout, result.stderr.decode(errors="replace")


def done(*command, stdin=b""):
    """Runs a tool that must succeed and returns its output."""
    status, output, error = tool(*command, stdin=stdin)
    if status != 0:
        raise AssertionError(f"{command[0]} exited with {status}: {error}")
    return output


def refused(*command, text):
    """Runs a tool that must fail with the broker's `text`."""
    status, _, error = tool(*command)
    equal(status, FAILED)
    if text not in error:
        raise AssertionError(f"wants {text!r}, got {error!r}")


def equal(found, expected):
    if found != expected:
        raise AssertionError(f"found {shorten(found)}, expected {shorten(expected)}")


def shorten(value):
    text = repr(value)
    return text if len(text) < 100 else f"{text[:60]}... ({len(value)} long)"


def wait_until(condition, what):
    deadline = time.monotonic() + TOOL_TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.02)


def finished(process):
    """The output of a tool that has to end by itself, successfully."""
    output, error = process.communicate(timeout=TOOL_TIMEOUT_S)
    if process.returncode != 0:
        raise AssertionError(f"exited with {process.returncode}: {error!r}")
    return output


def publish(queue, *options, body=b"x"):
    """By the default exchange, the body through standard input."""
    done("amqp-publish", "-r", queue, *options, stdin=body)


# --- publish and get -----------------------------------------------------


def case_round_trip(bench):
    queue = bench.queue()
    publish(queue, body=b"hello")
    equal(done("amqp-get", "-q", queue), b"hello")


def case_body_as_argument(bench):
    queue = bench.queue()
    done("amqp-publish", "-r", queue, "-b", "a body with blanks")
    equal(done("amqp-get", "-q", queue), b"a body with blanks")


def case_get_takes_the_message_away(bench):
    queue = bench.queue()
    publish(queue)
    done("amqp-get", "-q", queue)
    equal(tool("amqp-get", "-q", queue)[0], EMPTY)


def case_get_from_empty_queue(bench):
    equal(tool("amqp-get", "-q", bench.queue())[:2], (EMPTY, b""))


def case_get_from_missing_queue(bench):
    refused("amqp-get", "-q", "amqp-tools.none", text="404, message: NOT_FOUND - no queue 'amqp-tools.none' in vhost '/'")


def case_publish_to_missing_exchange(bench):
    refused(
        "amqp-publish", "-e", "amqp-tools.none", "-r", "k", "-b", "x",
        text="404, message: NOT_FOUND - no exchange 'amqp-tools.none' in vhost '/'",
    )


def case_publish_unroutable_is_silent(bench):
    equal(tool("amqp-publish", "-r", "amqp-tools.none", "-b", "x"), (0, b"", ""))


def case_empty_body(bench):
    queue = bench.queue()
    publish(queue, body=b"")
    equal(bench.ready(queue), 1)
    equal(tool("amqp-get", "-q", queue)[:2], (0, b""))


def case_binary_body(bench):
    queue = bench.queue()
    body = bytes(range(256)) * 4 + b"\xce\x00\r\n"
    publish(queue, body=body)
    equal(done("amqp-get", "-q", queue), body)


def case_bodies_around_one_frame(bench):
    queue = bench.queue()
    for size in (FRAME_PAYLOAD_MAX - 1, FRAME_PAYLOAD_MAX, FRAME_PAYLOAD_MAX + 1, 2 * FRAME_PAYLOAD_MAX):
        body = os.urandom(size)
        publish(queue, body=body)
        equal(done("amqp-get", "-q", queue), body)


def case_body_of_many_frames(bench):
    queue = bench.queue()
    body = os.urandom(5_000_000)
    publish(queue, body=body)
    equal(done("amqp-get", "-q", queue), body)


def case_each_line_a_message_in_order(bench):
    queue = bench.queue()
    lines = [b"line %d\n" % number for number in range(500)]
    publish(queue, "-l", body=b"".join(lines))
    equal(bench.ready(queue), len(lines))
    equal(done("amqp-consume", "-q", queue, "-c", "500", "cat"), b"".join(lines))


def case_longest_routing_key(bench):
    queue = bench.queue()
    key = "k" * 255
    bench.channel.queue_bind(queue, "amq.direct", key)
    done("amqp-publish", "-e", "amq.direct", "-r", key, "-b", "x")
    equal(bench.channel.basic_get(queue, auto_ack=True)[0].routing_key, key)


def case_queue_name_in_utf_8(bench):
    queue = bench.name() + ".żółw"
    bench.queues.append(queue)
    equal(done("amqp-declare-queue", "-q", queue), queue.encode() + b"\n")
    publish(queue, body=b"slow")
    equal(done("amqp-get", "-q", queue), b"slow")


# --- properties ----------------------------------------------------------


def published_properties(bench, *options):
    queue = bench.queue()
    publish(queue, *options)
    method, properties, body = bench.channel.basic_get(queue, auto_ack=True)
    equal((method.exchange, method.routing_key, method.redelivered, body), ("", queue, False, b"x"))
    return properties


def case_persistent_flag(bench):
    equal(published_properties(bench, "-p").delivery_mode, 2)


def case_not_persistent_by_default(bench):
    equal(published_properties(bench).delivery_mode in (None, 1), True)


def case_content_type_and_encoding(bench):
    properties = published_properties(bench, "-C", "application/json", "-E", "gzip")
    equal((properties.content_type, properties.content_encoding), ("application/json", "gzip"))


def case_reply_to(bench):
    equal(published_properties(bench, "-t", "answers.here").reply_to, "answers.here")


def case_headers(bench):
    properties = published_properties(bench, "-H", "tenant: acme", "-H", "empty:", "-H", "name: żółw")
    equal(properties.headers, {"tenant": "acme", "empty": "", "name": "żółw"})


def case_no_properties_at_all(bench):
    properties = published_properties(bench)
    named = (properties.content_type, properties.reply_to, properties.message_id, properties.headers)
    equal(named, (None, None, None, None))


def case_headers_exchange_routes_by_them(bench):
    queue = bench.queue()
    bench.channel.queue_bind(queue, "amq.headers", arguments={"x-match": "all", "tenant": "acme"})
    done("amqp-publish", "-e", "amq.headers", "-r", "", "-H", "tenant: other", "-b", "no")
    done("amqp-publish", "-e", "amq.headers", "-r", "", "-H", "tenant: acme", "-b", "yes")
    equal(done("amqp-get", "-q", queue), b"yes")
    equal(tool("amqp-get", "-q", queue)[0], EMPTY)


def case_get_from_another_client(bench):
    """A message with every property and header type goes through the C client."""
    queue = bench.queue()
    headers = {"s": "x", "i": 1, "l": 2**40, "t": True, "n": None, "table": {"a": [1, "b"]}}
    properties = pika.BasicProperties(
        content_type="text/plain", content_encoding="utf-8", headers=headers, delivery_mode=2, priority=3,
        correlation_id="c", reply_to="r", expiration="60000", message_id="m", timestamp=1_700_000_000,
        type="t", user_id="guest", app_id="a", cluster_id="c",
    )
    bench.channel.basic_publish("", queue, b"from pika", properties)
    equal(done("amqp-get", "-q", queue), b"from pika")


# --- declare and delete --------------------------------------------------


def case_declare_prints_the_name(bench):
    queue = bench.name()
    equal(done("amqp-declare-queue", "-q", queue), queue.encode() + b"\n")
    equal(bench.exists(queue), True)


def case_declare_again_changes_nothing(bench):
    queue = bench.queue()
    publish(queue)
    done("amqp-declare-queue", "-q", queue)
    equal(bench.ready(queue), 1)


def case_server_named_queue(bench):
    first, second = (done("amqp-declare-queue", "-q", "").decode().strip() for _ in range(2))
    bench.queues += [first, second]
    equal((first[:8], second[:8], first == second), ("amq.gen-", "amq.gen-", False))
    equal((bench.exists(first), bench.exists(second)), (True, True))


def case_declare_durable(bench):
    queue = bench.queue(durable=True)
    equal(bench.channel.queue_declare(queue, durable=True).method.queue, queue)


def case_declare_with_other_durability(bench):
    queue = bench.queue()
    refused(
        "amqp-declare-queue", "-q", queue, "-d",
        text="406, message: PRECONDITION_FAILED - inequivalent arg 'durable' for queue "
        f"'{queue}' in vhost '/': received 'true' but current is 'false'",
    )


def case_declare_reserved_name(bench):
    refused(
        "amqp-declare-queue", "-q", "amq.mine",
        text="403, message: ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'",
    )


def case_delete_prints_the_message_count(bench):
    queue = bench.queue()
    publish(queue, "-l", body=b"1\n2\n3\n")
    equal(bench.ready(queue), 3)
    equal(done("amqp-delete-queue", "-q", queue), b"3\n")
    equal(bench.exists(queue), False)


def case_delete_missing_queue(bench):
    equal(done("amqp-delete-queue", "-q", "amqp-tools.none"), b"0\n")


def case_delete_if_empty(bench):
    queue = bench.queue()
    publish(queue)
    refused(
        "amqp-delete-queue", "-q", queue, "-e",
        text=f"406, message: PRECONDITION_FAILED - queue '{queue}' in vhost '/' not empty",
    )
    done("amqp-get", "-q", queue)
    equal(done("amqp-delete-queue", "-q", queue, "-e"), b"0\n")
    equal(bench.exists(queue), False)


def case_delete_if_unused(bench):
    queue = bench.queue()
    consumer = bench.consumer_of(queue, "amqp-consume", "-q", queue, "cat")
    refused(
        "amqp-delete-queue", "-q", queue, "--if-unused",
        text=f"406, message: PRECONDITION_FAILED - queue '{queue}' in vhost '/' in use",
    )
    consumer.kill()
    consumer.wait()
    wait_until(
        lambda: bench.channel.queue_declare(queue, passive=True).method.consumer_count == 0, "the consumer to go"
    )
    equal(done("amqp-delete-queue", "-q", queue, "--if-unused"), b"0\n")


def case_delete_under_a_consumer(bench):
    queue = bench.queue()
    consumer = bench.consumer_of(queue, "amqp-consume", "-q", queue, "cat")
    equal(done("amqp-delete-queue", "-q", queue), b"0\n")
    equal(bench.exists(queue), False)
    # The tool takes no notice of a server's basic.cancel; it must not be
    # disconnected for that either.
    time.sleep(0.3)
    equal(consumer.poll(), None)


# --- consume -------------------------------------------------------------


def case_consume_count_with_command(bench):
    queue = bench.queue()
    publish(queue, "-l", body=b"1\n2\n3\n4\n")
    equal(done("amqp-consume", "-q", queue, "-c", "3", "sed", "s/^/got /"), b"got 1\ngot 2\ngot 3\n")
    equal(done("amqp-get", "-q", queue), b"4\n")


def case_consume_waits_for_messages(bench):
    queue = bench.queue()
    consumer = bench.consumer_of(queue, "amqp-consume", "-q", queue, "-c", "2", "cat")
    for body in (b"first ", b"second"):
        publish(queue, body=body)
    equal(finished(consumer), b"first second")


def case_consume_acknowledges(bench):
    queue = bench.queue()
    publish(queue)
    done("amqp-consume", "-q", queue, "-c", "1", "cat")
    equal(bench.ready(queue), 0)


def case_failed_command_requeues(bench):
    """amqp-consume acknowledges only what its command took with exit status 0."""
    queue = bench.queue()
    publish(queue, body=b"poison")
    consumer = bench.start("amqp-consume", "-q", queue, "-c", "1", "false")
    consumer.communicate(timeout=TOOL_TIMEOUT_S)
    wait_until(lambda: bench.ready(queue) == 1, "the message to come back")
    method, _, body = bench.channel.basic_get(queue, auto_ack=True)
    equal((method.redelivered, body), (True, b"poison"))


def case_killed_consumer_requeues_in_order(bench):
    queue = bench.queue()
    publish(queue, "-l", body=b"1\n2\n3\n4\n")
    consumer = bench.start("amqp-consume", "-q", queue, "-p", "3", "sleep", "60")
    wait_until(lambda: bench.ready(queue) == 1, "three deliveries")
    consumer.kill()
    wait_until(lambda: bench.ready(queue) == 4, "three messages to come back")
    got = [bench.channel.basic_get(queue, auto_ack=True) for _ in range(4)]
    equal([body for _, _, body in got], [b"1\n", b"2\n", b"3\n", b"4\n"])
    equal([method.redelivered for method, _, _ in got], [True, True, True, False])


def case_prefetch_limits_deliveries(bench):
    queue = bench.queue()
    publish(queue, "-l", body=b"x\n" * 10)
    bench.start("amqp-consume", "-q", queue, "-p", "4", "sleep", "60")
    wait_until(lambda: bench.ready(queue) == 6, "four deliveries")
    time.sleep(0.3)
    equal(bench.ready(queue), 6)


def case_no_ack_takes_everything(bench):
    queue = bench.queue()
    publish(queue, "-l", body=b"x\n" * 10)
    consumer = bench.start("amqp-consume", "-A", "-q", queue, "sleep", "60")
    wait_until(lambda: bench.ready(queue) == 0, "all to be delivered")
    consumer.kill()
    consumer.wait()
    wait_until(
        lambda: bench.channel.queue_declare(queue, passive=True).method.consumer_count == 0, "the consumer to go"
    )
    equal(bench.ready(queue), 0)


def case_two_consumers_share(bench):
    queue = bench.queue()
    consumers = [bench.consumer_of(queue, "amqp-consume", "-q", queue, "-c", "10", "cat") for _ in range(2)]
    numbers = [b"%d\n" % number for number in range(20)]
    publish(queue, "-l", body=b"".join(numbers))
    got = [finished(consumer).splitlines(keepends=True) for consumer in consumers]
    equal(sorted(got[0] + got[1], key=int), numbers)


def case_consume_missing_queue(bench):
    refused(
        "amqp-consume", "-q", "amqp-tools.none", "cat",
        text="404, message: NOT_FOUND - no queue 'amqp-tools.none' in vhost '/'",
    )


def case_heartbeats_keep_an_idle_consumer(bench):
    queue = bench.queue()
    consumer = bench.consumer_of(queue, "amqp-consume", "--heartbeat", "1", "-q", queue, "-c", "1", "cat")
    # More than the three intervals after which either side gives up.
    time.sleep(4)
    publish(queue, body=b"still there")
    equal(finished(consumer), b"still there")


# --- bindings ------------------------------------------------------------


@contextmanager
def bound_consumer(bench, exchange, key):
    """amqp-consume on a server-named queue that it binds itself.

    Yields a function that returns what the consumer got up to the line "end".
    It can't be seen from outside when the binding is there, so `end` is
    published until the consumer writes it.
    """
    with tempfile.TemporaryFile() as output:
        command = with_url(["amqp-consume", "-x", "-e", exchange, "-r", key, "cat"])
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.DEVNULL)
        bench.running.append(process)

        def lines():
            output.seek(0)
            return output.read().splitlines()

        def seen(mark, routing_key):
            def publish_and_look():
                done("amqp-publish", "-e", exchange, "-r", routing_key, "-b", f"{mark}\n")
                return mark.encode() in lines()

            return publish_and_look

        def lines_until_end(routing_key):
            wait_until(seen("end", routing_key), "the last message")
            marks = (b"start", b"end")
            return [line for line in lines() if line not in marks]

        wait_until(seen("start", key.replace("*", "w").replace("#", "w")), "the binding")
        yield lines_until_end


def case_bound_to_a_topic(bench):
    with bound_consumer(bench, "amq.topic", "a.*") as got:
        for key in ("a.b", "a.b.c", "b.b", "a", "a.c"):
            done("amqp-publish", "-e", "amq.topic", "-r", key, "-b", f"{key}\n")
        equal(got("a.z"), [b"a.b", b"a.c"])


def case_bound_to_a_direct_exchange(bench):
    with bound_consumer(bench, "amq.direct", "mine") as got:
        for key in ("mine", "yours", "min"):
            done("amqp-publish", "-e", "amq.direct", "-r", key, "-b", f"{key}\n")
        equal(got("mine"), [b"mine"])


def case_fanout_copies_to_each(bench):
    with bound_consumer(bench, "amq.fanout", "1") as first, bound_consumer(bench, "amq.fanout", "2") as second:
        done("amqp-publish", "-e", "amq.fanout", "-r", "whatever", "-b", "news\n")
        equal((first("1"), second("2")), ([b"news"], [b"news"]))


def case_exclusive_queue_is_locked_and_goes(bench):
    queue = bench.name()
    consumer = bench.start("amqp-consume", "-x", "-q", queue, "cat")

    def locked():
        return "RESOURCE_LOCKED" in tool("amqp-get", "-q", queue)[2]

    wait_until(locked, "the exclusive queue")
    refused(
        "amqp-get", "-q", queue,
        text="405, message: RESOURCE_LOCKED - cannot obtain exclusive access to locked queue "
        f"'{queue}' in vhost '/'",
    )
    consumer.kill()
    wait_until(lambda: not bench.exists(queue), "the exclusive queue to go")


# --- connecting ----------------------------------------------------------


def case_wrong_password(bench):
    refused(
        "amqp-get", "-u", f"amqp://guest:wrong@{HOST}:{PORT}/%2f", "-q", "q",
        text="403, message: ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. "
        "For details see the broker logfile.",
    )


def case_unknown_vhost(bench):
    refused(
        "amqp-get", "-u", f"amqp://guest:guest@{HOST}:{PORT}/nowhere", "-q", "q",
        text="530, message: NOT_ALLOWED - vhost nowhere not found",
    )


def case_address_by_options(bench):
    queue = bench.queue()
    publish(queue, body=b"by options")
    command = ["amqp-get", "--server", HOST, "--port", PORT, "--vhost", "/"]
    command += ["--username", "guest", "--password", "guest", "-q", queue]
    result = subprocess.run(command, capture_output=True, timeout=TOOL_TIMEOUT_S)
    equal((result.returncode, result.stdout), (0, b"by options"))


def main():
    cases = {name.removeprefix("case_"): run for name, run in globals().items() if name.startswith("case_")}
    for name, run in cases.items():
        bench = Bench()
        try:
            run(bench)
            print(f"ok {name}", flush=True)
        except Exception as error:  # whatever it is, it fails this case only
            traceback.print_exc()
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"not ok {name} # {reason[:200]}", flush=True)
        finally:
            bench.close()


if __name__ == "__main__":
    sys.exit(main())
