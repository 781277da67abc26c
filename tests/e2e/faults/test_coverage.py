"""Which of HARDENING §10's forty faults are held where; the others come with their issues.

| rows | where |
|---|---|
| 1, 2, 40 | test_policy.py, `tests/e2e/peers/test_p03.py` |
| 3, 5 | `tests/e2e/peers/test_p01.py`, `test_p03.py`, `test_p04.py` |
| 4 | `tests/e2e/protocols/test_data.py` (case-85) |
| 6 | `tests/integration/policy/test_opa_real.py` |
| 7 | `tests/e2e/peers/test_p02.py`, `test_p05.py` |
| 14, 15 | test_disk.py |
| 16, 24, 26, 30 | test_process.py |
| 18 to 22 | test_upstream.py; 22 of MCP: `tests/e2e/protocols/test_streams.py` (case-50) |
| 27, 28, 38, 39 | test_input.py |
| 31 | test_loop.py |
"""

import re
from pathlib import Path

HERE = Path(__file__).parent
HERE_HELD = {1, 2, 14, 15, 16, 18, 19, 20, 21, 22, 24, 26, 27, 28, 30, 31, 38, 39}
_ROW = re.compile(r"^async def test_rows?_(\d+)(?:_and_(\d+))?_", re.MULTILINE)


def test_each_row_held_here_has_a_test_of_its_number() -> None:
    found = {
        int(number)
        for path in HERE.glob("test_*.py")
        for pair in _ROW.findall(path.read_text("utf-8"))
        for number in pair
        if number
    }
    assert found == HERE_HELD
