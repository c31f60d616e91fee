"""Reads the topics of a pipeline to where they end, as a program of somebody else would.

Run by the Python of `consumers`: read_topics.py FOLDER BROKERS PREFIX FORM TOPICS prints what it has seen as JSON. FORM is protobuf, json, framed
or framed_json.
"""

import base64
import collections
import json
import pathlib
import subprocess
import sys

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "proto/tributary/v1"


def messages(folder):
    """What protoc makes of the one file that readers have."""
    made = folder / "made"
    made.mkdir(exist_ok=True)
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{SCHEMAS}", f"--python_out={made}", "output.proto"], check=True)
    sys.path.insert(0, str(made))
    import output_pb2

    return output_pb2


def cell(field, value):
    if field.type == field.TYPE_ENUM:
        of = field.enum_type
        return of.values_by_number[value].name.removeprefix(f"{of.name.upper()}_").lower()
    if field.type == field.TYPE_BYTES:
        return base64.b64encode(value).decode()
    return row_of(value) if field.type == field.TYPE_MESSAGE else value


def is_repeated(field):
    # Versions before 6.31 have no word of its own for it.
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


def row_of(message):
    """A message as the JSON form has it: every field, and maps where they have entries."""
    row = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.type == field.TYPE_MESSAGE and field.message_type.GetOptions().map_entry:
            if value:
                row[field.name] = dict(value)
        elif is_repeated(field):
            row[field.name] = [cell(field, item) for item in value]
        else:
            row[field.name] = cell(field, value)
    return row


def values(brokers, topic):
    """Key and value of every committed record, in the order of each partition."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "others", "isolation.level": "read_committed", "enable.auto.commit": False,
                         "enable.partition.eof": True})
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    ended = set()
    while len(ended) < len(partitions):
        record = consumer.poll(30)
        if record is None:
            raise SystemExit(f"{topic}: nothing comes, and it has not ended")
        if record.error():
            # The end of a partition.
            ended.add(record.partition())
        else:
            yield record.key(), record.value()
    consumer.close()


def decoder(form, topic, message):
    """How a value becomes a row."""
    if form == "json":
        return json.loads
    if form == "framed_json":
        # A zero byte and the id; confluent's deserializer would ask the registry for the schema and then do this.
        return lambda value: json.loads(value[5:]) if value[0] == 0 else None
    if form == "framed":
        deserializer = ProtobufDeserializer(message, {"use.deprecated.format": False})
        context = SerializationContext(topic, MessageField.VALUE)
        return lambda value: row_of(deserializer(value, context))
    return lambda value: row_of(message.FromString(value))


def main(folder, brokers, prefix, form, topics):
    made = messages(pathlib.Path(folder))
    latest, sums = {}, collections.defaultdict(lambda: [0, 0])
    for role, name in json.loads(topics).items():
        topic, rows = f"{prefix}.{role}", {}
        decode = decoder(form, topic, getattr(made, name))
        for key, value in values(brokers, topic):
            if value is None:
                rows.pop(key.decode(), None)
                continue
            row = decode(value)
            of = key.decode()
            if role == "credits":
                of = "\x1f".join((row["milestone_id"], row["model"], row["touch_id"]))
                sums[row["milestone_id"] + " " + row["model"]][0] += row["delta_weight_nano"]
            if of in rows and role != "spend" and rows[of]["revision"] > row["revision"]:
                raise SystemExit(f"{topic}: {of}: revision {row['revision']} comes after {rows[of]['revision']}")
            rows[of] = row
        latest[role] = rows
    for row in latest["credits"].values():
        sums[row["milestone_id"] + " " + row["model"]][1] += row["weight_nano"]
    print(json.dumps({"latest": latest, "sums": sums}))


if __name__ == "__main__":
    main(*sys.argv[1:])
