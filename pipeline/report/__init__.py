"""The report: one self-contained HTML page that tells people what their corpus is.

`facts` gathers what is said, `drawing` draws it as SVG, `page` puts both into the template. `write` is all there is
to call.
"""

from pipeline.report.page import write

__all__ = ["write"]
