"""A log line is one line of JSON, whatever stands in it; a flood is counted, never waited for."""

import io
import logging
import threading
import time
from collections.abc import Iterator
from logging.handlers import QueueHandler
from unicodedata import category

import orjson
import pytest
from hypothesis import given, strategies as st

from outrider.core.secret import Secret
from outrider.telemetry import logs as logs_module
from outrider.telemetry.logs import JsonFormatter, Logs, Throttle

CORPUS = (
    "a\r\nb",
    'x","level":"ERROR","msg":"forged',
    "\x1b[31mred\x1b[0m",
    "\x00\x07\x7f\x85\x9b",
    "\u202e\u2066reversed\u2069",
    "\u2028\u2029",
    "\u200b\u200f\ufeff\u061c",
    "\ud800 lone",
    "%s %d %(levelname)s {0}",
    "\U000e0041tag",
    "x" * (8 << 20),
)


def a_record(message: str = "a fixed sentence", **extra: object) -> logging.LogRecord:
    record = logging.makeLogRecord({"name": "outrider.x", "levelno": 20, "levelname": "INFO"})
    record.msg = message
    for key, value in extra.items():
        setattr(record, key, value)
    return record


def line_of(record: logging.LogRecord) -> dict[str, object]:
    text = JsonFormatter().format(record)
    assert not {category(char) for char in text} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert len(text.splitlines()) == 1
    value = orjson.loads(text)
    assert isinstance(value, dict)
    return value


def test_a_line_holds_time_level_event_sentence_and_fields() -> None:
    line = line_of(a_record(event="policy_refused", revision="rev-1", count=3, ok=True, none=None))
    assert set(line) == {"ts", "level", "event", "msg", "revision", "count", "ok", "none"}
    assert (line["level"], line["event"], line["msg"]) == (
        "INFO",
        "policy_refused",
        "a fixed sentence",
    )
    assert (line["revision"], line["count"], line["ok"]) == ("rev-1", 3, True)


def test_without_an_event_the_loggers_name_stands() -> None:
    assert line_of(a_record())["event"] == "outrider.x"


@pytest.mark.parametrize("text", CORPUS, ids=lambda text: f"{len(text)}-{ascii(text)[:24]}")
def test_a_callers_text_stays_a_value_on_its_line(text: str) -> None:
    line = line_of(a_record(path=text))
    assert line["level"] == "INFO"
    assert line["msg"] == "a fixed sentence"
    shown = line["path"]
    assert isinstance(shown, str)
    assert len(shown.encode()) <= 256 + 3


@given(st.text())
def test_whatever_the_text_it_is_one_line_of_json(text: str) -> None:
    line_of(a_record(value=text))


@pytest.mark.parametrize(
    "value",
    [10**100, -(10**100), float("nan"), float("inf"), b"\xff\n", ["a\nb"], {"k": "\x1b"}, object()],
    ids=lambda value: type(value).__name__ + str(value)[:8],
)
def test_values_that_are_no_text_do_not_break_a_line(value: object) -> None:
    line_of(a_record(value=value))


@pytest.mark.control("AU-04")
def test_a_secret_does_not_print_itself() -> None:
    text = JsonFormatter().format(
        a_record(token=Secret(b"hunter2-hunter2"), all=[Secret(b"hunter2")])
    )
    assert "hunter2" not in text


def test_arguments_are_never_woven_into_the_sentence() -> None:
    record = a_record("refused %s")
    record.args = ("evil\n",)
    assert line_of(record)["msg"] == "refused %s"


def test_an_error_says_its_class_and_where_on_the_same_line() -> None:
    record = a_record()
    try:
        int("first\nsecond \x1b[31m")
    except ValueError as fault:
        record.exc_info = (type(fault), fault, fault.__traceback__)
    line = line_of(record)
    assert line["error"] == "ValueError"
    assert "test_logs.py" in str(line["where"])


# --- floods ---------------------------------------------------------------------------------


def passed(throttle: Throttle, event: str, second: float, count: int) -> list[logging.LogRecord]:
    records = [a_record(event=event) for _ in range(count)]
    for record in records:
        record.created = second
    return [record for record in records if throttle.filter(record)]


def test_ten_lines_a_second_of_an_event_pass() -> None:
    assert len(passed(Throttle(), "x", 1.0, 10)) == 10


def test_the_eleventh_does_not_and_the_next_second_says_how_many() -> None:
    throttle = Throttle()
    assert len(passed(throttle, "x", 1.2, 35)) == 10
    (first, second) = passed(throttle, "x", 2.0, 2)
    assert first.__dict__["suppressed"] == 25
    assert "suppressed" not in second.__dict__


def test_one_event_does_not_silence_another() -> None:
    throttle = Throttle()
    passed(throttle, "x", 1.0, 100)
    assert len(passed(throttle, "y", 1.0, 5)) == 5


def test_a_flood_of_one_reason_hides_no_other() -> None:
    throttle = Throttle()
    for _ in range(100):
        throttle.filter(a_record(event="tls_peer_refused", reason="protocol"))
    assert throttle.filter(a_record(event="tls_peer_refused", reason="wrong_authority"))


def test_the_throttle_forgets_rather_than_grows() -> None:
    throttle = Throttle()
    for number in range(10_000):
        passed(throttle, f"event-{number}", 1.0, 1)
    assert len(throttle._seen) <= 257


# --- the whole ------------------------------------------------------------------------------


@pytest.fixture(name="out")
def _out() -> Iterator[io.StringIO]:
    root = logging.getLogger("outrider")
    before = (root.level, root.propagate)
    yield io.StringIO()
    root.setLevel(before[0])
    root.propagate = before[1]
    assert not any(isinstance(handler, QueueHandler) for handler in root.handlers)


def test_lines_are_written_and_the_level_changes_at_run_time(out: io.StringIO) -> None:
    dropped: list[int] = []
    logs = Logs(level="INFO", dropped=lambda: dropped.append(1), out=out)
    logger = logging.getLogger("outrider.test")
    logs.start()
    logger.debug("not told")
    logger.info("told", extra={"event": "one"})
    logs.set_level("DEBUG")
    logger.debug("told too", extra={"event": "two"})
    logs.stop()

    lines = [orjson.loads(line) for line in out.getvalue().splitlines()]
    assert [line["msg"] for line in lines] == ["told", "told too"]
    assert dropped == []


def test_a_full_queue_drops_and_counts_and_never_waits(out: io.StringIO) -> None:
    dropped: list[int] = []
    logs = Logs(level="INFO", dropped=lambda: dropped.append(1), out=out)
    root = logging.getLogger("outrider")
    root.addHandler(logs._handler)  # nobody takes from the queue
    before = root.level
    root.setLevel("INFO")
    for number in range(5000):
        root.info("a flood", extra={"event": f"e{number}"})
    root.setLevel(before)
    root.removeHandler(logs._handler)
    assert len(dropped) == 5000 - 4096


class StuckOut(io.StringIO):
    """Takes nothing until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()

    def write(self, text: str) -> int:
        self.let.wait(30)
        return super().write(text)


def test_a_reader_that_stands_still_slows_nobody_and_keeps_nobody_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logs_module, "_STOP_S", 0.05)
    dropped: list[int] = []
    stuck = StuckOut()
    logs = Logs(level="INFO", dropped=lambda: dropped.append(1), out=stuck)
    logs.start()
    logger = logging.getLogger("outrider.test")
    began_s = time.perf_counter()
    for number in range(6000):
        logger.info("a flood", extra={"event": f"e{number}"})
    logs.stop()
    assert time.perf_counter() - began_s < 5
    assert 6000 - 4096 - 2 <= len(dropped) <= 6000 - 4096
    stuck.let.set()


class BrokenOut(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_line_that_cannot_be_written_is_counted_and_nothing_else_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    dropped: list[int] = []
    logs = Logs(level="INFO", dropped=lambda: dropped.append(1), out=BrokenOut())
    logs.start()
    logging.getLogger("outrider.test").info("lost", extra={"event": "x", "secret": "s3cret"})
    logs.stop()
    assert dropped == [1]
    assert capsys.readouterr() == ("", "")
