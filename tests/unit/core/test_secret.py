import copy
import pickle

import pytest

from outrider.core.secret import Secret


def test_a_secret_shows_itself_only_on_purpose() -> None:
    secret = Secret("hunter2")
    assert secret.reveal() == b"hunter2" == Secret(b"hunter2").reveal()
    assert repr(secret) == str(secret) == "Secret(...)"
    assert "hunter2" not in repr({"a": [secret]})
    with pytest.raises(TypeError, match="not formatted"):
        f"{secret}"
    for leak in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="not pickled"):
            leak(secret)
    secret.release()
    assert secret.reveal() == b""
