"""HTML as values: whatever is no `Html` is text, and is escaped. Nothing else makes markup."""

import html
from collections.abc import Iterable, Mapping

_VOID = frozenset({"meta", "img"})


class Html(str):
    """Markup that is safe to put into a page as it is."""

    __slots__ = ()


Content = str | int | Iterable["Content"] | None


def tag(name: str, /, *content: Content, **attributes: str | float | bool | None) -> Html:
    """An element. Attributes: `class_` is `class`, `aria_label` is `aria-label`; None and False are left out."""
    opened = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    if name in _VOID:
        return Html(opened)
    return Html(f"{opened}{join(content)}</{name}>")


def join(content: Content) -> Html:
    """Content one after the other; text is escaped, None is nothing."""
    if content is None:
        return Html()
    if isinstance(content, Html):
        return content
    if isinstance(content, str | int):
        return Html(html.escape(str(content)))
    return Html("".join(join(one) for one in content))


def _attribute(key: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'


def table(
    caption: str, columns: Mapping[str, bool], rows: Iterable[Iterable[Content]], *, hidden: bool = False
) -> Html:
    """A table. `columns` are headings, True where the column holds numbers; the first cell of a row heads it.

    `hidden` keeps the caption for screen readers only.
    """
    numeric = list(columns.values())
    head = tag("tr", [tag("th", name, scope="col", class_=_kind(number)) for name, number in columns.items()])
    body = [tag("tr", [_cell(cell, index, numeric[index]) for index, cell in enumerate(row)]) for row in rows]
    said = tag("caption", caption, class_="unseen" if hidden else None)
    return tag("div", tag("table", said, tag("thead", head), tag("tbody", body)), class_="scroll", tabindex=0,
               role="region", aria_label=caption)  # fmt: skip


def _cell(cell: Content, index: int, number: bool) -> Html:
    kind = _kind(number) or (
        "prose" if isinstance(cell, str) and not isinstance(cell, Html) and len(cell) > 40 else None
    )
    return tag("td", cell, class_=kind) if index else tag("th", cell, scope="row", class_=kind)


def _kind(number: bool) -> str | None:
    return "number" if number else None
