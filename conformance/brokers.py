"""Brokers that run while a block lasts: Debian's RabbitMQ, and whatever else is started by a command.

Used by the suites that hold Harrier against a real RabbitMQ and by scripts/bench.
Everything of a RabbitMQ started here is its own: ports, node name, data, epmd.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

INSTALL_PACKAGES = Path(__file__).resolve().parent / "install_packages"
RABBITMQ_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
# The machine has other work at the same time, and Erlang starts slowly.
READY_TIMEOUT_S = 120
STOP_TIMEOUT_S = 30
LOG_SHOWN_MAX = 4000


class BrokerError(Exception):
    """What kept a broker from running, for the person who wanted one."""


@dataclass
class RabbitMQ:
    process: subprocess.Popen
    amqp_port: int
    # None without the management plugin.
    management_port: int | None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(name, command, port, directory, environment=None):
    """A broker, from the moment it speaks AMQP at `port`; its output is kept in `directory`."""
    log_path = Path(directory) / f"{name}.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **(environment or {})},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            await_answer(lambda: speaks_amqp(port), process, name, port)
            yield process
        except BrokerError:
            sys.stderr.write(log_path.read_text(errors="replace")[-LOG_SHOWN_MAX:])
            raise
        finally:
            stop(process)


def await_answer(answers, process, name, port):
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BrokerError(f"{name} ended with status {process.returncode} while starting")
        try:
            if answers():
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise BrokerError(f"{name} did not answer at port {port} in {READY_TIMEOUT_S} s")


def speaks_amqp(port):
    """An AMQP server answers the header; a port alone isn't ready."""
    with socket.create_connection(("127.0.0.1", port), 1) as probe:
        probe.sendall(b"AMQP\x00\x00\x09\x01")
        return bool(probe.recv(1))


def speaks_http(port):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/api/", timeout=5).close()
    except urllib.error.HTTPError:
        # Any status is an answer.
        pass
    return True


def stop(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def install_rabbitmq():
    if RABBITMQ_SERVER.exists():
        return
    if os.geteuid() != 0:
        raise BrokerError("rabbitmq-server is not installed, and only root can install it")
    subprocess.run([INSTALL_PACKAGES, "rabbitmq-server"], check=True)


@contextmanager
def rabbitmq(directory, plugins=()):
    """Debian's RabbitMQ as it ships, but for its node name, ports and directories.

    With `rabbitmq_management` among the plugins its API is served as well.
    """
    install_rabbitmq()
    base = Path(directory) / "rabbitmq"
    base.mkdir(parents=True)
    port, epmd_port = free_port(), free_port()
    management_port = free_port() if "rabbitmq_management" in plugins else None
    environment = write_configuration(base, plugins, management_port) | {
        "HOME": str(base),
        "ERL_EPMD_PORT": str(epmd_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"harrier{os.getpid()}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(base / "mnesia"),
        "RABBITMQ_LOG_BASE": str(base / "log"),
    }
    try:
        with running("rabbitmq", [str(RABBITMQ_SERVER)], port, directory, environment) as process:
            if management_port is not None:
                await_answer(lambda: speaks_http(management_port), process, "rabbitmq", management_port)
            yield RabbitMQ(process, port, management_port)
    finally:
        end_epmd(epmd_port)


def write_configuration(base, plugins, management_port):
    """Files instead of those in /etc/rabbitmq, and the variables that name them."""
    (base / "enabled_plugins").write_text(f"[{','.join(plugins)}].\n")
    lines = []
    if management_port is not None:
        lines = ["management.tcp.ip = 127.0.0.1", f"management.tcp.port = {management_port}"]
    (base / "rabbitmq.conf").write_text("".join(f"{line}\n" for line in lines))
    return {
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(base / "enabled_plugins"),
        "RABBITMQ_CONFIG_FILE": str(base / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(base / "none.config"),
        "RABBITMQ_CONF_ENV_FILE": str(base / "none.conf"),
    }


def end_epmd(port):
    """Erlang's name server outlives the node that started it, in a session of its own."""
    subprocess.run(
        ["epmd", "-port", str(port), "-kill"],
        env={**os.environ, "ERL_EPMD_PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
