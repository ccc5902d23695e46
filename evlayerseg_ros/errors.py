"""The one error that bad input raises."""


class InputError(ValueError):
    """Bad input from outside: a file, a message, a parameter or a model.

    Its text is one sentence for a person: what is wrong, where, and what was expected.
    Commands print it and exit with status 2; the node reports it in diagnostics and keeps running.
    """


class InferenceError(InputError):
    """A model that was loaded, or what runs it, failed on a window: out of memory, device lost."""
