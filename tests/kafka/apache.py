"""Apache Kafka for tests: KRaft brokers on loopback, fetched by Maven, started, waited for, killed and stopped.

Each has two listeners for clients: in plain text, where everyone may do everything, and by SASL over TLS, where USER
may do what it was allowed to.
"""

import base64
import shutil
import socket
import subprocess
import time
import uuid
from contextlib import ExitStack, contextmanager
from pathlib import Path

import trustme
from brokers import Brokers
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)
from cryptography.hazmat.primitives import serialization
from ending import process_group
from machine import PATIENCE

POM = Path(__file__).parent / "pom.xml"
# Ready sooner, and smaller, than a broker that is to be fast.
JVM = ["-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
SETTINGS = {
    "process.roles": "broker,controller",
    "controller.listener.names": "QUORUM",
    "inter.broker.listener.name": "INNER",
    "listener.security.protocol.map": "CLIENT:PLAINTEXT,SECURE:SASL_SSL,INNER:PLAINTEXT,QUORUM:PLAINTEXT",
    "sasl.enabled.mechanisms": "SCRAM-SHA-512",
    "listener.name.secure.scram-sha-512.sasl.jaas.config": (
        "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    ),
    "listener.name.secure.ssl.keystore.type": "PEM",
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
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


USER, PASSWORD = "collector", "only for tests"  # of the listener with SASL and TLS
READ, WRITE = AclOperation.READ, AclOperation.WRITE


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
    """Brokers of Apache Kafka, by their numbers; they are in a process group."""

    def __init__(self, count, folder, jars, group, settings):
        self.folder, self._jars, self._group = folder, jars, group
        self._settings = SETTINGS | settings
        self.numbers = range(1, count + 1)
        with ExitStack() as stack:
            held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(4 * count)]
            ports = [one.getsockname()[1] for one in held]
        # For clients in plain text, for those by SASL and TLS, for each other, and for the quorum.
        self._ports = {n: ports[4 * n - 4 : 4 * n] for n in self.numbers}
        self._cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "a")
        self._authority = folder / "ca.pem"
        self.processes = {}
        super().__init__(",".join(f"127.0.0.1:{self._ports[n][0]}" for n in self.numbers))

    def begin(self):
        """Format their disks, start all, and return once they are up."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self._authority)
        mine = authority.issue_cert("127.0.0.1")
        self._certify(mine.private_key_pem.bytes(), [one.bytes() for one in mine.cert_chain_pems])
        for n in self.numbers:
            self._file(n).write_text(self._properties(n))
        self._format(*self.numbers)
        for n in self.numbers:
            self.start(n)
        self.wait_up()

    def start(self, number):
        with (self.folder / f"{number}.log").open("ab") as log:
            command = self._java("kafka.Kafka", str(self._file(number)))
            self.processes[number] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=self._group
            )

    def kill(self, number):
        self.processes[number].kill()
        self.processes[number].wait(PATIENCE)

    def wipe(self, number):
        """Lose the disk of a broker that is dead, and give it an empty one."""
        shutil.rmtree(self.folder / f"disk-{number}")
        self._format(number)

    def signal(self, number, what):
        self.processes[number].send_signal(what)

    def wait_up(self):
        """Return once all are in the metadata that one of them gives, and all copies are in step."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for number, process in self.processes.items():
                assert process.poll() is None, (self.folder / f"{number}.log").read_text()[-3000:]
            if self.is_whole():
                return
            time.sleep(0.2)
        raise AssertionError(f"the brokers didn't come up; see {self.folder}")

    def is_whole(self):
        """Tell whether all are there, and each partition has its copies in step: only then may another die."""
        try:
            found = self._admin().list_topics(timeout=5)
        except KafkaException:
            return False
        partitions = [one for topic in found.topics.values() for one in topic.partitions.values()]
        return set(found.brokers) == set(self.numbers) and all(len(one.isrs) == len(one.replicas) for one in partitions)

    # What an operator does

    def make(self, *topics, partitions=4, **settings):
        copies = min(3, len(self.numbers))
        settings = {name.replace("_", "."): value for name, value in settings.items()}
        self._do("create_topics", [NewTopic(one, partitions, copies, config=settings) for one in topics])

    def add_partitions(self, topic, partitions):
        self._do("create_partitions", [NewPartitions(topic, partitions)])
        while len(self._producer.list_topics(topic, timeout=PATIENCE).topics[topic].partitions) < partitions:
            time.sleep(0.1)

    def delete_before(self, topic, partition, offset):
        """Delete the first messages of a partition, as retention does."""
        self._do("delete_records", [TopicPartition(topic, partition, offset)])

    def allow(self, operation, kind, name):
        """Let USER do something with a topic or a group."""
        allowed = AclBinding(*self._acl(kind, name), operation, AclPermissionType.ALLOW)
        self._do("create_acls", [allowed])

    def forbid(self, operation, kind, name):
        """Take it away."""
        self._do("delete_acls", [AclBindingFilter(*self._acl(kind, name), operation, AclPermissionType.ANY)])

    def allow_service(self, kafka, topics):
        """Let USER do what configs/kafka.md says that the service needs."""
        self.allow(READ, "group", kafka["group_id"])
        for topic in (kafka["ownership_topic"], *topics):
            self.allow(READ, "topic", topic)

    def secured(self, kafka):
        """Make of a service's ``kafka`` one for the listener with SASL and TLS."""
        secret = {
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(self._authority),
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": USER,
            "sasl.password": PASSWORD,
        }
        address = ",".join(f"127.0.0.1:{self._ports[n][1]}" for n in self.numbers)
        return kafka | {"bootstrap_servers": address, "librdkafka_options": kafka["librdkafka_options"] | secret}

    def consumer_groups(self, *arguments):
        """Run ``kafka-consumer-groups`` and return what it prints."""
        command = self._java("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", *arguments)
        done = subprocess.run(
            [*command, "--bootstrap-server", self.address],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    # What it sees

    def leader(self, topic, partition):
        return self._admin().list_topics(topic, timeout=PATIENCE).topics[topic].partitions[partition].leader

    def coordinator(self, group):
        """Return the number of the broker that a group's members and commits go to."""
        [found] = self._do("describe_consumer_groups", [group])
        return found.coordinator.id

    def has_offsets(self, group):
        """Tell whether anything is committed for a group."""
        [found] = self._do("list_consumer_group_offsets", [ConsumerGroupTopicPartitions(group)])
        return any(one.offset >= 0 for one in found.topic_partitions)

    def _do(self, what, orders):
        admin = self._admin()  # what it is asked for ends with it
        return [future.result(PATIENCE) for future in getattr(admin, what)(orders).values()]

    def _admin(self):
        return AdminClient({"bootstrap.servers": self.address, "log_level": 0, "socket.timeout.ms": 5000})

    @staticmethod
    def _acl(kind, name):
        return ResourceType[kind.upper()], name, ResourcePatternType.LITERAL, f"User:{USER}", "*"

    # How it is run

    def _java(self, main, *arguments):
        return ["java", *JVM, "-cp", f"{self._jars}/*", main, *arguments]

    def _format(self, *numbers):
        """Format disks, all at once."""
        tools = []
        for number in numbers:
            options = ["-t", self._cluster, "-c", str(self._file(number))]
            options += ["--add-scram", f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"]
            command = self._java("kafka.tools.StorageTool", "format", *options)
            streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
            tools.append(subprocess.Popen(command, **streams, process_group=self._group))
        for tool in tools:
            said, _ = tool.communicate(timeout=PATIENCE)
            assert tool.returncode == 0, said

    def _certify(self, key, chain):
        """Write the brokers' certificate as Java takes it, whose keys are in PKCS 8."""
        as_pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        key = serialization.load_pem_private_key(key, None).private_bytes(*as_pkcs8)
        (self.folder / "keystore.pem").write_bytes(key + b"".join(chain))

    def _file(self, number):
        return self.folder / f"{number}.properties"

    def _properties(self, number):
        count = len(self.numbers)
        copies, in_step = min(3, count), max(1, min(3, count) - 1)
        listeners = zip(("CLIENT", "SECURE", "INNER", "QUORUM"), self._ports[number], strict=True)
        values = {
            "node.id": number,
            "controller.quorum.voters": ",".join(f"{n}@127.0.0.1:{self._ports[n][3]}" for n in self.numbers),
            "listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in listeners),
            "listener.name.secure.ssl.keystore.location": self.folder / "keystore.pem",
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
    with process_group() as group:
        brokers = Apache(count, folder, jars, group, {name.replace("_", "."): one for name, one in settings.items()})
        try:
            brokers.begin()
            yield brokers
        finally:
            for process in brokers.processes.values():
                process.kill()  # one that is stopped, too
                process.wait(PATIENCE)
