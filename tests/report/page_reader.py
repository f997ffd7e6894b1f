"""Reads a report page: numbers without their mark, and whatever it would fetch from elsewhere."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

EMPTY = ("meta", "br", "path", "rect", "hr")


@dataclass(eq=False)
class Element:
    tag: str
    attributes: dict
    parent: "Element | None" = None
    children: list = field(default_factory=list)  # elements and texts

    @property
    def classes(self):
        return (self.attributes.get("class") or "").split()

    @property
    def text(self):
        return "".join(c if isinstance(c, str) else c.text for c in self.children)

    def all(self, tag=None):
        for child in self.children:
            if isinstance(child, Element):
                if tag in (None, child.tag):
                    yield child
                yield from child.all(tag)

    def inside(self):
        element = self
        while element is not None:
            yield element
            element = element.parent


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.root = self.here = Element("root", {})

    def handle_starttag(self, tag, attrs):
        element = Element(tag, dict(attrs), self.here)
        self.here.children.append(element)
        if tag not in EMPTY:
            self.here = element

    def handle_startendtag(self, tag, attrs):
        self.here.children.append(Element(tag, dict(attrs), self.here))

    def handle_endtag(self, tag):
        if tag in EMPTY:
            return
        assert self.here.tag == tag, f"</{tag}> ends <{self.here.tag}>"
        self.here = self.here.parent

    def handle_data(self, data):
        self.here.children.append(data)


def read(page: str) -> Element:
    """The page as a tree."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.here is reader.root, f"<{reader.here.tag}> has no end"
    return reader.root


def unmarked(page: str) -> list[str]:
    """Texts with digits that are no names and show no mark."""
    found = []
    for element in read(page).all():
        if element.tag in ("style", "title"):
            continue
        for text in (child for child in element.children if isinstance(child, str)):
            if any(c.isdigit() for c in text) and not _shows_mark(element):
                found.append(text.strip())
    return found


def _shows_mark(element):
    for outer in element.inside():
        if "name" in outer.classes:
            return True
        mark = outer.attributes.get("data-mark")
        if mark:
            return mark in _marks(outer) or mark == _column(outer).attributes.get("data-mark")
    return False


def _marks(element):
    return [each.text for each in element.all("i") if "mark" in each.classes]


def _column(cell):
    """The header of the cell's column."""
    row = [child for child in cell.parent.children if isinstance(child, Element)]
    table = next((outer for outer in cell.inside() if outer.tag == "table"), None)
    heads = [] if table is None else [h for t in table.all("thead") for h in t.all("th")]
    index = row.index(cell)
    head = heads[index] if index < len(heads) else Element("th", {})
    return head if head.attributes.get("data-mark") in _marks(head) else Element("th", {})


def fetched(page: str) -> list[str]:
    """Tags and attributes that name another file."""
    found = []
    for element in read(page).all():
        if element.tag in ("script", "link", "img", "iframe", "object"):
            found.append(f"<{element.tag}>")
        found += [
            f"{key}={value}"
            for key, value in element.attributes.items()
            if key in ("src", "href", "srcset", "data", "action")
        ]
        if element.tag == "style" and ("url(" in element.text or "@import" in element.text):
            found.append("style")
    return found
