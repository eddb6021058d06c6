"""Experiments in a line each: the paper's figure, ours, and what stands beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Line = tuple[str, str, str]


def as_markdown(documents: Mapping[str, Mapping[str, Any]]) -> str:
    """A table of the experiments whose JSON is given, by name."""
    lines = ["| experiment | paper | `scenes` | beside it |", "|---|---|---|---|"]
    for name, line in LINES.items():
        if name in documents:
            lines.append(f"| {name} | " + " | ".join(line(documents[name])) + " |")
    return "\n".join(lines) + "\n"


def _fidelity(found: Mapping[str, Any]) -> Line:
    at = {row["method"]: row for row in found["measured"]["rows"] if row["sparsity"] == 5}
    names = ("top-k", "COMP, λ 0.3", "NNOMP")
    ours = " / ".join(f"{at[n]['fidelity']:.2f}" for n in names)
    alike = " / ".join(f"{at[n]['coherence']:.2f}".replace("-", "−") for n in names)
    chance = " / ".join(f"{at[n]['random']:.2f}" for n in names)
    return (
        "top-k / COMP / NNOMP: fidelity 0.35 / 0.60 / 0.65",
        f"{ours}; coherence {alike}",
        f"random directions {chance}",
    )


def _pool_size(found: Mapping[str, Any]) -> Line:
    rows = found["measured"]["rows"]
    ours = ", ".join(f"{row['fidelity']:.2f} of {row['concepts']:,}" for row in rows)
    chance = ", ".join(f"{row['random']:.2f}" for row in rows)
    return "fidelity 0.3 of 200 images, 0.5–0.7 of 5,000", ours, f"random directions {chance}"


def _grounding(found: Mapping[str, Any]) -> Line:
    everything, clear = found["measured"]["all"], found["measured"]["clear"]
    return (
        "nearest images show the concepts",
        f"{_share(everything['shown'])} of them show the value said most, "
        f"{_share(clear['shown'])} where it has half of the weight",
        f"other vectors' images {_share(everything['chance'])}, {_share(clear['chance'])}",
    )


def _spurious(found: Mapping[str, Any]) -> Line:
    base, edited = found["measured"]["base"], found["measured"]["edited"]
    control = found["control"]
    chance = [one["worst_group"] for one in control["random"]]
    return (
        "worst group 47.9 → 70.6%, overall 73.5 → 82.7%",
        f"worst group {_change(base, edited, 'worst_group')}, "
        f"overall {_change(base, edited, 'overall')}",
        f"worst group by whole heads {100 * control['whole_heads']['worst_group']:.1f}%, at "
        f"random {100 * min(chance):.1f}–{100 * max(chance):.1f}%",
    )


def _unsafe(found: Mapping[str, Any]) -> Line:
    base, edited = found["measured"]["base"], found["measured"]["edited"]
    key, first, other = "T*→V∪V*", "safe first", "T→V∪V*"
    fell = 100 * (edited["T→V"]["recall@1"] - base["T→V"]["recall@1"])
    return (
        "unsafe queries find safe content more often, safe recall −0.6",
        f"{100 * base[key][first]:.0f} → {100 * edited[key][first]:.0f}% find it first, safe "
        f"recall {fell:+.1f}".replace("-", "−"),
        f"the price: of safe queries among both {100 * base[other][first]:.0f} → "
        f"{100 * edited[other][first]:.0f}%",
    )


def _classification(found: Mapping[str, Any]) -> Line:
    rows = found["measured"]["rows"]
    first = rows[0]["gain"]
    tried = [r for r in rows if "again" in r]
    best = max(tried, key=lambda r: r["gain"]["mean"])
    gained = found["control"]["gained"]
    said = f"a gain that shows twice: {', '.join(gained)}" if gained else "no gain that shows twice"
    return (
        "76.5 → 77.5%",
        f"{_points(first)} by its formula; {said}",
        f"best of {len(rows)} ways {_points(best['gain'])}, on other pictures "
        f"{_points(best['again'])}",
    )


def _adaptation(found: Mapping[str, Any]) -> Line:
    rows = found["measured"]["rows"]
    ours = ", ".join(f"{_share(r['difference'])} ({r['factor']}, {r['way']})" for r in rows)
    base = ", ".join(dict.fromkeys(f"{_share(r['base'])} ({r['factor']})" for r in rows))
    return (
        "a stable basis is reweighted; what changed names the task",
        f"weight on the task's factor in what changed: {ours}; vectors matched to a cosine of "
        f"{rows[0]['drift']['matched']:.3f}",
        f"in the base {base}",
    )


def _reconstruction(found: Mapping[str, Any]) -> Line:
    rows, base = found["measured"]["rows"], found["measured"]["base"]
    ours = ", ".join(f"{100 * row['mean']:.0f}% of K {row['sparsity']}" for row in rows)
    return "accuracy returns as K grows", ours, f"as it is {100 * base['mean']:.0f}%"


def _share(figure: Mapping[str, float]) -> str:
    return f"{100 * figure['mean']:.0f}%"


def _points(figure: Mapping[str, float]) -> str:
    low, high = 100 * figure["low"], 100 * figure["high"]
    return f"{100 * figure['mean']:+.1f} ({low:+.1f} to {high:+.1f})".replace("-", "−")


def _change(base: Mapping[str, float], edited: Mapping[str, float], figure: str) -> str:
    return f"{100 * base[figure]:.1f} → {100 * edited[figure]:.1f}%"


LINES: dict[str, Callable[[Mapping[str, Any]], Line]] = {
    "fidelity": _fidelity,
    "pool-size": _pool_size,
    "grounding": _grounding,
    "spurious": _spurious,
    "unsafe": _unsafe,
    "classification": _classification,
    "adaptation": _adaptation,
    "reconstruction": _reconstruction,
}
