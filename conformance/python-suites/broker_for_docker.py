"""pytest plugin: aiormq's and aio-pika's tests without Docker.

Both run their brokers in containers, by a small client of their own in
tests/docker_client.py. Its two entry points are replaced here before their
conftest imports them; the tests themselves stay as released:

* the container that all tests share becomes the broker at AMQP_HOST:AMQP_PORT;
* a container that a test wants for itself, to kill and to restart it, becomes
  a Harrier of its own (HARRIER_BIN), and is skipped when there is no binary.

AMQPS_PORT is the shared broker's TLS port; without it the tests that need one
are skipped.
"""

import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from tests import docker_client
from yarl import URL

AMQP = "5672/tcp"
AMQPS = "5671/tcp"
SHARED = "shared"
TIMEOUT_S = 20


class OwnBroker:
    """A Harrier that keeps its port and its data when it is restarted."""

    def __init__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder = Path(tempfile.mkdtemp(dir=os.environ["WORK"], prefix="own-broker-"))
        self.process = None
        self.start()

    def start(self):
        log = self.folder / "log"
        command = [os.environ["HARRIER_BIN"], "serve", "--data-dir", self.folder / "data"]
        command += ["--amqp", f"127.0.0.1:{self.port}", "--http", "off", "--prometheus", "off"]
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + TIMEOUT_S
        while "harrier ready" not in log.read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no broker for the test: {log.read_text()}")
            time.sleep(0.05)

    def stop(self, sign):
        self.process.send_signal(sign)
        return self.process.wait(TIMEOUT_S)

    def remove(self):
        if self.process.poll() is None:
            self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


# By container id; a test makes more than one client for the same containers.
own_brokers = {}
numbers = itertools.count()
exit_codes = {}


class BrokerClient:
    """What the tests use of their Docker client."""

    def __init__(self, docker_host_info=None):
        self.docker_host_info = docker_host_info

    def run(self, image, ports, environment=None):
        # The shared container is the one that is asked for with TLS.
        if AMQPS in ports:
            return docker_client.ContainerInfo(SHARED, shared_ports(), os.environ["AMQP_HOST"])
        if "HARRIER_BIN" not in os.environ:
            pytest.skip("needs a broker of its own, to stop and to start it")
        broker = OwnBroker()
        identity = f"own-{next(numbers)}"
        own_brokers[identity] = broker
        return docker_client.ContainerInfo(identity, {AMQP: broker.port}, "127.0.0.1")

    def start(self, container):
        own_brokers[container].start()

    def kill(self, container):
        if container in own_brokers:
            own_brokers[container].stop(signal.SIGKILL)

    def remove(self, container):
        if container in own_brokers:
            own_brokers.pop(container).remove()

    def inspect(self, container):
        return {"Id": container}

    def _parse_ports(self, info):
        return {AMQP: own_brokers[info["Id"]].port}

    def _request(self, method, path, body=None):
        """`rabbitmqctl stop_app` and `start_app` in a container, as Docker's exec."""
        _, kind, identity, action = path.split("/")
        if kind == "containers" and action == "exec":
            program, command = body["Cmd"]
            assert program == "rabbitmqctl"
            exit_codes[identity] = self.control(own_brokers[identity], command)
            return {"Id": identity}
        if kind == "exec" and action == "json":
            return {"Running": False, "ExitCode": exit_codes[identity]}
        return None

    def control(self, broker, command):
        if command == "stop_app":
            return broker.stop(signal.SIGTERM)
        assert command == "start_app"
        broker.start()
        return 0


def shared_ports():
    ports = {AMQP: int(os.environ["AMQP_PORT"])}
    # Without TLS nobody connects to this port: those tests are skipped.
    ports[AMQPS] = int(os.environ.get("AMQPS_PORT", 0))
    return ports


docker_client.DockerClient = BrokerClient
docker_client.check_docker_available = lambda: docker_client.DockerHostInfo(is_tcp=False)


# aiormq's source package lacks the top conftest that has these two. aio-pika's
# own fixtures of the same names take precedence over them.
@pytest.fixture(scope="session")
def rabbitmq_container():
    return BrokerClient().run("", [AMQP, AMQPS])


@pytest.fixture(scope="session")
def amqp_direct_url(rabbitmq_container):
    return URL.build(
        scheme="amqp",
        user="guest",
        password="guest",
        path="//",
        host=rabbitmq_container.host,
        port=rabbitmq_container.ports[AMQP],
    )


# Tests that reach for the TLS port by other ways than the parameter.
TLS_TESTS = ("test_ssl_verification_fails_without_trusted_ca", "test_ssl_context")


def wants_tls(item):
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    by_url = str(parameters.get("amqp_url", "")).startswith("amqps")
    return by_url or "::TestCaseAMQPS::" in item.nodeid or item.name in TLS_TESTS


def pytest_collection_modifyitems(items):
    if "AMQPS_PORT" in os.environ:
        return
    for item in items:
        if wants_tls(item):
            item.add_marker(pytest.mark.skip(reason="no TLS listener"))
