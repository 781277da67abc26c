"""Settings of stores keep what is done for this sidecar alone, and refuse what cannot be kept."""

from outrider.config.store_settings import Redis, Stores


def test_state_is_in_a_file_of_our_own_and_its_loss_refuses():
    stores = Stores()
    assert (stores.kind, stores.path, stores.rows) == ("sqlite", "outrider.db", 10_000)
    assert stores.on_loss == "refuse"


def test_no_server_is_named_and_none_is_spoken_to_plain_unless_said():
    redis = Redis()
    assert (redis.url, redis.username, redis.password_file) == (None, None, None)
    assert not redis.allow_plain
    assert (redis.prefix, redis.timeout_ms, redis.replicas) == ("outrider", 500, 0)
