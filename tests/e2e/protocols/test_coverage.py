"""Every number of PROTOCOLS §12 that this version answers has a test of its own here.

| numbers | file |
|---|---|
| 1-20 | test_envelope.py |
| 21-30 | test_headers.py |
| 31-42 | test_http.py |
| 43-55 | test_streams.py |
| 56, 59 | test_state.py |
| 57, 58 | `tests/e2e/test_ingress.py` |
| 65-71 | test_lists.py |
| 72-75, 85, 88 | test_data.py |

Left to tests below this level, under the same numbers: each byte of a split stream (43:
`tests/unit/protocols/adapters/mcp/test_answers.py`), each byte of a head that comes alone
(31-42: `tests/wire/test_edge.py`, ids `edge-NN`), the times of 50 and 70 (unit tests, where
nothing else runs), URIs of resources under 16 (`test_names.py`).
"""

import re
from pathlib import Path

HERE = Path(__file__).parent
WANTED = {*range(1, 60), *range(65, 76), 85, 88}
_ID = re.compile(r"(?:case-|test_case_)(\d+)(?=[-_\"'])")


def test_every_number_has_a_test_through_the_listener() -> None:
    found = {
        int(number)
        for path in (*HERE.glob("test_*.py"), HERE.parent / "test_ingress.py")
        if path.name != Path(__file__).name
        for number in _ID.findall(path.read_text("utf-8"))
    }
    assert WANTED - found == set()
    assert found - WANTED == set()  # a number of a later issue comes with that issue
