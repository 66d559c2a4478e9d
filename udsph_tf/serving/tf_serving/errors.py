"""What goes wrong between this process and a model server."""

__all__ = ["ServingError"]


class ServingError(ConnectionError):
    """The model server gave no answer, or refused the request.

    Args:
        message: what happened, with the server's own words.
        status: the gRPC status by name, such as `"UNAVAILABLE"`; over REST the one that TensorFlow
            Serving writes as that HTTP status.

    Example:
        >>> ServingError("no such model", "NOT_FOUND").retryable
        False
    """

    def __init__(self, message: str, status: str):
        super().__init__(message)
        self.status = status

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed a moment later.

        Only of a server that is not there, or says that it is too busy. A deadline is not tried
        again: the caller's time is over, and a server that is late would be later still.
        """
        return self.status == "UNAVAILABLE"
