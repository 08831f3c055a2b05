"""Machine learning: tables, recipes, models, metrics, batch predictions.

Importing it costs nothing: numpy, pyarrow and scikit-learn come with the first name that needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from amazon_ml_local.learning.errors import LearningError
from amazon_ml_local.learning.parameters import validate_training_parameters
from amazon_ml_local.learning.rearrangement import validate_rearrangement
from amazon_ml_local.learning.recipe import validate_recipe
from amazon_ml_local.learning.schema import validate_schema
from amazon_ml_local.learning.table import DataSource, Table

if TYPE_CHECKING:
    from amazon_ml_local.learning.batch import BatchCounts, predict_rows
    from amazon_ml_local.learning.distributions import Confusion, Counts, Residuals, Scores
    from amazon_ml_local.learning.evaluation import Evaluated, evaluate
    from amazon_ml_local.learning.model import Model, Prediction
    from amazon_ml_local.learning.reading import data_files, make_table, read_table
    from amazon_ml_local.learning.sql import write_rows
    from amazon_ml_local.learning.training import train

__all__ = [
    "BatchCounts",
    "Confusion",
    "Counts",
    "DataSource",
    "Evaluated",
    "LearningError",
    "Model",
    "Prediction",
    "Residuals",
    "Scores",
    "Table",
    "data_files",
    "evaluate",
    "make_table",
    "predict_rows",
    "read_table",
    "train",
    "validate_rearrangement",
    "validate_recipe",
    "validate_schema",
    "validate_training_parameters",
    "write_rows",
]

MODULES = {
    "BatchCounts": "batch",
    **dict.fromkeys(("Confusion", "Counts", "Residuals", "Scores"), "distributions"),
    "Evaluated": "evaluation",
    "Model": "model",
    "Prediction": "model",
    "data_files": "reading",
    "evaluate": "evaluation",
    "make_table": "reading",
    "predict_rows": "batch",
    "read_table": "reading",
    "train": "training",
    "write_rows": "sql",
}


def __getattr__(name: str) -> object:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)
