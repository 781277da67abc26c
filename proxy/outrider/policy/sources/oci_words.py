"""What an OCI registry says: its challenge, its tokens, its manifests. Pure; read strictly.

Law: whatever is not exactly what a bundle's registry says raises `FetchError`.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from outrider.core import strict_json
from outrider.core.errors import MalformedError
from outrider.core.jsonvalue import JsonObject, as_list
from outrider.policy.sources.origin import FetchError

MANIFEST_BYTES: Final = 1 << 20
TOKEN_BYTES: Final = 64 << 10
MANIFEST_TYPES: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
LAYER_TYPES: Final = frozenset(
    {
        "application/vnd.oci.image.layer.v1.tar+gzip",  # what OPA takes
        "application/vnd.docker.image.rootfs.diff.tar.gzip",  # the same, by its older name
    }
)
_LIMITS: Final = strict_json.JsonLimits(depth=16, nodes=5_000)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_PARAMETER: Final = re.compile(r'\s*([A-Za-z_]+)\s*=\s*(?:"([^"\\]*)"|([^\s,"]+))\s*(?:,|$)')
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]{1,32768}")
_CHALLENGE_CHARS: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """How a registry wants to be asked: `bearer` tokens from `realm`, else basic credentials."""

    bearer: bool
    realm: str = ""
    service: str = ""

    def token_url(self, repository: str, origin: str) -> str:
        """Where the token to pull `repository` is had: over https, or from the registry itself.

        We ask for what we need, whatever scope the registry names.
        """
        parts = urlsplit(self.realm)
        own = f"{parts.scheme}://{parts.netloc}" == origin
        if (parts.scheme != "https" and not own) or not parts.hostname:
            raise FetchError("the registry names no usable place for tokens")
        if parts.username is not None or parts.fragment:
            raise FetchError("the registry names no usable place for tokens")
        asked = parse_qsl(parts.query, keep_blank_values=True)
        asked += [("service", self.service)] if self.service else []
        asked.append(("scope", f"repository:{repository}:pull"))
        return urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(asked), ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """The one blob of a manifest that is the bundle."""

    digest: str
    size: int


def challenge_of(said: str) -> Challenge:
    """A `WWW-Authenticate`."""
    scheme, _, rest = said[:_CHALLENGE_CHARS].strip().partition(" ")
    if scheme.lower() == "basic":
        return Challenge(bearer=False)
    found: dict[str, str] = {}
    place = 0
    while match := _PARAMETER.match(rest, place):
        found[match[1].lower()] = match[2] if match[2] is not None else match[3]
        place = match.end()
    if scheme.lower() != "bearer" or not found.get("realm"):
        raise FetchError("the registry asks for credentials of an unknown kind")
    try:
        urlsplit(found["realm"])
    except ValueError:
        raise FetchError("the registry names no usable place for tokens") from None
    return Challenge(bearer=True, realm=found["realm"], service=found.get("service", ""))


def token_of(body: bytes) -> str:
    """The token in a token server's answer."""
    document = _object(body, "the token server's answer")
    token = document.get("token") or document.get("access_token")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise FetchError("the token server gives no token")
    return token


def manifest_digest(body: bytes, reference: str, fields: Mapping[str, str]) -> str:
    """The digest of a manifest, which is the one that was asked for and the one that is said."""
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    wanted = reference if _DIGEST.fullmatch(reference) else digest
    said = fields.get("docker-content-digest", digest)
    if digest != wanted or digest != said:
        raise FetchError("the manifest is not the one its digest names")
    return digest


def layer_of(body: bytes, limit_bytes: int) -> Layer:
    """The bundle that a manifest names."""
    document = _object(body, "the manifest")
    if document.get("mediaType", MANIFEST_TYPES[0]) not in MANIFEST_TYPES:
        raise FetchError("the manifest is of an unknown kind, such as an index of several")
    layers = [
        layer
        for layer in as_list(document.get("layers"))
        if isinstance(layer, dict) and layer.get("mediaType") in LAYER_TYPES
    ]
    if document.get("schemaVersion") != 2 or len(layers) != 1:
        raise FetchError("the manifest names not exactly one bundle (a layer tar+gzip)")
    match layers[0]:
        case {"digest": str(digest), "size": int(size)} if _DIGEST.fullmatch(digest) and size > 0:
            if size > limit_bytes:
                raise FetchError(f"the bundle is larger than {limit_bytes} bytes")
            return Layer(digest=digest, size=size)
        case _:
            raise FetchError("the manifest names a bundle without sha256 digest and size")


def check_blob(content: bytes, layer: Layer) -> None:
    """Raises `FetchError` for a blob that is not the one its manifest names."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if len(content) != layer.size or digest != layer.digest:
        raise FetchError("the blob is not the one its digest names")


def _object(body: bytes, what: str) -> JsonObject:
    try:
        value = strict_json.read(body, _LIMITS)
    except MalformedError:
        value = None
    if not isinstance(value, dict):
        raise FetchError(f"{what} is no strict JSON object")
    return value
