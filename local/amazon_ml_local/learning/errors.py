"""The one error that the learning half raises on what people hand it."""


class LearningError(ValueError):
    """Data, schema, recipe or parameters cannot be used; the text is the Message of the FAILED entity.

    It says what is wrong, where (file, line, column, name), and what to do about it.
    """
