"""Add hints to AWS error messages, which leave out how to go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, TypedDict, cast

from airflow_ml_provider.errors import ACCESS_DENIED

if TYPE_CHECKING:
    from botocore.model import OperationModel


class Hint(NamedTuple):
    """Text that is added to an error whose code is one of ``codes`` and whose message contains ``phrase``."""

    codes: frozenset[str]
    phrase: str
    text: str


# The first that applies is added.
HINTS = (
    Hint(
        ACCESS_DENIED,
        "no longer available to new customers",
        "This AWS account was never enrolled in Amazon Machine Learning, and AWS enrols nobody any more: "
        "no change of permissions helps. To run the service on your own machine, install Amazon ML Local "
        "(pip install './local[s3]' in a clone of airflow-ml-provider), start `amazon-ml-local`, and set "
        "AWS_ENDPOINT_URL as it says.",
    ),
    Hint(
        ACCESS_DENIED,
        "",
        "The identity behind the Airflow connection needs the IAM action machinelearning:{operation} in {region}.",
    ),
    Hint(
        frozenset({"ResourceNotFoundException"}),
        "",
        "Ids belong to one account and one region: check the id, the connection's account, and region_name "
        "(now {region}).",
    ),
    Hint(
        frozenset({"IdempotentParameterMismatchException"}),
        "",
        "The id belongs to something that was made with other parameters: choose another id, or let "
        "if_exists='replace' delete it.",
    ),
)


class _Error(TypedDict, total=False):
    Code: str
    Message: str


def add_hint(*, parsed: Mapping[str, object], model: OperationModel, region: str, **_: object) -> None:
    """Add a hint to the message of an error; botocore calls this after each call of a client."""
    error = cast("_Error", parsed.get("Error") or {})
    code, message = error.get("Code", ""), error.get("Message", "")
    for hint in HINTS:
        if code in hint.codes and hint.phrase in message:
            added = hint.text.format(operation=model.name, region=region)
            error["Message"] = f"{message} {added}".strip()
            return
