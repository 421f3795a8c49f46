"""An animated emergence, as an SVG that moves by style sheet."""
