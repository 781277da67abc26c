"""The kernel says which addresses are ours."""

import errno
import socket

import pytest

from outrider.server.own_addresses import is_own


class Socket:
    """Ends as the kernel's would."""

    def __init__(self, fault=None, made=None):
        self.fault, self.made = fault, made

    def __call__(self, *_kind):
        if self.made is not None:
            raise OSError(self.made, "not made")
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_fault):
        return None

    def bind(self, _place):
        if self.fault is not None:
            raise OSError(self.fault, "not bound")


@pytest.mark.parametrize(
    "text", ["93.184.216.34", "2606:2800:220:1::7", "192.0.2.1", "127.0.0.1", "127.9.9.9", "::1"]
)
def test_other_places_and_loopback_are_not(text):
    assert not is_own(text)


@pytest.mark.parametrize("text", ["0.0.0.0", "::", "::ffff:127.0.0.1"])
def test_what_leads_here_by_another_name_is(text):
    assert is_own(text)


@pytest.mark.parametrize(
    ("kernel", "said"),
    [
        pytest.param(Socket(), True, id="bound"),
        pytest.param(Socket(errno.EADDRNOTAVAIL), False, id="another-machines"),
        pytest.param(Socket(made=errno.EAFNOSUPPORT), False, id="of-a-family-that-is-not-here"),
        pytest.param(Socket(errno.EINVAL), True, id="of-an-interface-that-is-not-said"),
        pytest.param(Socket(made=errno.EMFILE), True, id="nobody-knows"),
    ],
)
@pytest.mark.parametrize("text", ["10.244.0.9", "fd00:244::9"])
def test_the_kernels_word_counts_and_no_word_is_ours(monkeypatch, text, kernel, said):
    monkeypatch.setattr(socket, "socket", kernel)
    assert is_own(text) is said
