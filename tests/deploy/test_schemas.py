"""Every object is one that the API server takes."""

from collections.abc import Iterator
from copy import deepcopy
from functools import cache

import jsonschema
import kubernetes_validate
import pytest

from services.kubernetes.overlay import NAMESPACE
from tests.deploy.crds import KINDS, schema_of
from tests.deploy.rendering import Manifest, Rendered, name_of

VERSION = "1.34"  # the oldest Kubernetes that is promised
CLUSTER_WIDE = {"Namespace"}


@pytest.fixture(autouse=True, scope="module")
def read_once() -> Iterator[None]:
    """The schemas, which are megabytes, are parsed once and not for each object."""
    utils = kubernetes_validate.utils
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "schema_contents", cache(utils.schema_contents))
        yield


def check(manifest: Manifest) -> None:
    """Raises `jsonschema.ValidationError`."""
    if manifest["kind"] in KINDS:
        jsonschema.Draft202012Validator(schema_of(manifest["kind"])).validate(manifest)
    else:
        kubernetes_validate.validate(dict(manifest), VERSION, strict=True)


def test_every_object_fits_its_schema(rendered: Rendered) -> None:
    for each in rendered.objects:
        check(each)


@pytest.mark.parametrize(
    ("kind", "name", "field"),
    [("ScaledObject", "consensus-judge", "maxReplicas"), ("Deployment", "reconciler", "terminationGracePeriod")],
)
def test_a_misspelt_field_would_be_found(prod: Rendered, kind: str, name: str, field: str) -> None:
    wrong = deepcopy(dict(prod.named(kind, name)))
    wrong["spec"][field] = 1
    with pytest.raises(jsonschema.ValidationError, match=f"'{field}' was unexpected"):
        check(wrong)


def test_no_object_stands_twice_and_all_are_in_one_namespace(rendered: Rendered) -> None:
    assert len(rendered.names) == len(rendered.objects)
    assert rendered.named("Namespace", NAMESPACE)
    for each in rendered.objects:
        assert each["kind"] in CLUSTER_WIDE or each["metadata"]["namespace"] == NAMESPACE


def test_every_name_can_stand_in_a_label(rendered: Rendered) -> None:
    for each in rendered.objects:
        assert len(name_of(each)) <= (52 if each["kind"] == "StatefulSet" else 63)
