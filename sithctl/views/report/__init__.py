"""Explanations as one HTML file that opens from disk: a map of the heads, their cards, a search.

``document`` says what there is to show, as plain data; ``page`` sets it in the template, beside the
style and the script that draw it in the reader's browser.
"""

from sithctl.views.report.document import Shown, document
from sithctl.views.report.page import page

__all__ = ["Shown", "document", "page"]
