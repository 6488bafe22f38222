"""The report: one self-contained HTML page that tells people what their corpus is.

`facts`, `refusals`, `episodes`, `evenness` and `sheets` gather what is said, `pictures` brings thumbnails down to what
a page may weigh, `drawing`, `signal_drawing` and `timeline_drawing` draw SVG, `page` puts all of it into the template.
`clips/` has events that play, `reviewed/` what people have judged and links to the review page. `write` is all there is
to call.
"""

from pipeline.report.page import write

__all__ = ["write"]
