"""Rules between the settings of the store, and where its server is."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from outrider.config.settings import Settings
from outrider.config.texts import Fault

_UNIX: Final = re.compile(r"unix://(/[^\x00-\x20?#%]{1,106})")
_TCP: Final = re.compile(
    r"(rediss?)://(\[[0-9a-f:]{2,45}\]|[A-Za-z0-9_.-]{1,253})(?::([0-9]{1,5}))?(?:/([0-9]{1,5}))?"
)
_PORT: Final = 6379


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisUrl:
    """A server's place: `path` of a Unix socket, else host and port."""

    host: str = ""
    port: int = _PORT
    path: str | None = None
    database: int = 0
    tls: bool = False

    @property
    def is_near(self) -> bool:
        """Whether what is said to it stays on this machine."""
        if self.path is not None or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def redis_url(text: str) -> RedisUrl | None:
    """`text` in its parts, or None where it is no such URL."""
    socket = _UNIX.fullmatch(text)
    if socket is not None:
        return RedisUrl(path=socket[1])
    found = _TCP.fullmatch(text)
    if found is None:
        return None
    port = int(found[3] or _PORT)
    if not 0 < port < 1 << 16:
        return None
    return RedisUrl(
        host=found[2].strip("[]"), port=port, database=int(found[4] or 0), tls=found[1] == "rediss"
    )


def store_faults(settings: Settings) -> Iterator[Fault]:
    stores, redis = settings.stores, settings.stores.redis
    url = redis_url(redis.url) if redis.url is not None else None
    if stores.kind == "redis" and redis.url is None:
        yield Fault(key="stores.redis.url", value=None, allowed="give the server's URL")
    if redis.url is None:
        return
    if url is None:
        yield Fault(
            key="stores.redis.url",
            value=redis.url,
            allowed="give rediss://host[:port][/number], redis://…, or unix:///path, and the user "
            "and password under stores.redis",
        )
        return
    if not (url.tls or url.is_near or redis.allow_plain):
        yield Fault(
            key="stores.redis.url",
            value=redis.url,
            allowed="give rediss, or set stores.redis.allow_plain",
        )
    if redis.ca_file is not None and not url.tls:
        yield Fault(
            key="stores.redis.ca_file",
            value=redis.ca_file,
            allowed="leave it out: stores.redis.url is not rediss",
        )
    if redis.username is not None and redis.password_file is None:
        yield Fault(
            key="stores.redis.password_file", value=None, allowed="give the file of the password"
        )
