"""The files of CA certificates that settings name, looked at when the settings are read."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from outrider.config.checks import split_url
from outrider.config.settings import Settings
from outrider.config.texts import Fault

CA_BYTES: Final = 4 << 20


def authority_faults(settings: Settings, base: Path) -> Iterator[Fault]:
    """Each `ca_file` no server can be verified with. Reads the files; paths start at `base`."""
    for name, issuer in settings.identity.oidc.items():
        if issuer.ca_file is not None:
            flaw = _flaw(base / Path(issuer.ca_file).expanduser())
            if flaw is not None:
                yield _fault(f"identity.oidc.{name}.ca_file", issuer.ca_file, flaw)
    redis = settings.stores.redis
    if redis.ca_file is not None:
        flaw = _flaw(base / Path(redis.ca_file).expanduser())
        if flaw is not None:
            yield _fault("stores.redis.ca_file", redis.ca_file, flaw)
    for name, upstream in settings.upstreams.items():
        if upstream.ca_file is None:
            continue
        found = (
            _flaw(base / Path(upstream.ca_file).expanduser())
            if (url := split_url(upstream.url)) is not None and url.scheme == "https"
            else "or leave it out: this upstream's url is not https"
        )
        if found is not None:
            yield _fault(f"upstreams.{name}.ca_file", upstream.ca_file, found)


def _fault(key: str, value: str, flaw: str) -> Fault:
    return Fault(key=key, value=value, allowed=f"give a PEM file of CA certificates {flaw}")


def _flaw(path: Path) -> str | None:
    """What keeps `path` from being a PEM file of certificates, or None."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return f"({path} is no file)"
        if path.stat().st_size > CA_BYTES:
            return f"of at most {CA_BYTES} bytes"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        return "(this one is empty, not PEM, or broken)"
    except (OSError, ValueError):
        return "(this one cannot be read)"
    return None if context.cert_store_stats()["x509"] else "(this one holds none)"
