"""Which cases the endpoint matrix has: forms of Dags, and what befalls the task that creates the endpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

KILLS = ("killed before Create", "killed in Create", "killed after Create")
RETRIED = (*KILLS, "the endpoint FAILED")
THEIRS_BEFORE = ("theirs before", "theirs before, killed in Create")
THEIRS_IN_PLACE = ("theirs in its place", "theirs in its place, predict failed")
FAILS = ("predict failed", "theirs in its place, predict failed")
BY_USERS = ("marked failed", "marked success", "cleared meanwhile", "cleared at the end")
TWO = "two at once, one fails"
ONE_MODEL = ("nothing", "predict failed", "create skipped", *BY_USERS, *THEIRS_BEFORE, *THEIRS_IN_PLACE)
OWN_MODEL = ("nothing", *BY_USERS)


@dataclass(frozen=True)
class Form:
    """A Dag that creates endpoints: a file, and how it is run.

    ``create`` is its task that does; ``deferrable`` whether its tasks wait in the triggerer; ``own_model`` whether it
    trains the model itself; ``keeps`` whether the endpoint outlives a run that succeeds; ``others`` is what befalls it
    besides kills.
    """

    file: str
    deferrable: bool = False
    create: str = "create"
    own_model: bool = False
    keeps: bool = False
    others: tuple[str, ...] = (*ONE_MODEL, TWO)


PLAIN, SHORT, MAPPED = "deploy_and_predict.py", "deploy_and_predict_short.py", "mapped.py"
LONG: dict[str, Any] = {"create": "create_endpoint", "own_model": True, "others": OWN_MODEL}
FORMS = {
    "create, sensor": Form(PLAIN),
    "create, deferred sensor": Form(PLAIN, deferrable=True),
    "create that waits": Form(SHORT),
    "create that defers": Form(SHORT, deferrable=True),
    "mapped creates": Form(MAPPED, others=ONE_MODEL),
    "mapped creates that defer": Form(MAPPED, deferrable=True, others=ONE_MODEL),
    "predict_s3": Form("predict_s3.py", create="create_endpoint", others=ONE_MODEL),
    "predict_s3, deferred": Form("predict_s3.py", deferrable=True, create="create_endpoint", others=ONE_MODEL),
    "mapped_predictions": Form("mapped_predictions.py", **LONG),
    "realtime_endpoint": Form("realtime_endpoint.py", **LONG),
    "retrain_and_replace": Form("retrain_and_replace.py", keeps=True, **LONG | {"others": ("nothing",)}),
}
CORE = {
    ("create, sensor", "killed in Create", 0),
    ("create, sensor", "theirs before", 0),
    ("create that waits", "killed in Create", 0),
    ("create that waits", "killed after Create", 2),
    ("create that waits", "theirs in its place", 0),
    ("create that waits", TWO, 0),
    ("create that defers", "marked failed", 0),
    ("create that defers", "cleared at the end", 0),
}


@dataclass(frozen=True)
class Case:
    """One form, one event, one number of retries."""

    form: str
    event: str
    retries: int

    def __str__(self) -> str:
        return f"{self.form}, {self.retries} retries: {self.event}"

    @property
    def dag(self) -> Form:
        """The form itself."""
        return FORMS[self.form]

    @property
    def model(self) -> str:
        """The model to whose endpoint it happens."""
        return "".join(letter if letter.isalnum() else "-" for letter in str(self))[:62]

    @property
    def models(self) -> list[str]:
        """All models that the Dag creates endpoints of."""
        return [self.model, f"{self.model}-2"] if self.dag.file == MAPPED else [self.model]

    def dags(self) -> list[dict[str, Any]]:
        """Return what ``matrix.py`` makes a Dag of."""
        one = {
            **asdict(self.dag),
            "dag_id": self.model,
            "model": self.model,
            "retries": self.retries,
            "changes": {},
            "skipped": self.event == "create skipped",
        }
        if self.event != TWO:
            return [one]
        return [one, {**one, "dag_id": f"{self.model}-fails", "changes": {'{"age": 42': '{"age": [1]'}}]


def cases() -> list[Case]:
    """Return all cases, form by form."""
    return [
        case
        for name, form in FORMS.items()
        for case in (
            *(Case(name, event, retries) for event in RETRIED for retries in (0, 2)),
            *(Case(name, event, 0) for event in form.others),
        )
    ]
