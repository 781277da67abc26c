import pytest

from tests.bench.figures import (
    Bar,
    Case,
    Cell,
    Figure,
    Leg,
    Sample,
    figure_of,
    ratios_of,
    row_of,
    unread_bars,
)

A_CELL = Cell(leg=Leg.EMBEDDED, case=Case.MCP_READ, connections=8)


def a_sample(**changes):
    values = {
        "rps": 1000.0,
        "p50_ms": 1.0,
        "p99_ms": 4.0,
        "proxy_us": 100.0,
        "engine_us": 0.0,
        "rss_mib": 60.0,
    }
    return Sample(**{**values, **changes})


def figures(**cpu_us: float) -> dict[Cell, Figure]:
    cells = {
        Leg(name.replace("_", "-")): Cell(
            leg=Leg(name.replace("_", "-")), case=Case.MCP_READ, connections=8
        )
        for name in cpu_us
    }
    return {
        cell: figure_of(cell, [a_sample(proxy_us=cpu_us[leg.value.replace("-", "_")])])
        for leg, cell in cells.items()
    }


def test_one_wild_round_does_not_move_the_figure():
    rounds = [a_sample(proxy_us=us) for us in (101.0, 99.0, 9000.0, 100.0, 98.0)]
    figure = figure_of(A_CELL, rounds)
    assert (figure.cpu_us, figure.cpu_low_us, figure.cpu_high_us) == (100.0, 98.0, 9000.0)


def test_cpu_is_proxy_and_engine_together():
    assert figure_of(A_CELL, [a_sample(proxy_us=90.0, engine_us=310.0)]).cpu_us == 400.0


def test_a_row_has_the_promised_names_and_no_others():
    row = row_of(figure_of(A_CELL, [a_sample()]))
    assert row == {
        "leg": "embedded",
        "case": "mcp-read",
        "c": 8,
        "rps": 1000.0,
        "p50_ms": 1.0,
        "p99_ms": 4.0,
        "cpu_us": 100.0,
        "rss_mib": 60.0,
    }


@pytest.mark.parametrize(
    ("cpu_us", "is_met"),
    [
        pytest.param(400.0, True, id="below"),
        pytest.param(401.5, True, id="at-the-limit"),
        pytest.param(402.0, False, id="above"),
    ],
)
def test_a_bar_is_met_up_to_its_limit(cpu_us, is_met):
    ratios = ratios_of(figures(embedded=cpu_us, envoy_opa=803.0))
    (found,) = [ratio for ratio in ratios if ratio.bar is Bar.EMBEDDED_CPU]
    assert found.is_met is is_met


def test_a_bar_without_its_other_side_is_not_measured():
    ratios = ratios_of(figures(embedded=100.0))
    assert {ratio.bar for ratio in ratios} == {Bar.EMBEDDED_RSS}
    assert Bar.EMBEDDED_CPU in unread_bars(ratios)


def test_a_paced_figure_is_never_set_against_an_unpaced_one():
    paced = Cell(leg=Leg.ENVOY, case=Case.MCP_READ, connections=8, paced=True)
    both = figures(fixed_allow=80.0) | {paced: figure_of(paced, [a_sample()])}
    assert [ratio for ratio in ratios_of(both) if ratio.bar is Bar.PASS_THROUGH_CPU] == []
