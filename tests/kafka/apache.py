"""Apache Kafka for tests: KRaft brokers on loopback, fetched by Maven, started, waited for, killed and stopped."""

import base64
import shutil
import signal
import socket
import subprocess
import time
import uuid
from contextlib import ExitStack, contextmanager
from pathlib import Path

from brokers import Brokers
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic
from machine import PATIENCE

POM = Path(__file__).parent / "pom.xml"
# Ready sooner, and smaller, than a broker that is to be fast.
JVM = ["-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
SETTINGS = {
    "process.roles": "broker,controller",
    "controller.listener.names": "QUORUM",
    "inter.broker.listener.name": "INNER",
    "listener.security.protocol.map": "CLIENT:PLAINTEXT,INNER:PLAINTEXT,QUORUM:PLAINTEXT",
    "num.partitions": 4,
    "auto.create.topics.enable": "false",
    "offsets.topic.num.partitions": 4,
    "group.initial.rebalance.delay.ms": 0,
    # By default 45 s, for which each test of a takeover would wait.
    "group.min.session.timeout.ms": 1000,
    "group.consumer.min.session.timeout.ms": 1000,
    "group.consumer.session.timeout.ms": 3000,
    "group.consumer.min.heartbeat.interval.ms": 100,
    "group.consumer.heartbeat.interval.ms": 500,
}


def why_not():
    """Say what has to be installed; nothing if all is there."""
    missing = [name for name in ("java", "mvn") if shutil.which(name) is None]
    return f"apt-get install openjdk-17-jre-headless maven  # no {' and no '.join(missing)} here" if missing else ""


def fetch(folder):
    """Have Maven put the jars into a folder, from its own store once they are there."""
    command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    subprocess.run([*command, f"-DoutputDirectory={folder}"], check=True, timeout=PATIENCE, capture_output=True)
    return folder


class Apache(Brokers):
    """Brokers of Apache Kafka, by their numbers."""

    def __init__(self, count, folder, jars, settings):
        self.folder, self._jars = folder, jars
        self._settings = SETTINGS | settings
        self.numbers = range(1, count + 1)
        with ExitStack() as stack:
            held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3 * count)]
            ports = [one.getsockname()[1] for one in held]
        self._ports = {n: ports[3 * n - 3 : 3 * n] for n in self.numbers}  # for clients, each other, the quorum
        self.processes = {}
        super().__init__(",".join(f"127.0.0.1:{self._ports[n][0]}" for n in self.numbers))

    def begin(self):
        """Format their disks, start all, and return once they are up."""
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "a")
        tools = []
        for n in self.numbers:
            self._file(n).write_text(self._properties(n))
            command = self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._file(n)))
            tools.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        for tool in tools:
            said, _ = tool.communicate(timeout=PATIENCE)
            assert tool.returncode == 0, said
        for n in self.numbers:
            self.start(n)
        self.wait_up()

    def make(self, *topics, partitions=4):
        copies = min(3, len(self.numbers))
        admin = self._admin()  # what it is asked for ends with it
        for future in admin.create_topics([NewTopic(one, partitions, copies) for one in topics]).values():
            future.result(PATIENCE)

    def start(self, number):
        with (self.folder / f"{number}.log").open("ab") as log:
            command = self._java("kafka.Kafka", str(self._file(number)))
            self.processes[number] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self, number):
        self.processes[number].kill()
        self.processes[number].wait(PATIENCE)

    def signal(self, number, what):
        self.processes[number].send_signal(what)

    def wait_up(self):
        """Return once all are in the metadata that one of them gives."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for number, process in self.processes.items():
                assert process.poll() is None, (self.folder / f"{number}.log").read_text()[-3000:]
            try:
                if set(self._admin().list_topics(timeout=2).brokers) == set(self.numbers):
                    return
            except KafkaException:
                time.sleep(0.2)
        raise AssertionError(f"the brokers didn't come up; see {self.folder}")

    def is_whole(self):
        """Tell whether each partition has all its copies in step: only then may another broker die."""
        try:
            topics = self._admin().list_topics(timeout=5).topics.values()
        except KafkaException:
            return False
        return all(len(one.isrs) == len(one.replicas) for topic in topics for one in topic.partitions.values())

    def stop(self):
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait(PATIENCE)

    def _admin(self):
        return AdminClient({"bootstrap.servers": self.address, "log_level": 0, "socket.timeout.ms": 5000})

    def _java(self, main, *arguments):
        return ["java", *JVM, "-cp", f"{self._jars}/*", main, *arguments]

    def _file(self, number):
        return self.folder / f"{number}.properties"

    def _properties(self, number):
        count = len(self.numbers)
        copies, in_step = min(3, count), max(1, min(3, count) - 1)
        client, inner, quorum = self._ports[number]
        values = {
            "node.id": number,
            "controller.quorum.voters": ",".join(f"{n}@127.0.0.1:{self._ports[n][2]}" for n in self.numbers),
            "listeners": f"CLIENT://127.0.0.1:{client},INNER://127.0.0.1:{inner},QUORUM://127.0.0.1:{quorum}",
            "log.dirs": self.folder / f"disk-{number}",
            "default.replication.factor": copies,
            "min.insync.replicas": in_step,
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.num.partitions": 4,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": in_step,
        }
        return "".join(f"{name}={value}\n" for name, value in (self._settings | values).items())


@contextmanager
def apache_brokers(count, folder, jars, **settings):
    """Run brokers while the block lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    brokers = Apache(count, folder, jars, settings)
    try:
        brokers.begin()
        yield brokers
    finally:
        brokers.stop()
