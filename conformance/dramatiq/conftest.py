"""The fixtures that test_rabbitmq.py asks for: a broker with priorities, and a worker of it."""

import dramatiq
import pytest
from dramatiq import Worker
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.common import dq_name, q_name, xq_name

from .common import RABBITMQ_CREDENTIALS

# The tests of priorities send 0 to 9.
PRIORITY_MAX = 10
THREADS = 8


@pytest.fixture
def rabbitmq_broker():
    broker = RabbitmqBroker(host="127.0.0.1", credentials=RABBITMQ_CREDENTIALS, max_priority=PRIORITY_MAX)
    broker.emit_after("process_boot")
    dramatiq.set_broker(broker)
    yield broker
    # Each test begins with empty queues, though their names are the same.
    for queue in broker.get_declared_queues():
        for name in (q_name(queue), dq_name(queue), xq_name(queue)):
            broker.channel.queue_delete(name)
    broker.close()


@pytest.fixture
def rabbitmq_worker(rabbitmq_broker):
    worker = Worker(rabbitmq_broker, worker_threads=THREADS)
    worker.start()
    yield worker
    worker.stop()
