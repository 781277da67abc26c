"""Signed bundles in memory, and the servers they are fetched from, which misbehave when told to."""

import asyncio
import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from outrider.core.jsonvalue import JsonObject
from outrider.policy.archive import SIGNATURES, write_archive
from outrider.policy.bundle_keys import SigningKey
from outrider.policy.signature import sign
from tests.support.net import RecordingUpstream, Seen, UpstreamTurn
from tests.support.policy import ALLOW_ALL

SCOPE: Final = "outrider"
Say = Callable[[Seen], bytes | None]


@cache
def a_signing_key(algorithm: str = "ES256", id: str = "release") -> SigningKey:  # noqa: A002
    """A key pair made once for each id and algorithm."""
    if algorithm == "EdDSA":
        return SigningKey(id=id, algorithm=algorithm, private=ed25519.Ed25519PrivateKey.generate())
    if algorithm.startswith("ES"):
        curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
        private = ec.generate_private_key(curves[algorithm])
        return SigningKey(id=id, algorithm=algorithm, private=private)
    return SigningKey(id=id, algorithm=algorithm, private=rsa.generate_private_key(65537, 2048))


def write_keys(folder: Path, key: SigningKey | None = None) -> tuple[Path, Path]:
    """The private and the public key in PEM files."""
    key = key or a_signing_key()
    private, public = folder / f"{key.id}.key", folder / f"{key.id}.pem"
    folder.mkdir(parents=True, exist_ok=True)
    private.touch(mode=0o600)
    private.write_bytes(
        key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    public.write_text(key.verifying.pem(), encoding="ascii")
    return private, public


def bundle_files(
    rego: str = ALLOW_ALL, *, revision: str = "r1", sequence: int | None = 1, **data: Any
) -> dict[str, bytes]:
    """The files of a small bundle; `data` stands below `data.outrider`."""
    metadata: JsonObject = {} if sequence is None else {"sequence": sequence}
    manifest = {"revision": revision, "roots": ["outrider"], "metadata": metadata}
    return {
        ".manifest": orjson.dumps(manifest),
        "data.json": orjson.dumps({"outrider": data}),
        "outrider/main.rego": rego.encode(),
    }


def signed(
    files: Mapping[str, bytes], key: SigningKey | None = None, scope: str = SCOPE
) -> dict[str, bytes]:
    """`files` with their signature."""
    return {**files, SIGNATURES: sign(files, key or a_signing_key(), scope)}


def a_bundle(rego: str = ALLOW_ALL, *, key: SigningKey | None = None, **changes: Any) -> bytes:
    """A small signed bundle, packed; `changes` as for `bundle_files`."""
    return write_archive(signed(bundle_files(rego, **changes), key))


def reply(status: str, body: bytes = b"", **fields: str) -> bytes:
    named = {
        "Content-Length": str(len(body)),
        **{k.replace("_", "-"): v for k, v in fields.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + body


@dataclass(slots=True)
class FakeWeb(RecordingUpstream):
    """A web server with one bundle, by ETag. `says` may answer in its place: None is no answer."""

    content: bytes = b""
    etags: bool = True
    says: Say | None = None
    plain_path: str = "/bundle.tar.gz"

    @property
    def url(self) -> str:
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}{self.plain_path}"

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:16]}"' if self.etags else ""

    async def converse(self, turn: UpstreamTurn) -> None:
        while True:
            seen = await turn.request()
            answer = self.usual(seen) if self.says is None else self.says(seen)
            if answer is None:
                await asyncio.Event().wait()
            await turn.say(answer or b"")
            if self.says is not None:
                return

    def usual(self, seen: Seen) -> bytes:
        if self.etags and seen.field("if-none-match") == self.etag:
            return reply("304 Not Modified", ETag=self.etag)
        fields = {"ETag": self.etag} if self.etags else {}
        return reply("200 OK", self.content, **fields)


MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def a_manifest(content: bytes, **changes: Any) -> bytes:
    """The manifest of an image with one layer, as `oras push` and the policy tool write it."""
    layer = {"mediaType": LAYER, "digest": digest_of(content), "size": len(content)}
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(b"{}")}
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config | {"size": 2},
        "layers": [layer],
    }
    return orjson.dumps(document | changes)


@dataclass(slots=True)
class FakeRegistry(RecordingUpstream):
    """An OCI registry with one repository, `acme/policy`, and one tag, `prod`. With `challenge` it
    wants a token, had with `user:password`. `says` may answer in its place."""

    content: bytes = b""
    challenge: bool = False
    basic: str = base64.b64encode(b"robot:secret").decode()
    says: Say | None = None
    manifest: bytes | None = None
    blob: bytes | None = None
    paths: list[str] = field(default_factory=list)

    def url(self, reference: str = ":prod") -> str:
        return f"oci+http://127.0.0.1:{self.port}/acme/policy{reference}"

    def now(self) -> bytes:
        return self.manifest if self.manifest is not None else a_manifest(self.content)

    async def converse(self, turn: UpstreamTurn) -> None:
        while True:
            seen = await turn.request()
            self.paths.append(seen.line.split(" ")[1])
            answer = self.says(seen) if self.says is not None else self.usual(seen)
            if answer is None:
                await asyncio.Event().wait()
            await turn.say(answer or b"")

    def usual(self, seen: Seen) -> bytes:
        path = seen.line.split(" ")[1]
        if path.startswith("/token?"):
            if seen.field("authorization") != f"Basic {self.basic}":
                return reply("401 Unauthorized")
            return reply("200 OK", orjson.dumps({"token": "t0k", "expires_in": 60}))
        if self.challenge and seen.field("authorization") != "Bearer t0k":
            realm = f'Bearer realm="http://127.0.0.1:{self.port}/token",service="reg"'
            return reply("401 Unauthorized", WWW_Authenticate=realm)
        return self.stored(seen, path.removeprefix("/v2/acme/policy/"))

    def stored(self, seen: Seen, what: str) -> bytes:
        manifest = self.now()
        if what in ("manifests/prod", f"manifests/{digest_of(manifest)}"):
            if seen.field("if-none-match") == f'"{digest_of(manifest)}"':
                return reply("304 Not Modified")
            kind = {"Content_Type": MANIFEST, "Docker_Content_Digest": digest_of(manifest)}
            return reply("200 OK", manifest, **kind)
        if what == f"blobs/{digest_of(self.content)}":
            return reply("200 OK", self.content if self.blob is None else self.blob)
        return reply("404 Not Found")
