"""Dumps of models by an encoder, compared with pydantic's."""

from enum import Enum

import numpy as np
import pandas as pd
import pytest
from evidently._pydantic_compat import BaseModel, Field

from collector.evaluation import snapshot
from collector.evaluation.fast.dump import Once


class Kind(Enum):
    ONE = "one"


class Inner(BaseModel):
    value: object = None


class WithoutNone(Inner):
    def dict(self, **given):
        return super().dict(**given | {"exclude_none": True})


class WithHidden(Inner):
    hidden: int = Field(1, exclude=True)


class Rooted(BaseModel):
    __root__: list[Inner]


class OfValues(BaseModel):
    class Config:
        use_enum_values = True

    kind: object


class Outer(BaseModel):
    inner: object


ODD = {
    "plain": Inner(value=1),
    "none": WithoutNone(),
    "inner none": Outer(inner=WithoutNone()),
    "none inside": WithoutNone(value=Inner()),
    "hidden": WithHidden(),
    "root": Rooted(__root__=[Inner(value=1), WithoutNone()]),
    "values": OfValues(kind=Kind.ONE),
    "deep": {"a": [(Inner(value={"b": [WithHidden(), None]}),)]},
    "numbers": Inner(value=[float("nan"), float("inf"), np.float64(0.1), np.float32(0.1), np.int64(3), -0.0]),
    "arrays": Inner(value=[np.array([1.5, np.nan]), pd.Series([1, 2]), pd.Index(["a"])]),
    "times": Inner(value=[pd.Timestamp("2026-03-01"), pd.NaT, pd.Timedelta("1h"), pd.Period("2026-03")]),
    "keys": Inner(value={1: "a", None: 2, 1.5: 4}),
    "text": Inner(value=["é", "\u2028", '"', "\ud800"]),
}


@pytest.mark.parametrize("odd", ODD)
def test_a_model_is_written_as_its_dict_is(odd):
    outer = Outer(inner=ODD[odd])
    assert snapshot.encode({"it": outer}) == snapshot.encode({"it": outer.dict()})


@pytest.mark.parametrize("odd", ODD)
def test_what_is_spelt_once_has_the_text_that_it_has_in_each_place(odd):
    inner = Once(ODD[odd])
    outer = Once({"again": [inner, inner]})
    body = {"first": inner, "then": {"model": Inner(value=outer), "outer": outer}}
    direct = {"again": [ODD[odd], ODD[odd]]}
    assert snapshot.encode(body) == snapshot.encode(
        {"first": ODD[odd], "then": {"model": Inner(value=direct), "outer": direct}}
    )


def test_what_is_spelt_once_is_spelt_by_the_first_encoder_and_not_outlined():
    one = Once([1.5])
    assert one.text(str) == one.text(repr) == "[1.5]"
    assert snapshot.outline({"it": one}) == b'{"it": null}'


@pytest.mark.parametrize("value", [{1, 2}, {(1, 2): 3}, Kind.ONE, object()], ids=["set", "key", "enum", "object"])
def test_what_has_no_json_is_refused_as_it_is_in_a_dict(value):
    said = []
    for body in (Inner(value=value), Inner(value=value).dict()):
        with pytest.raises((TypeError, ValueError)) as raised:
            snapshot.encode({"it": body})
        said.append(str(raised.value))
    assert said[0] == said[1]
