import inspect

from outrider.server.events import EdgeEvents, NoEvents, ShedCause, Threshold, UpstreamFault, Way


def test_counting_nothing_takes_every_event():
    arguments = {
        "listener": "egress", "cause": ShedCause.FDS, "count": 1, "delta": 1, "held": 1,
        "threshold": Threshold.SOFT, "resource": "fds", "ratio": 0.5, "lag_s": 0.1,
        "upstream": "crm", "code_class": "2xx", "fault": UpstreamFault.DNS, "tls": True,
        "took_s": 0.1, "is_open": True, "way": Way.OUT,
    }  # fmt: skip
    events = NoEvents()
    names = [name for name in vars(EdgeEvents) if not name.startswith("_")]
    assert names
    for name in names:
        method = getattr(events, name)
        assert method(*(arguments[key] for key in inspect.signature(method).parameters)) is None
