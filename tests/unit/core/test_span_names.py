"""Names are spelt as the conventions spell them, each once."""

import re

from outrider.core import span_names

NAMES = {
    name: value for name, value in vars(span_names).items() if name.isupper() and name != "OTHER"
}


def test_names_are_lower_case_words_with_dots() -> None:
    assert [one for one in NAMES.values() if not re.fullmatch(r"[a-z_]+(\.[a-z_]+)*", one)] == []


def test_no_name_stands_twice() -> None:
    assert len(set(NAMES.values())) == len(NAMES)
