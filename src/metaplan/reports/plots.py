"""Plots as inline SVG that follows the page: its font, its colours, light and dark.

Matplotlib draws with stand-in colours, which then become CSS variables of the page. Each method
has one colour and one marker everywhere; no plot relies on colour alone. Labels are untrusted:
matplotlib escapes them, and its math notation is off.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import cycle
from typing import Any

from metaplan.core import MissingDependencyError, digest

__all__ = ["Mark", "curves", "dots_by_group", "fitted", "histogram", "intervals"]

_WIDTH = 420  # units of the view box; the page shows them as about one CSS pixel each
_LABEL_LENGTH = 13  # characters that fit left of the axis
_INK, _MUTED, _LINE, _ACCENT = "#010101", "#020202", "#030303", "#040404"
_METHOD_COLOURS = {
    "none": "#100001",
    "sft": "#100002",
    "rft": "#100003",
    "mpo": "#100004",
    "prompted": "#100005",
}
_OTHER = "#100006"
_VARIABLES = {
    _INK: "var(--ink)",
    _MUTED: "var(--muted)",
    _LINE: "var(--line)",
    _ACCENT: "var(--accent)",
    _OTHER: "var(--other)",
} | {colour: f"var(--{method})" for method, colour in _METHOD_COLOURS.items()}
_MARKERS = {"none": "o", "sft": "s", "rft": "^", "mpo": "D", "prompted": "v"}

_STYLE = {
    "svg.fonttype": "none",  # text stays text: the page's font, selectable
    "svg.hashsalt": "metaplan",
    "text.parse_math": False,
    "font.size": 12,
    "text.color": _INK,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _MUTED,
    "axes.labelsize": 11.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "grid.color": _LINE,
    "grid.linewidth": 0.8,
    "xtick.color": _LINE,
    "xtick.labelcolor": _MUTED,
    "ytick.color": _LINE,
    "ytick.labelcolor": _INK,
    "xtick.labelsize": 11,
    "ytick.labelsize": 12,
    "ytick.major.size": 0,
}


@dataclass(frozen=True)
class Mark:
    """A value with its interval, as one line of an interval plot.

    Attributes:
        method: Gives the colour and the marker.
        text: The numbers, printed beside the line.
    """

    label: str
    method: str
    value: float
    low: float
    high: float
    text: str


def intervals(
    marks: Sequence[Mark],
    *,
    label: str,
    bounds: tuple[float, float],
    around_zero: bool = False,
) -> str:
    """One line per mark: point, interval, numbers.

    Args:
        marks: From top to bottom.
        label: Says in words what is to be seen, for those who don't see it.
        bounds: Of the axis.
        around_zero: For differences: draws the line of no difference.
    """
    # Names that don't fit beside the axis stand above their line.
    above = max(len(mark.label) for mark in marks) > _LABEL_LENGTH
    line = 46 if above else 30
    with _style():
        figure, axes = _canvas(
            line * len(marks) + 34, left=14 if above else 94, right=144, bottom=24
        )
        for place, mark in enumerate(reversed(marks)):
            _draw_mark(axes, mark, place)
            beside = axes.get_yaxis_transform()
            axes.text(1.04, place, mark.text, va="center", size=11.5, transform=beside)
            if above:
                axes.text(0.0, place + 0.42, mark.label, va="center", transform=beside)
        labels = ["" if above else mark.label for mark in reversed(marks)]
        axes.set_yticks(range(len(marks)), labels)
        axes.set_ylim(-0.6, len(marks) - 0.3)
        axes.grid(axis="x")
        if around_zero:
            axes.axvline(0.0, color=_MUTED, linewidth=1.2)
        axes.set_xlim(*bounds)
        axes.locator_params(axis="x", nbins=5)
        return _svg(figure, label)


def dots_by_group(
    groups: Mapping[str, Sequence[Mark]], *, label: str, bounds: tuple[float, float]
) -> str:
    """Marks under the name of their group, e.g. all methods within each task type."""
    line = 14
    rows = sum(len(marks) for marks in groups.values())
    height = rows * line + 30 * len(groups) + 32
    with _style():
        figure, axes = _canvas(height, left=14, right=14, bottom=24)
        place = 0.0
        for name, marks in reversed(list(groups.items())):
            for mark in reversed(marks):
                _draw_mark(axes, mark, place, size=5.5)
                place += line
            axes.text(bounds[0], place + 3, name, va="center", size=11.5, ha="left")
            place += 30
        axes.set_yticks([])
        axes.set_ylim(-10, place - 14)
        axes.set_xlim(*bounds)
        axes.grid(axis="x")
        return _svg(figure, label)


def histogram(values: Sequence[float], *, label: str, x: str, y: str) -> str:
    """Counts of values in [0, 1], in bins centred on multiples of 0.05."""
    with _style():
        figure, axes = _canvas(210, left=48, right=12, bottom=44)
        edges = [-0.025 + 0.05 * place for place in range(22)]
        axes.hist(values, bins=edges, color=_ACCENT, rwidth=0.84)
        axes.set(xlabel=x, ylabel=y, xlim=(-0.04, 1.04))
        axes.yaxis.get_major_locator().set_params(integer=True, nbins=4)
        axes.tick_params(axis="y", labelcolor=_MUTED, labelsize=11)
        axes.grid(axis="y")
        return _svg(figure, label)


def curves(lines: Mapping[str, Sequence[tuple[float, float]]], *, method: str, label: str) -> str:
    """Numbers over training steps; the first line in the method's colour."""
    with _style():
        figure, axes = _canvas(200, left=52, right=12, bottom=40)
        strokes = cycle(("-", "--", ":"))
        colours = [_METHOD_COLOURS.get(method, _OTHER), _INK, _MUTED]
        for (name, points), stroke, colour in zip(
            lines.items(), strokes, cycle(colours), strict=False
        ):
            steps, numbers = zip(*points, strict=True)
            marker = "o" if len(points) == 1 else None
            axes.plot(
                steps, numbers, stroke, color=colour, linewidth=1.8, marker=marker, label=name
            )
        axes.set_xlabel("step")
        axes.tick_params(axis="y", labelcolor=_MUTED, labelsize=11)
        axes.locator_params(axis="y", nbins=5)
        axes.grid(axis="y")
        if len(lines) > 1:
            axes.legend(frameon=False, fontsize=11, labelcolor=_INK)
        return _svg(figure, label)


def _draw_mark(axes: Any, mark: Mark, place: float, size: float = 8.0) -> None:
    colour = _METHOD_COLOURS.get(mark.method, _OTHER)
    axes.plot([mark.low, mark.high], [place, place], color=colour, linewidth=size / 3.2)
    axes.plot(
        [mark.value], [place], _MARKERS.get(mark.method, "P"), color=colour, markersize=size,
        markeredgewidth=0, clip_on=False,
    )  # fmt: skip


def fitted(marks: Iterable[Mark]) -> tuple[float, float]:
    """Bounds that show all intervals and zero, with some air."""
    shown = list(marks)
    low = min(0.0, *(mark.low for mark in shown))
    high = max(0.0, *(mark.high for mark in shown))
    air = 0.06 * (high - low) or 0.1
    return low - air * (low < 0.0), high + air


def _style() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise MissingDependencyError("matplotlib", "report") from error
    return matplotlib.rc_context(_STYLE)


def _canvas(height: float, *, left: float, right: float, bottom: float) -> tuple[Any, Any]:
    """A figure `height` units high with one pair of axes; margins in the same units."""
    from matplotlib.figure import Figure

    top = 8
    figure = Figure(figsize=(_WIDTH / 72, height / 72), facecolor="none")
    axes = figure.add_axes(
        (
            left / _WIDTH,
            bottom / height,
            (_WIDTH - left - right) / _WIDTH,
            (height - bottom - top) / height,
        ),
        facecolor="none",
    )
    return figure, axes


def _svg(figure: Any, label: str) -> str:
    """The figure as an `<svg>` element to stand in a page."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # The page's fonts draw the text, whatever the font that measures it here lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    box = re.search(r'viewBox="([^"]+)"', text)
    head = f'<svg viewBox="{box[1] if box else ""}" role="img" aria-label="{escape(label)}">'
    body = text[text.index(">") + 1 :].replace("xlink:href", "href")
    # Ids must differ between the plots of one page; the drawing itself tells them apart.
    prefix = f"p{digest(label, text)[:8]}"
    return head + re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", body)
