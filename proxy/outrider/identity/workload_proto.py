"""The messages of the SPIFFE Workload API, in a descriptor pool of our own.

The API's file has no package, and `spiffe` registers its own copy of it in protobuf's default pool
as soon as it is imported: a second copy there fails the import (IDENTITY §1). So the descriptor is
committed serialised and loaded into a pool that nobody else sees; calls go by method path.
`tests/unit/identity/test_workload_proto.py` holds the table it is made from, and fails where the
two differ. Law: add, never renumber; the numbers are those of the specification.
"""

import base64
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

FETCH_X509_SVID: Final = "/SpiffeWorkloadAPI/FetchX509SVID"
FETCH_JWT_SVID: Final = "/SpiffeWorkloadAPI/FetchJWTSVID"
FETCH_JWT_BUNDLES: Final = "/SpiffeWorkloadAPI/FetchJWTBundles"
SECURITY_HEADER: Final = ("workload.spiffe.io", "true")
"""Metadata of every call; an agent refuses calls without it (Workload Endpoint §3)."""

_FILE: Final = (
    "Cg53b3JrbG9hZC5wcm90byIRCg9YNTA5U1ZJRFJlcXVlc3QitgEKEFg1MDlTVklEUmVzcG9uc2USGAoFc3ZpZHMYASAD"
    "KAsyCS5YNTA5U1ZJRBILCgNjcmwYAiADKAwSQgoRZmVkZXJhdGVkX2J1bmRsZXMYAyADKAsyJy5YNTA5U1ZJRFJlc3Bv"
    "bnNlLkZlZGVyYXRlZEJ1bmRsZXNFbnRyeRo3ChVGZWRlcmF0ZWRCdW5kbGVzRW50cnkSCwoDa2V5GAEgASgJEg0KBXZh"
    "bHVlGAIgASgMOgI4ASJlCghYNTA5U1ZJRBIRCglzcGlmZmVfaWQYASABKAkSEQoJeDUwOV9zdmlkGAIgASgMEhUKDXg1"
    "MDlfc3ZpZF9rZXkYAyABKAwSDgoGYnVuZGxlGAQgASgMEgwKBGhpbnQYBSABKAkiNQoOSldUU1ZJRFJlcXVlc3QSEAoI"
    "YXVkaWVuY2UYASADKAkSEQoJc3BpZmZlX2lkGAIgASgJIioKD0pXVFNWSURSZXNwb25zZRIXCgVzdmlkcxgBIAMoCzII"
    "LkpXVFNWSUQiOAoHSldUU1ZJRBIRCglzcGlmZmVfaWQYASABKAkSDAoEc3ZpZBgCIAEoCRIMCgRoaW50GAMgASgJIhMK"
    "EUpXVEJ1bmRsZXNSZXF1ZXN0IncKEkpXVEJ1bmRsZXNSZXNwb25zZRIxCgdidW5kbGVzGAEgAygLMiAuSldUQnVuZGxl"
    "c1Jlc3BvbnNlLkJ1bmRsZXNFbnRyeRouCgxCdW5kbGVzRW50cnkSCwoDa2V5GAEgASgJEg0KBXZhbHVlGAIgASgMOgI4"
    "AWIGcHJvdG8z"
)


class UndecodableError(ValueError):
    """Bytes that are no message of the expected kind."""


def file_descriptor() -> bytes:
    """The serialised `FileDescriptorProto` that the messages are made from."""
    return base64.b64decode(_FILE)


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto.FromString(file_descriptor())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        each.name: message_factory.GetMessageClass(pool.FindMessageTypeByName(each.name))
        for each in file.message_type
    }


_CLASSES: Final = _classes()


def encoded(kind: str, **fields: Any) -> bytes:  # noqa: ANN401 - protobuf has no types of ours
    """The bytes of a message of `kind`, such as `X509SVIDRequest`; the same for the same fields."""
    data: bytes = _CLASSES[kind](**fields).SerializeToString(deterministic=True)
    return data


def decoded(kind: str, data: bytes) -> Any:  # noqa: ANN401 - protobuf has no types of ours
    """The message of `kind` in `data`. Raises `UndecodableError`; unknown fields are ignored."""
    try:
        return _CLASSES[kind].FromString(data)
    except message.DecodeError:
        raise UndecodableError(f"not a {kind}") from None
