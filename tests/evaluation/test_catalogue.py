import inspect
import json
import re

import evidently.generators
import evidently.legacy.metric_preset
import evidently.legacy.metrics
import evidently.legacy.test_preset
import evidently.legacy.tests
import evidently.metrics
import evidently.presets
import pytest
from evidently._pydantic_compat import ValidationError, parse_obj_as
from evidently.legacy.metrics import DatasetDriftMetric
from evidently.legacy.tests.base_test import Test as LegacyTest
from evidently.llm.templates import BinaryClassificationPromptTemplate
from evidently.llm.utils.templates import PromptTemplate
from evidently.pydantic_utils import all_subclasses

from collector.evaluation.catalogue import (
    LEGACY_METRICS,
    LEGACY_TESTS,
    MODERN_DESCRIPTORS,
    MODERN_METRICS,
    UnknownTypeError,
    find_class,
    find_descriptor_function,
)
from collector.generation import generation_of

# What the constructors of legacy tests need, but for columns.
ARGUMENTS = {"k": 3, "quantile": 0.5, "label": 1, "values": [1]}
LOST = {
    "RecsysTestPreset",
    *("TestFBetaTopK", "TestHitRateK", "TestMAPK", "TestMARK", "TestMRRK", "TestNDCGK", "TestPrecisionTopK"),
    *("TestRecallTopK", "TestNovelty", "TestPersonalization", "TestSerendipity", "TestDiversity"),
}
RECOMMENDING = {"TestSerendipity": {"item_features": ["a"]}, "TestDiversity": {"item_features": ["a"]}}
PUBLIC = [
    (module, name) for module in (evidently.metrics, evidently.presets, evidently.generators) for name in module.__all__
]


@pytest.mark.parametrize(("module", "name"), PUBLIC, ids=lambda value: getattr(value, "__name__", value))
def test_every_public_name_means_the_class_that_evidently_exports(module, name):
    assert find_class(name, MODERN_METRICS, legacy=False) is getattr(module, name)


@pytest.mark.parametrize(
    ("module", "bases"),
    [
        (evidently.legacy.metrics, LEGACY_METRICS),
        (evidently.legacy.metric_preset, LEGACY_METRICS),
        (evidently.legacy.tests, LEGACY_TESTS),
        (evidently.legacy.test_preset, LEGACY_TESTS),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_public_legacy_name_means_what_evidently_exports_generators_too(module, bases):
    for name in module.__all__:
        exported = getattr(module, name)
        if inspect.isclass(exported) and not is_lost_when_saved(exported):
            assert find_class(name, bases, legacy=True) is exported


def test_what_is_exported_without_an_alias_has_the_alias_that_one_would_write():
    for name in ("TestColumnRegExp", "TestAllFeaturesValueDrift"):
        assert find_class(f"evidently:test:{name}", LEGACY_TESTS, legacy=True) is getattr(evidently.legacy.tests, name)


def is_lost_when_saved(exported):
    """Tell whether it is a legacy test of recommendations, or the preset of them."""
    return exported.__name__ in LOST


@pytest.mark.parametrize("name", ["RecsysTestPreset", "TestNovelty", "evidently:test:TestPrecisionTopK"])
def test_a_legacy_test_that_evidently_cannot_load_again_is_refused_with_the_way_out(name):
    with pytest.raises(UnknownTypeError, match=r"can't load this again once it is saved.*use a modern report"):
        find_class(name, LEGACY_TESTS, legacy=True)


def test_every_other_legacy_test_survives_a_save_and_a_load():
    """What is refused is what Evidently loses: the list is neither too short nor too long."""
    for name in evidently.legacy.tests.__all__:
        exported = getattr(evidently.legacy.tests, name)
        if not (inspect.isclass(exported) and issubclass(exported, LegacyTest)):
            continue
        parameters = inspect.signature(exported).parameters.values()
        needed = {one.name: ARGUMENTS.get(one.name, "a") for one in parameters if one.default is one.empty}
        test = exported(**needed | RECOMMENDING.get(name, {}))
        saved = json.loads(test.json())
        if is_lost_when_saved(exported):
            with pytest.raises(ValidationError):
                parse_obj_as(LegacyTest, saved)
        else:
            assert type(parse_obj_as(LegacyTest, saved)) is exported


def test_a_prompt_template_is_found_by_its_bare_name():
    found = find_class("BinaryClassificationPromptTemplate", (PromptTemplate,), legacy=False)
    assert found is BinaryClassificationPromptTemplate


@pytest.mark.parametrize(
    "path",
    [
        "evidently:metric:DatasetDriftMetric",
        "evidently.metrics.data_drift.dataset_drift_metric.DatasetDriftMetric",  # as 0.6 wrote it
        "evidently.legacy.metrics.data_drift.dataset_drift_metric.DatasetDriftMetric",
    ],
)
def test_aliases_and_class_paths_of_both_versions_mean_the_legacy_class(path):
    assert find_class(path, LEGACY_METRICS, legacy=True) is DatasetDriftMetric


def test_each_class_path_says_of_which_generation_it_is():
    """The daemon can't ask Evidently, so collector.generation goes by how paths are built."""
    for kind, bases in (("modern", MODERN_METRICS), ("legacy", LEGACY_METRICS + LEGACY_TESTS)):
        for cls in [
            cls for base in bases for cls in all_subclasses(base) if not cls.__module__.endswith("base_metric")
        ]:
            path = f"{cls.__module__}.{cls.__name__}"
            as_in_0_6 = path.replace("evidently.legacy.", "evidently.")
            assert {generation_of({"metrics": [one]}) for one in (path, as_in_0_6)} == {kind}, path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("DataDrftPreset", 'Unknown metric or preset "DataDrftPreset"; did you mean "DataDriftPreset"?'),
        ("evidently:metric_v2:MinValu", 'did you mean "evidently:metric_v2:MinValue"?'),
        ("os.path", "not allowed"),
        ("evidently.core.datasets.os", "is no metric or preset"),
        ("evidently.nowhere.Nothing", "names no class"),
        ("Metric", "is no metric or preset"),  # abstract
    ],
)
def test_what_may_not_be_built_is_refused_with_a_hint(name, said):
    with pytest.raises(UnknownTypeError, match=re.escape(said)):
        find_class(name, MODERN_METRICS, legacy=False)


def test_descriptors_are_functions_or_classes():
    assert find_descriptor_function("Sentiment")(column_name="t").alias
    assert find_descriptor_function("TextLength") is None
    assert find_class("TextLength", MODERN_DESCRIPTORS, legacy=False).__name__ == "TextLength"
