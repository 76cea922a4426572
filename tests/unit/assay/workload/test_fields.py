"""Config sections: what of them is in the keys of results."""

from __future__ import annotations

from typing import Annotated

from assay.workload.fields import ADDED, Bool, PositiveInt, Section, Share


class Before(Section):
    iterations: PositiveInt = 10
    flip: Bool = False


class Now(Before):
    label_dropout: Annotated[Share | None, ADDED] = None


def test_an_added_option_leaves_keys_alone_until_it_is_used() -> None:
    assert Now(flip=True).for_key() == Before(flip=True).for_key() == {"iterations": 10, "flip": True}
    assert Now(label_dropout=0.1).for_key() == {"iterations": 10, "flip": False, "label_dropout": 0.1}
    assert Now(label_dropout=0.1).for_key(exclude={"label_dropout", "flip"}) == {"iterations": 10}
    assert Now(label_dropout=0.1).for_key(include={"label_dropout"}) == {"label_dropout": 0.1}
