"""What Amazon ML Local knows of learning: tables, recipes, models, metrics, batch predictions.

Importing it costs nothing: numpy and scikit-learn come with the first name that needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from airflow_ml_provider.local.learning.errors import LearningError
from airflow_ml_provider.local.learning.parameters import validate_training_parameters
from airflow_ml_provider.local.learning.rearrangement import validate_rearrangement
from airflow_ml_provider.local.learning.recipe import validate_recipe
from airflow_ml_provider.local.learning.schema import validate_schema
from airflow_ml_provider.local.learning.sql import read_sql_table
from airflow_ml_provider.local.learning.table import DataSource, Table, read_table

if TYPE_CHECKING:
    from airflow_ml_provider.local.learning.batch import BatchCounts, batch_predict
    from airflow_ml_provider.local.learning.evaluation import evaluate
    from airflow_ml_provider.local.learning.model import Model, Prediction
    from airflow_ml_provider.local.learning.training import train

__all__ = [
    "BatchCounts",
    "DataSource",
    "LearningError",
    "Model",
    "Prediction",
    "Table",
    "batch_predict",
    "evaluate",
    "read_sql_table",
    "read_table",
    "train",
    "validate_rearrangement",
    "validate_recipe",
    "validate_schema",
    "validate_training_parameters",
]

MODULES = {
    "BatchCounts": "batch",
    "Model": "model",
    "Prediction": "model",
    "batch_predict": "batch",
    "evaluate": "evaluation",
    "train": "training",
}


def __getattr__(name: str) -> object:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)
