"""The metrics page, made off the event loop and in slices (OPERATIONS §2)."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from outrider.core.ports import Clock

_CACHED_S: Final = 1.0


class _OneFamily:
    """A registry that holds one metric family, so that each is written by itself."""

    def __init__(self, family: object) -> None:
        self._family = family

    def collect(self) -> list[object]:
        return [self._family]


class Exposition:
    """One worker thread; bodies cached for a second; scrapes at once share one generation."""

    def __init__(self, registry: CollectorRegistry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outrider-metrics")
        self._made: dict[str, tuple[float, bytes]] = {}
        self._making: dict[str, asyncio.Future[bytes]] = {}

    async def render(self, accept: str) -> tuple[str, bytes]:
        """Content type and body for a scraper that accepts `accept`."""
        encode, content_type = choose_encoder(accept)
        now_s = self._clock.monotonic_s()
        made = self._made.get(content_type)
        if made is not None and now_s - made[0] < _CACHED_S:
            return content_type, made[1]
        under_way = self._making.get(content_type)
        if under_way is None:
            loop = asyncio.get_running_loop()
            under_way = loop.run_in_executor(self._worker, self._encode, encode)
            self._making[content_type] = under_way
        try:
            body = await asyncio.shield(under_way)
        finally:
            if under_way.done():
                self._making.pop(content_type, None)
        self._made[content_type] = (now_s, body)
        return content_type, body

    def close(self) -> None:
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _encode(self, encode: object) -> bytes:
        parts: list[bytes] = []
        body = b""
        for family in self._registry.collect():
            body = encode(_OneFamily(family))  # type: ignore[operator]
            parts.append(body.removesuffix(b"# EOF\n"))
            time.sleep(0)  # the loop gets its turn between families
        end = b"# EOF\n" if body.endswith(b"# EOF\n") else b""
        return b"".join(parts) + end
