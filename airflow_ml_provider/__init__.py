"""Airflow provider for Amazon Machine Learning."""
