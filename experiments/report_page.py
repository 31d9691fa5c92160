"""The frame of a report: one HTML page with inline styles, no scripts and no links to anywhere."""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light">
<title>{title} (kofn)</title>
<link rel="icon" href="data:,">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 70rem; margin: 2rem auto;
  padding: 0 1rem; }}
h1 {{ font-size: 1.6rem; margin-bottom: 0; }}
h2 {{ font-size: 1.2rem; margin-top: 2.5rem; border-bottom: 1px solid #ccc; }}
section {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.85rem; margin: 0.5rem 0; }}
th, td {{ text-align: left; padding: 0.2rem 0.6rem; border-bottom: 1px solid #ddd; white-space: nowrap; }}
th {{ background: #f3f3f3; }}
figure {{ margin: 1.5rem 0; }}
figure img {{ max-width: 100%; height: auto; border: 1px solid #eee; }}
figcaption, footer {{ color: #555; font-size: 0.9rem; }}
code {{ background: #f3f3f3; padding: 0 0.2rem; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>Written by kofn {version}. Intervals are 95% stratified bootstraps over seeds.</p>
{body}
</body>
</html>
"""
