"""What each function of a recipe makes of values, worked out by hand; and what a bad recipe says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from scipy.sparse import csr_matrix

from amazon_ml_local.learning import LearningError, train, validate_recipe
from amazon_ml_local.learning.features import Features
from amazon_ml_local.learning.recipe import default_recipe, parse_recipe, resolve
from amazon_ml_local.learning.schema import Kind
from amazon_ml_local.learning.steps import TableRows
from tests.helpers.tables import cells, table

ATTRIBUTES: dict[str, Kind] = {
    "t": "TEXT", "u": "TEXT", "c": "CATEGORICAL", "n": "NUMERIC", "m": "NUMERIC", "b": "BINARY",
}  # fmt: skip
ROWS = [
    'The quick brown fox,"Welcome to AML - please fasten your seat-belts!",red,1,10,yes',
    "fox Fox,,blue,2,20,N",
    ",,red,3,30,?",
    ",,,4,,1",
    ",,red,5,50,0",
]


def features(recipe: str | dict[str, Any]) -> tuple[Features, TableRows]:
    """Return a recipe at work on the rows above; a bare expression is its one output."""
    document = recipe if isinstance(recipe, dict) else {"outputs": [recipe]}
    data = TableRows(table("\n".join(ROWS), ATTRIBUTES))
    return Features(resolve(parse_recipe(json.dumps(document)), data.table.schema.inputs), data), data


def words(recipe: str | dict[str, Any], row: int = 0) -> set[str]:
    """Return the words that a recipe makes of a row, which the row alone must give too."""
    made, data = features(recipe)
    values = csr_matrix(made.matrix(data))[row]
    found = {int(place) for place, value in zip(values.indices, values.data, strict=True) if value}
    record = dict(zip(ATTRIBUTES, cells(data.table)[row], strict=True))
    assert set(made.row(record)[0]) == found
    return {made.names[place] for place in found}


BIGRAMS = {
    "The_quick", "The__brown", "The___fox", "quick_brown", "quick__fox", "brown_fox",
}  # fmt: skip
BARE = {"Welcome", "to", "AML", "please", "fasten", "your", "seat-belts"}


@pytest.mark.parametrize(
    ("expression", "row", "expected"),
    [
        ("t", 0, {"The", "quick", "brown", "fox"}),
        ("c", 0, {"red"}),
        ("c", 3, set()),
        ("b", 0, {"1"}),
        ("b", 1, {"0"}),
        ("b", 2, set()),
        ("ngram(t,1)", 0, {"The", "quick", "brown", "fox"}),
        ("ngram(t,2)", 0, {"The", "quick", "brown", "fox", "The quick", "quick brown", "brown fox"}),
        ("ngram(t,3)", 1, {"fox", "Fox", "fox Fox"}),
        ("osb(t,4)", 0, BIGRAMS),
        ("osb(t,2)", 0, {"The_quick", "quick_brown", "brown_fox"}),
        ("lowercase(t)", 1, {"fox"}),
        ("no_punct(u)", 0, BARE),
        ("lowercase(no_punct(u))", 0, {word.lower() for word in BARE}),
        ("ngram(lowercase(t),2)", 1, {"fox", "fox fox"}),
        ("cartesian(c,b)", 0, {"red_1"}),
        ("cartesian(t,c)", 1, {"fox_blue", "Fox_blue"}),
        ("cartesian(c,b,quantile_bin(n,2))", 1, {"blue_0_0"}),
        ("cartesian(c,b)", 2, set()),
        # The inner edges of 5 bins over 1 … 5 are 1.8, 2.6, 3.4, 4.2.
        ("quantile_bin(n,5)", 0, {"0"}),
        ("quantile_bin(n,5)", 2, {"2"}),
        ("quantile_bin(n,5)", 4, {"4"}),
        # The one edge of 2 bins over 10, 20, 30, 50 is 25; the fourth row has no value.
        ("quantile_bin(m,2)", 1, {"0"}),
        ("quantile_bin(m,2)", 2, {"1"}),
        ("quantile_bin(m,2)", 3, set()),
        ("quantile_bin(normalize(n),5)", 2, {"2"}),
        ("'c'", 0, {"red"}),
        ('lowercase( "c" )', 1, {"blue"}),
    ],
)
def test_a_function_gives_what_its_description_says(expression: str, row: int, expected: Any) -> None:
    """The examples of AWS's "Data Transformations Reference" and small cases by hand."""
    assert words(expression, row) == expected


def test_normalize_gives_numbers_mean_0_and_variance_1() -> None:
    """1 … 5 has mean 3 and deviation √2."""
    made, data = features("normalize(n)")
    expected = [-(2**0.5), -(0.5**0.5), 0.0, 0.5**0.5, 2**0.5]
    assert made.matrix(data)[:, 0].tolist() == pytest.approx(expected)
    assert made.row({"n": "5"})[1] == pytest.approx([2**0.5])


def test_without_normalize_numbers_stay_as_they_are() -> None:
    """Published for Ames housing."""
    plain, data = features("n")
    assert plain.matrix(data)[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert plain.row({"n": "5"}) == ([0], [5.0])


@pytest.mark.parametrize(("expression", "mean"), [("m", 27.5), ("normalize(m)", 0)])
def test_missing_numbers_count_as_the_mean(expression: str, mean: float) -> None:
    """10, 20, 30, 50 has mean 27.5, normalized 0: so has the row without a value."""
    made, data = features(expression)
    assert made.matrix(data)[3, 0] == pytest.approx(mean)
    places, numbers = made.row({"m": "none"})
    assert list(places) == [0]
    assert list(numbers) == pytest.approx([mean])


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ({"outputs": ["ALL_INPUTS"]}, ["t", "u", "c", "n", "m", "b"]),
        ({"outputs": ["ALL_TEXT", "ALL_BINARY", "t"]}, ["t", "u", "b"]),
        ({"groups": {"g": "group(c, b)"}, "outputs": ["g"]}, ["c", "b"]),
        ({"groups": {"g": "group(ALL_NUMERIC, 'c')"}, "outputs": ["g"]}, ["n", "m", "c"]),
        ({"groups": {"g": "group_remove(ALL_INPUTS, ALL_TEXT, n)"}, "outputs": ["g"]}, ["c", "m", "b"]),
        ({"groups": {"g": "group(t, u)", "h": "group_remove(g, t)"}, "outputs": ["h"]}, ["u"]),
        ({"assignments": {"a": "lowercase(t)", "z": "ngram(a, 2)"}, "outputs": ["z"]}, ["ngram(lowercase(t))"]),
        ({"outputs": ["quantile_bin(ALL_NUMERIC, 7)"]}, ["quantile_bin(n)", "quantile_bin(m)"]),
        ({"outputs": ["cartesian(ALL_TEXT, c)"]}, ["cartesian(t,c)", "cartesian(u,c)"]),
    ],
)  # fmt: skip
def test_groups_and_assignments_stand_for_what_they_name(recipe: dict[str, Any], expected: list[str]) -> None:
    """Groups spread functions over their variables; assignments chain; an output that comes twice counts once."""

    def label(term: Any) -> str:
        return term.variable or f"{term.function}({','.join(map(label, term.inputs))})"

    assert [label(term) for term in resolve(parse_recipe(json.dumps(recipe)), ATTRIBUTES)] == expected


@pytest.mark.parametrize(
    ("rows", "bins"), [(10, 10), (1999, 10), (2000, 10), (4000, 20), (41_000, 200), (10_000_000, 500)]
)
def test_the_default_recipe_bins_numbers_by_the_number_of_rows(rows: int, bins: int) -> None:
    """10 to 500 bins, as in recipes that AWS generated: more than 10 have 200 rows each at least.

    All other kinds are as they are, and only kinds that the data has.
    """
    assert json.loads(default_recipe(ATTRIBUTES, rows))["outputs"] == [
        "ALL_BINARY", "ALL_CATEGORICAL", f"quantile_bin(ALL_NUMERIC,{bins})", "ALL_TEXT",
    ]  # fmt: skip
    assert json.loads(default_recipe({"t": "TEXT"}, rows))["outputs"] == ["ALL_TEXT"]


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("{", "recipe is not valid JSON"),
        ("[]", "recipe must be a JSON object"),
        ("{}", "outputs must be a list with at least one entry"),
        ('{"outputs": []}', "outputs must be a list with at least one entry"),
        ('{"outputs": [1]}', "outputs, entry 1 must be a string"),
        ('{"outputs": ["a"], "extra": {}}', "unknown sections: extra"),
        ('{"groups": [], "outputs": ["a"]}', "groups must be a JSON object"),
        ('{"groups": {"ALL_INPUTS": "group(a)"}, "outputs": ["a"]}', "ALL_INPUTS, which is predefined"),
        ('{"outputs": ["a", "lower(a)"]}', "outputs, entry 2: 'lower' is no function; known are group"),
        ('{"outputs": ["a"], "groups": {}}', "sections stand in the order outputs, groups; write groups, assignments"),
        ('{"outputs": ["2a"]}', "the name '2a' needs quotes, since it does not begin with a letter at column 3"),
        ('{"outputs": ["group(a, 2)"]}', "the name '2' needs quotes"),
        ('{"outputs": ["ngram(_a, 2)"]}', "the name '_a' needs quotes"),
        ('{"outputs": ["ngram(a)"]}', "ngram must end with an integer from 1 to 10"),
        ('{"outputs": ["ngram(a, 11)"]}', "ngram must end with an integer from 1 to 10"),
        ('{"outputs": ["osb(a, 1)"]}', "osb must end with an integer from 2 to 10"),
        ('{"outputs": ["quantile_bin(a, many)"]}', "quantile_bin must end with an integer from 2 to 1000"),
        ('{"outputs": ["quantile_bin(3)"]}', "quantile_bin has the wrong number of arguments"),
        ('{"outputs": ["cartesian(a)"]}', "cartesian has the wrong number of arguments"),
        ('{"outputs": ["normalize(a, b)"]}', "normalize has the wrong number of arguments"),
        ('{"outputs": ["lowercase(a"]}', r"expected ',' or '\)' at column 12 of 'lowercase\(a'"),
        ('{"outputs": ["lowercase()"]}', "expected a name at column 11"),
        ('{"outputs": ["a b"]}', "expected the end at column 2"),
        ('{"outputs": [""]}', "expected a name at column 1"),
        (json.dumps({"outputs": ["lowercase(" * 60 + "a" + ")" * 60]}), "more than 50 functions inside each other"),
    ],
)
def test_a_malformed_recipe_says_where(recipe: str, message: str) -> None:
    """The message names section, entry and column."""
    with pytest.raises(ValueError, match=message):
        validate_recipe(recipe)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"outputs": ["nowhere"]}, "names 'nowhere', which is no variable, group or assignment"),
        ({"groups": {"g": "group(nowhere)"}, "outputs": ["t"]}, "names 'nowhere'"),
        ({"outputs": ["ngram(n, 2)"]}, "applies ngram to 'n', which is NUMERIC; it takes TEXT"),
        ({"outputs": ["normalize(ALL_INPUTS)"]}, "applies normalize to 't', which is TEXT"),
        ({"outputs": ["quantile_bin(lowercase(c), 5)"]}, r"quantile_bin to lowercase\('c'\), which is CATEGORICAL"),
        ({"outputs": ["cartesian(n, c)"]}, "applies cartesian to 'n'"),
        ({"outputs": ["group_remove(t, t)"]}, "outputs select no variable"),
        ({"outputs": ["lowercase(" * 17 + "t" + ")" * 17]}, "nests more than 16 functions"),
        ({"outputs": [f"cartesian({','.join(['ALL_TEXT'] * 20)})"]}, "makes more than 10000 variables"),
    ],
)  # fmt: skip
def test_a_recipe_that_does_not_fit_the_data_says_so(recipe: dict[str, Any], message: str) -> None:
    """Names and kinds are checked against the schema when the model is made."""
    with pytest.raises(LearningError, match=message):
        resolve(parse_recipe(json.dumps(recipe)), ATTRIBUTES)


def test_a_model_keeps_the_recipe_that_it_used() -> None:
    """The default one too, as AWS's GetMLModel shows it."""
    rows = "\n".join(f"{n},{n % 2}" for n in range(20))
    trained = train(table(rows, {"n": "NUMERIC", "y": "BINARY"}, targetAttributeName="y"), "BINARY")
    assert json.loads(trained.recipe) == {"groups": {}, "assignments": {}, "outputs": ["quantile_bin(ALL_NUMERIC,10)"]}
