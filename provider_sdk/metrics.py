"""Metrics: plain counters, gauges and histograms, rendered as Prometheus text by runtime/exposition.py when an address is set.

Counting costs a dictionary look-up; nothing is rendered, imported or opened before somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

Labels = tuple[str, ...]
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(slots=True)
class Counter:
    """Only goes up; `labels` are the names of the label values given to `add`."""

    name: str
    doc: str
    labels: Labels
    values: dict[Labels, float] = field(default_factory=dict)

    def add(self, *label_values: str, by: float = 1.0) -> None:
        """Count `by` for these label values."""
        self.values[label_values] = self.values.get(label_values, 0.0) + by


@dataclass(slots=True)
class Gauge:
    """A value read when somebody asks: `read` gives one number for each tuple of label values."""

    name: str
    doc: str
    labels: Labels
    read: Callable[[], dict[Labels, float]]


@dataclass(slots=True)
class Distribution:
    """Counts and total of one label set of a histogram; `counts[i]` is what fell into bucket i, the last is +Inf."""

    counts: list[int]
    total: float = 0.0


@dataclass(slots=True)
class Histogram:
    """A distribution of seconds over fixed buckets."""

    name: str
    doc: str
    labels: Labels
    values: dict[Labels, Distribution] = field(default_factory=dict)

    def observe(self, seconds: float, *label_values: str) -> None:
        """Count one duration."""
        entry = self.values.get(label_values)
        if entry is None:
            entry = self.values[label_values] = Distribution([0] * (len(SECONDS) + 1))
        entry.counts[bisect_left(SECONDS, seconds)] += 1
        entry.total += seconds


M = TypeVar("M", Counter, Gauge, Histogram)


class Metrics:
    """The metrics of one process, by name. Asking for a name again gives the same metric."""

    def __init__(self) -> None:
        self._metrics: dict[str, Counter | Gauge | Histogram] = {}

    def counter(self, name: str, doc: str, *labels: str) -> Counter:
        """The counter of that name; end it in `_total`."""
        return self._add(Counter(name, doc, labels))

    def gauge(self, name: str, doc: str, read: Callable[[], dict[Labels, float]], *labels: str) -> Gauge:
        """A gauge read through `read` at each scrape."""
        return self._add(Gauge(name, doc, labels, read))

    def histogram(self, name: str, doc: str, *labels: str) -> Histogram:
        """The histogram of that name, in seconds."""
        return self._add(Histogram(name, doc, labels))

    def __iter__(self) -> Iterator[Counter | Gauge | Histogram]:
        return iter(tuple(self._metrics.values()))

    def _add(self, metric: M) -> M:
        known = self._metrics.setdefault(metric.name, metric)
        if not isinstance(known, type(metric)) or known.labels != metric.labels:
            raise ValueError(f"metric {metric.name} exists with another kind or other labels")
        return known
