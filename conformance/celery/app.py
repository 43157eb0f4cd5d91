"""The Celery application that scenario.py and its workers share.

CELERY_QUEUE_TYPE=quorum makes the default queue a quorum queue; Celery then sends
what has a countdown through its chain of topic exchanges and queues with deadlines.
"""

import os
import time
from pathlib import Path

from celery import Celery
from celery.exceptions import Reject
from kombu import Exchange, Queue
from kombu.common import Broadcast

WORK = Path(os.environ["WORK"])
QUORUM = os.environ.get("CELERY_QUEUE_TYPE") == "quorum"

app = Celery("conformance", broker=os.environ["CELERY_BROKER"], backend="rpc://")
if QUORUM:
    queues = [Queue("quorum-work", Exchange("quorum-work"), routing_key="quorum-work", queue_arguments={"x-queue-type": "quorum"})]
else:
    queues = [
        Queue("work", Exchange("work"), routing_key="work"),
        Queue("late", Exchange("work"), routing_key="late"),
        Queue("ranked", Exchange("work"), routing_key="ranked", queue_arguments={"x-max-priority": 10}),
        Queue("topical", Exchange("topics", type="topic"), routing_key="animals.#"),
        Queue("refused", Exchange("work"), routing_key="refused", queue_arguments={"x-dead-letter-exchange": "graveyard"}),
        Queue("graves", Exchange("graveyard", type="fanout"), routing_key=""),
        Broadcast("everybody"),
    ]
app.conf.update(
    task_queues=queues,
    task_default_queue=queues[0].name,
    task_default_exchange=queues[0].name,
    task_default_routing_key=queues[0].name,
    task_default_queue_type="quorum" if QUORUM else "classic",
    worker_detect_quorum_queues=QUORUM,
    # Other Celery applications may use the same broker.
    control_exchange=f"conformance-{queues[0].name}-control",
    event_exchange=f"conformance-{queues[0].name}-events",
    worker_prefetch_multiplier=1,
    task_send_sent_event=True,
    worker_send_task_events=True,
    task_track_started=True,
    broker_connection_retry_on_startup=True,
    result_expires=60,
)


def note(file: str, text: object) -> None:
    """One line, appended in one write: several processes do so."""
    with (WORK / file).open("a") as stream:
        stream.write(f"{text}\n")


@app.task
def add(x, y):
    return x + y


@app.task
def length(text):
    return len(text)


@app.task(bind=True, max_retries=5)
def flaky(self, failures):
    """Fails that many times, then says how often it was tried."""
    if self.request.retries < failures:
        raise self.retry(countdown=0.3)
    return self.request.retries


@app.task
def broken():
    raise ValueError("as intended")


@app.task
def slow(seconds):
    note("slow.txt", "started")
    time.sleep(seconds)
    return "done"


@app.task(bind=True, acks_late=True)
def survives(self):
    """The first worker that takes it dies over it."""
    note("survives.txt", self.request.delivery_info["redelivered"])
    if not self.request.delivery_info["redelivered"]:
        time.sleep(60)
    return self.request.delivery_info["redelivered"]


@app.task
def rank(priority):
    note("ranks.txt", priority)


@app.task(bind=True, acks_late=True)
def refuse(self):
    raise Reject("not wanted", requeue=False)


@app.task(bind=True)
def shout(self):
    note("shouts.txt", self.request.hostname)


@app.task(bind=True)
def came_by(self):
    return self.request.delivery_info["routing_key"]
