"""Every row of the public suite's catalogue stands here once: none left out, none of our own."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any, Final

from tests.contract.identity import (
    test_jwt_svid,
    test_process,
    test_workload_api,
    test_x509_svid,
)

MODULES: Final = (test_jwt_svid, test_process, test_workload_api, test_x509_svid)
ROWS: Final = {
    "EP": 8, "WA": 4, "XS": 5, "XV": 15, "XF": 3, "JV": 25, "JB": 8, "JF": 4, "ID": 2, "HX": 9,
}  # fmt: skip
BOTH_ENDS: Final = ("server", "client")
VARIANTS: Final[dict[str, tuple[str, ...]]] = {
    **{f"XV-{number}": BOTH_ENDS for number in range(1, 16)},
    **{f"XF-{number}": BOTH_ENDS for number in range(1, 4)},
    "EP-4": ("unix-authority", "tcp-path"),
    "WA-2": ("empty-svids", "empty-spiffe-id", "empty-x509-svid", "empty-key", "empty-bundle"),
    "JV-2": (
        "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512",
    ),
    "JV-4": ("HS256", "HS384", "HS512", "hmac-public-key"),
    "JV-6": ("rs256-header-ec-key", "es384-header-p256-key"),
    "JV-20": ("typ-JWT", "typ-JOSE", "no-typ"),
    "JV-25": ("two-parts", "bad-base64", "bad-json"),
    "JB-5": ("x509-svid-use", "missing-use"),
    "ID-1": (
        "empty-trust-domain", "port", "userinfo", "query", "fragment", "percent-encoded",
        "empty-segment", "dot-segment", "dot-dot-segment", "trailing-slash", "invalid-path-char",
        "invalid-trust-domain-char",
        "x509-query", "x509-percent-encoded", "x509-trailing-slash", "x509-port",
    ),
    "ID-2": ("path-chars", "trust-domain-chars", "ipv4-trust-domain", "max-length"),
}  # fmt: skip
SKIPPED: Final = {"JB-5/missing-use"}


def catalogue() -> Iterator[str]:
    for group, count in ROWS.items():
        for number in range(1, count + 1):
            row = f"{group}-{number}"
            if row in VARIANTS:
                yield from (f"{row}/{variant}" for variant in VARIANTS[row])
            else:
                yield row


def ported(module: ModuleType) -> Iterator[tuple[str, bool]]:
    """The rows of `module`'s tests by name or by the id of a parameter, and whether skipped."""
    for name, test in vars(module).items():
        if not name.startswith("test_"):
            continue
        if named := re.match(r"test_conf_([A-Z]+)_([0-9]+)_", name):
            yield f"{named[1]}-{named[2]}", bool(_skips(getattr(test, "pytestmark", ())))
        for mark in getattr(test, "pytestmark", ()):
            for row in mark.args[1] if mark.name == "parametrize" else ():
                if row.id.startswith("conf_"):
                    yield row.id.removeprefix("conf_"), bool(_skips(row.marks))


def _skips(marks: Iterable[Any]) -> list[str]:
    return [mark.name for mark in marks if mark.name in ("skip", "skipif", "xfail")]


def test_every_row_of_the_catalogue_is_ported_once() -> None:
    rows = [row for module in MODULES for row, _ in ported(module)]
    assert Counter(rows) == Counter(catalogue())
    assert len(rows) == 141


def test_no_row_is_skipped_but_the_one_that_spire_contradicts() -> None:
    assert {row for module in MODULES for row, skipped in ported(module) if skipped} == SKIPPED
