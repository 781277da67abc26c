"""SVIDs in PEM files, in the layout of spiffe-helper: what `identity.source: files` reads, and what
`tests.support.fake_workload_api` serves as a process."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.spiffe_ca import Ca, Svid


def write_svid(
    directory: Path,
    ca: Ca,
    path: str = "/planner",
    *,
    federated: Iterable[Ca] = (),
    jwt_bundles: Mapping[str, bytes] | None = None,
    **changes: Any,
) -> Svid:
    """A new SVID by `ca` in `directory`, each file swapped whole, the leaf last; `federated` are
    the roots of other trust domains, `jwt_bundles` JWKS by trust domain, `changes` as for
    `spiffe_ca.a_leaf`."""
    svid = ca.svid(path, **changes)
    directory.mkdir(parents=True, exist_ok=True)
    key = svid.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for root in federated:
        replace(directory / f"federated.{root.trust_domain}.pem", pem_of(root))
    for domain, document in (jwt_bundles or {}).items():
        replace(directory / f"jwt.{domain}.json", document)
    replace(directory / "svid_bundle.pem", pem_of(ca.root))
    replace(directory / "svid_key.pem", key, mode=0o600)
    sent = (svid.certificate, *svid.between)
    replace(directory / "svid.pem", b"".join(one.public_bytes(Encoding.PEM) for one in sent))
    return svid


def pem_of(*authorities: Ca) -> bytes:
    return b"".join(one.certificate.public_bytes(Encoding.PEM) for one in authorities)


def replace(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write `path` whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(data)
    fresh.replace(path)
