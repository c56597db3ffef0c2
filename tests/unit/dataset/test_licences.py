"""Which licence follows from those of the models."""

import pytest

from shared.dataset.licences import Licence, derive


@pytest.mark.parametrize(
    ("declared", "id", "name"),
    [
        (["apache-2.0"], "apache-2.0", None),
        (["Apache-2.0", "apache-2.0"], "apache-2.0", None),
        (["Apache-2.0", "MIT"], "other", "apache-2.0-and-mit"),
        (["LicenseRef-House Rules!"], "other", "licenseref-house-rules"),
        (["秘密"], "other", "unnamed"),
        (["gemma", None], "unknown", None),
        ([None], "unknown", None),
        ([], "unknown", None),
    ],
)
def test_one_licence_is_that_of_all_several_are_another_and_a_missing_one_leaves_it_open(
    declared: list[str | None], id: str, name: str | None
) -> None:
    derived = derive(declared)
    assert (derived.id, derived.name) == (id, name)


def test_each_is_named_once_in_the_order_of_the_models() -> None:
    assert derive(["MIT", "gemma", "mit"]) == Licence("other", "mit-and-gemma", ("mit", "gemma"))
