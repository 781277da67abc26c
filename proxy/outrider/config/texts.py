"""What no text in the settings may be: unprintable, endless, or a path that leads nowhere.

Looked at before anything is made of it: what takes a path or a host raises in ways of its own.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from outrider.config.listener_settings import Listener
from outrider.config.settings import Settings
from outrider.core.jsonvalue import Json, JsonObject

_TEXT_CHARS: Final = 4096
_NAME_BYTES: Final = 255  # of one part of a path, where files lie
_SOCKET_BYTES: Final = 107  # the kernel's own bound
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One setting that cannot be used: its key, its value, and what may stand there."""

    key: str
    value: object
    allowed: str


def text_faults(document: Json) -> Iterator[Fault]:
    """Each text of `document` that cannot be a setting, names of settings included."""
    allowed = f"give printable text of at most {_TEXT_CHARS} characters"
    places: list[tuple[str, Json]] = [("", document)]
    seen: set[int] = set()  # YAML lets one value stand in many places, and in itself
    while places:
        key, value = places.pop()
        if isinstance(value, str):
            if _is_unfit(value):
                yield Fault(key=key, value=value, allowed=allowed)
        elif isinstance(value, list | dict) and id(value) not in seen:
            seen.add(id(value))
            for name, entry in _entries(key, value):
                if _is_unfit(name):
                    yield Fault(key=key or "settings", value=name, allowed=allowed)
                else:
                    places.append((name, entry))


def _is_unfit(text: str) -> bool:
    return len(text) > _TEXT_CHARS or _UNPRINTABLE.search(text) is not None


def _entries(key: str, value: list[Json] | JsonObject) -> Iterator[tuple[str, Json]]:
    if isinstance(value, list):
        for entry in value:
            yield key, entry
    else:
        for name, entry in value.items():
            yield f"{key}.{name}" if key else name, entry


def path_faults(settings: Settings) -> Iterator[Fault]:
    """Each path that cannot be one, whatever lies there."""
    for key, text in _paths(settings):
        if not text:
            yield Fault(key=key, value=text, allowed="give a path, or leave it out")
        elif any(len(part.encode()) > _NAME_BYTES for part in text.split("/")):
            allowed = f"give a path whose parts have at most {_NAME_BYTES} bytes"
            yield Fault(key=key, value=text, allowed=allowed)
        elif _is_homeless(text):
            yield Fault(
                key=key, value=text, allowed="give a path whose ~ is the home of a user there is"
            )
    for key, text in _sockets(settings):
        if len(text.encode()) > _SOCKET_BYTES:
            yield Fault(
                key=key, value=text, allowed=f"give a path of at most {_SOCKET_BYTES} bytes"
            )


def _is_homeless(text: str) -> bool:
    try:
        Path(text).expanduser()
    except RuntimeError:
        return True
    return False


def _paths(settings: Settings) -> Iterator[tuple[str, str]]:
    policy, opa = settings.policy, settings.policy.opa
    keys = policy.signature.keys
    found: list[tuple[str, str | None]] = [
        ("data_dir", settings.data_dir),
        ("policy.path", policy.path),
        *(("policy.overlay", path) for path in policy.overlay),
        ("policy.bundle.token_file", policy.bundle.token_file),
        ("policy.bundle.password_file", policy.bundle.password_file),
        ("policy.bundle.ca_file", policy.bundle.ca_file),
        *((f"policy.signature.keys.{name}.file", one.file) for name, one in keys.items()),
        ("policy.opa.binary", opa.binary),
        ("audit.path", settings.audit.path),
        ("stores.path", settings.stores.path),
        ("stores.redis.ca_file", settings.stores.redis.ca_file),
        ("stores.redis.password_file", settings.stores.redis.password_file),
        ("control.token_file", settings.control.token_file),
        ("telemetry.tracing.ca_file", settings.telemetry.tracing.ca_file),
    ]
    files = settings.identity.files
    found += [
        ("identity.files.directory", files.directory),
        ("identity.files.certificate", files.certificate),
        ("identity.files.key", files.key),
        ("identity.files.bundle", files.bundle),
        *((f"identity.files.federated.{name}", path) for name, path in files.federated.items()),
        *(
            (f"identity.oidc.{name}.ca_file", one.ca_file)
            for name, one in settings.identity.oidc.items()
        ),
    ]
    for domain, path in settings.identity.trust_bundles.items():
        found.append((f"identity.trust_bundles.{domain}", path))
    for name, upstream in settings.upstreams.items():
        found.append((f"upstreams.{name}.ca_file", upstream.ca_file))
    for name, credential in settings.credentials.items():
        found.append((f"credentials.{name}.file", credential.file))
    found += _sockets(settings)
    for key, text in found:
        if text is not None:
            yield key, text


def _sockets(settings: Settings) -> Iterator[tuple[str, str]]:
    for name in ("egress", "ingress", "control", "telemetry"):
        listener: Listener = getattr(settings.listeners, name)
        if listener.unix is not None:
            yield f"listeners.{name}.unix", listener.unix
    if settings.policy.opa.socket is not None:
        yield "policy.opa.socket", settings.policy.opa.socket
