"""`corpus find TEXT`: events nearest in meaning to a text, on the screen and on a page with stills.

`search` finds, `page` draws. A corpus is read part by part; nothing is written into it.
"""

from pipeline.find.nearness import OtherEncoder
from pipeline.find.search import ALL, WAYS, Found, Hit, find

__all__ = ["ALL", "WAYS", "Found", "Hit", "OtherEncoder", "find"]
