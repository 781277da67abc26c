import pytest

from tests.bench.load import read_counts
from tests.bench.machine import BenchError

LINE = (
    'FIGURES {"requests":%d,"duration_us":1000000,"p50_us":250,"p99_us":900,'
    '"connect":0,"read":0,"write":0,"status":%d,"timeout":0}\n'
)


def test_reads_our_line_between_wrks_own():
    counts = read_counts("Running 1s test\n" + LINE % (500, 0) + "done\n")
    assert (counts.requests, counts.p50_us, counts.errors) == (500, 250, {})


def test_keeps_every_kind_of_error():
    assert read_counts(LINE % (500, 3)).errors == {"status": 3}


@pytest.mark.parametrize(
    "output",
    [
        pytest.param("unable to connect", id="no-line"),
        pytest.param(LINE % (0, 0), id="nothing-completed"),
    ],
)
def test_a_round_without_figures_is_refused(output):
    with pytest.raises(BenchError):
        read_counts(output)
