"""What the server draws: icons, states, bars and timelines as HTML and SVG text. No database, no requests."""
