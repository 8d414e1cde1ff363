"""Pages."""

from mot_reid.extras import require

require("jinja2", "report", "report")
