"""What a test looks at of the metrics: which series rose while something happened."""

from collections.abc import Callable

from accounts import metrics


def series() -> dict[str, float]:
    """Return the counters of this process, written as Prometheus writes them."""
    found = {}
    for metric in metrics.REGISTRY.collect():
        for sample in metric.samples if metric.type == "counter" else ():
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def rise(happens: Callable[[], object], *, but: str = "\0") -> dict[str, float]:
    """Return by how much which counters rose while ``happens`` ran, without those whose name has ``but`` in it."""
    before = series()
    happens()
    risen = {name: value - before.get(name, 0.0) for name, value in series().items() if but not in name}
    return {name: value for name, value in risen.items() if value}
