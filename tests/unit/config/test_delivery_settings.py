"""Settings of delivery are safe as they come."""

from outrider.config.delivery_settings import BundleKey, BundleSignature, BundleSource


def test_nothing_is_fetched_redirected_or_sent_plain_unless_said() -> None:
    source = BundleSource()
    assert (source.url, source.redirect_hosts, source.allow_plain) == (None, (), False)
    assert (source.poll_s, source.timeout_s, source.size_bytes) == (60, 30, 32 << 20)


def test_a_key_is_for_es256_and_no_key_counts_unless_said() -> None:
    assert BundleKey(file="k").algorithm == "ES256"
    signature = BundleSignature()
    assert (signature.keys, signature.scope, signature.least_sequence) == ({}, "outrider", 0)
