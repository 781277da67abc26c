"""The committed descriptor is the specification's, and lives in a pool of its own."""

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from outrider.identity import workload_proto as proto

FIELD = descriptor_pb2.FieldDescriptorProto
MESSAGES = {
    "X509SVIDRequest": [],
    "X509SVIDResponse": [
        (1, "svids", "repeated X509SVID"),
        (2, "crl", "repeated bytes"),
        (3, "federated_bundles", "map"),
    ],
    "X509SVID": [
        (1, "spiffe_id", "string"),
        (2, "x509_svid", "bytes"),
        (3, "x509_svid_key", "bytes"),
        (4, "bundle", "bytes"),
        (5, "hint", "string"),
    ],
    "JWTSVIDRequest": [(1, "audience", "repeated string"), (2, "spiffe_id", "string")],
    "JWTSVIDResponse": [(1, "svids", "repeated JWTSVID")],
    "JWTSVID": [(1, "spiffe_id", "string"), (2, "svid", "string"), (3, "hint", "string")],
    "JWTBundlesRequest": [],
    "JWTBundlesResponse": [(1, "bundles", "map")],
}
"""The Workload API's messages as its specification numbers them; a map is string to bytes."""
SCALARS = {"string": FIELD.TYPE_STRING, "bytes": FIELD.TYPE_BYTES}


def _described() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="workload.proto", syntax="proto3")
    for name, fields in MESSAGES.items():
        told = file.message_type.add(name=name)
        for number, field_name, said in fields:
            many = said.startswith("repeated ") or said == "map"
            field = told.field.add(name=field_name, number=number)
            field.label = FIELD.LABEL_REPEATED if many else FIELD.LABEL_OPTIONAL
            kind = said.removeprefix("repeated ")
            field.type = SCALARS.get(kind, FIELD.TYPE_MESSAGE)
            if kind == "map":
                entry = told.nested_type.add(
                    name="".join(part.title() for part in field_name.split("_")) + "Entry"
                )
                entry.options.map_entry = True
                for at, (part, scalar) in enumerate(
                    [("key", FIELD.TYPE_STRING), ("value", FIELD.TYPE_BYTES)], start=1
                ):
                    entry.field.add(name=part, number=at, label=FIELD.LABEL_OPTIONAL, type=scalar)
                field.type_name = f".{name}.{entry.name}"
            elif kind not in SCALARS:
                field.type_name = f".{kind}"
    return file


def test_the_committed_descriptor_is_made_from_this_table():
    assert proto.file_descriptor() == _described().SerializeToString(deterministic=True)


def test_it_agrees_with_what_the_spiffe_package_carries():
    from spiffe._proto import workload_pb2  # noqa: PLC0415 - the trap itself: both in one process

    theirs = descriptor_pb2.FileDescriptorProto()
    workload_pb2.DESCRIPTOR.CopyToProto(theirs)
    shapes = {
        message.name: {(f.name, f.number, f.label, f.type) for f in message.field}
        for message in theirs.message_type
    }
    for message in _described().message_type:
        assert {(f.name, f.number, f.label, f.type) for f in message.field} == shapes[message.name]


def test_nothing_of_ours_stands_in_the_default_pool():
    ours = proto.decoded("X509SVIDRequest", b"").DESCRIPTOR
    assert ours.file.pool is not descriptor_pool.Default()


def test_what_is_encoded_is_read_back():
    data = proto.encoded(
        "X509SVIDResponse",
        svids=[{"spiffe_id": "spiffe://a.test/a", "x509_svid": b"c", "hint": "h"}],
        federated_bundles={"spiffe://b.test": b"d"},
    )
    message = proto.decoded("X509SVIDResponse", data)
    assert [svid.spiffe_id for svid in message.svids] == ["spiffe://a.test/a"]
    assert dict(message.federated_bundles) == {"spiffe://b.test": b"d"}


def test_an_unknown_field_is_ignored():
    assert proto.decoded("JWTSVIDResponse", b"\x9a\x06\x01x").svids == []


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xff\xff", id="not-a-message"),
        pytest.param(b"\x0a\x7f", id="truncated"),
        pytest.param(b"\x0a\x03\x0a\x01\xff", id="text-that-is-not-utf-8"),
    ],
)
def test_other_bytes_raise_one_error(data):
    with pytest.raises(proto.UndecodableError):
        proto.decoded("X509SVIDResponse", data)
