"""What the service counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["Metrics"]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Counters of one service; each has a registry of its own, so that several can be in a process.

    Example:
        >>> metrics = Metrics()
        >>> metrics.requests.labels("/v1/search/text", "200").inc()
        >>> b'udsph_requests_total{path="/v1/search/text",status="200"} 1.0' in metrics.text()
        True
    """

    def __init__(self):
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "udsph_requests", "Requests answered", ["path", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "udsph_request_seconds",
            "Seconds from a request's head to its answer",
            ["path"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.stages = Histogram(
            "udsph_stage_seconds",
            "Seconds of a search's stages: encode, search",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "udsph_requests_in_flight", "Searches and pictures begun", registry=self.registry
        )
        self.rejected = Counter(
            "udsph_requests_rejected", "Requests turned away: too many", registry=self.registry
        )
        self.items = Gauge("udsph_index_items", "Items of the index", registry=self.registry)
        self.generation = Gauge(
            "udsph_index_generation", "Rises with every reload", registry=self.registry
        )
        self.reloads = Counter(
            "udsph_index_reloads", "Reloads of the index", ["result"], registry=self.registry
        )

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)
