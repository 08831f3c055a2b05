"""The error for data, schemas, recipes and parameters that cannot be used."""


class LearningError(ValueError):
    """Raised when data, schema, recipe or parameters cannot be used; the message becomes the entity's ``Message``.

    It says what is wrong, where (file, line, column, name), and what to do about it.
    """
