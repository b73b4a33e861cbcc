"""From the text of specs to Rules: load.py reads YAML, parse.py reads update texts, lower.py joins the two."""
