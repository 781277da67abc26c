"""The metrics page, made off the event loop and in slices (OPERATIONS §2)."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from outrider.core.ports import Clock

_CACHED_S: Final = 1.0
_SLICE: Final = 25
"""Lines that are written without letting the event loop have the interpreter."""
_FORMATS: Final = 8
"""Pages kept: a scraper names its format, and could name many."""
_END: Final = b"# EOF\n"


class _Slice(Collector):
    """A registry that holds some samples of one metric family, so that they are written alone."""

    def __init__(self, family: Metric, samples: list[Sample]) -> None:
        self._family = family
        self._samples = samples

    def collect(self) -> list[Metric]:
        part = Metric(
            self._family.name, self._family.documentation, self._family.type, self._family.unit
        )
        part.samples = self._samples
        return [part]


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
        encode, content_type = _chosen(accept)
        now_s = self._clock.monotonic_s()
        made = self._made.get(content_type)
        if made is not None and now_s - made[0] < _CACHED_S:
            return content_type, made[1]
        under_way = self._making.get(content_type)
        if under_way is None:
            loop = asyncio.get_running_loop()
            under_way = loop.run_in_executor(self._worker, self._encode, encode)
            self._making[content_type] = under_way
            under_way.add_done_callback(partial(self._finished, content_type, now_s))
        return content_type, await asyncio.shield(under_way)

    def _finished(self, content_type: str, began_s: float, made: asyncio.Future[bytes]) -> None:
        """Whoever asked for the page may have left: it is kept, and grows old, all the same."""
        del self._making[content_type]
        if made.cancelled() or made.exception() is not None:
            return
        if len(self._made) >= _FORMATS:
            self._made.clear()
        self._made[content_type] = (began_s, made.result())

    def close(self) -> None:
        self._worker.shutdown(wait=False, cancel_futures=True)

    def slices(self, encode: Callable[[Collector], bytes]) -> Iterator[bytes]:
        """The page in pieces, each written without letting the event loop have the interpreter."""
        end = b""
        for family in self._registry.collect():
            for first in range(0, max(1, len(family.samples)), _SLICE):
                body = encode(_Slice(family, family.samples[first : first + _SLICE]))
                if body.endswith(_END):
                    body, end = body.removesuffix(_END), _END
                yield _without_head(body) if first else body
        yield end

    def _encode(self, encode: Callable[[Collector], bytes]) -> bytes:
        parts: list[bytes] = []
        for part in self.slices(encode):
            parts.append(part)
            time.sleep(0)  # the loop gets its turn
        return b"".join(parts)


def _chosen(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    """The plain page where `accept` names a version that is none."""
    try:
        return choose_encoder(accept)
    except (TypeError, ValueError):
        return choose_encoder("")


def _without_head(body: bytes) -> bytes:
    """`body` without its lines of help and type, which the family's first slice has."""
    while body.startswith(b"# "):
        body = body[body.index(b"\n") + 1 :]
    return body
