"""How the page looks: colours with the contrast between them, and the style sheet.

Every pair of text and ground in `PAIRS` has a contrast of 4.5 or more (tested).
"""

from __future__ import annotations

INK, QUIET, GROUND, PANEL, LINK = "#1A1A1A", "#525252", "#FFFFFF", "#F5F5F2", "#00507A"
#: Of each verdict: text and ground.
VERDICTS = {
    "holds": ("#0B4F1F", "#DFF3E3"),
    "depends": ("#5C4000", "#FFF0C9"),
    "fails": ("#7D1616", "#FDE4E1"),
    "untried": ("#444444", "#E8E8E8"),
}
#: Of each regime: its letter, text and ground, and what it means.
REGIMES = {
    "none": ("N", "#333333", "#EDEDED", "gaming is below 0.1 in all contexts when training ends"),
    "transient": (
        "T",
        "#1A1A1A",
        "#F3D9A4",
        "gaming set in and went, or its rate still moves when training ends",
    ),
    "partial": (
        "P",
        "#1A1A1A",
        "#8CC7EC",
        "in no context 0.5 or more; in some a steady rate from 0.1 up: some of the time",
    ),
    "local": ("L", "#FFFFFF", "#00639C", "0.5 or more in some training contexts, not in all"),
    "global": ("G", "#FFFFFF", "#00304D", "0.5 or more in all training contexts"),
}
PAIRS = [
    (INK, GROUND),
    (QUIET, GROUND),
    (INK, PANEL),
    (QUIET, PANEL),
    (LINK, GROUND),
    (LINK, PANEL),
    *VERDICTS.values(),
    *((text, ground) for _, text, ground, _ in REGIMES.values()),
]


def contrast(text: str, ground: str) -> float:
    """Return the contrast of two colours (#RRGGBB), from 1 to 21, as WCAG 2 defines it."""
    light, dark = sorted((_luminance(text), _luminance(ground)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255.0 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def style_sheet() -> str:
    """Return the page's style sheet."""
    verdicts = "".join(
        f".{kind}{{color:{text};background:{ground}}}" for kind, (text, ground) in VERDICTS.items()
    )
    regimes = "".join(
        f".r-{name}{{color:{text};background:{ground}}}"
        for name, (_, text, ground, _) in REGIMES.items()
    )
    return f"{_BASE}{verdicts}{regimes}"


_BASE = f"""
*{{box-sizing:border-box}}
body{{overflow-wrap:anywhere}}th,.badge,.meta{{overflow-wrap:normal}}
html{{color:{INK};background:{GROUND};font:17px/1.55 Georgia,'Times New Roman',serif;
 -webkit-text-size-adjust:100%}}
body{{margin:0 auto;max-width:56rem;padding:1rem 1.2rem 4rem}}
h1,h2,h3,nav,table,button,figcaption,.badge,.meta,dt,.skip{{
 font-family:system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif}}
h1{{font-size:2rem;line-height:1.2;margin:1rem 0}}
h2{{font-size:1.45rem;line-height:1.25;margin:2.6rem 0 .6rem}}section h2{{margin-top:1.3rem}}
h3{{font-size:1.05rem;margin:1.1rem 0 .2rem}}
a{{color:{LINK}}}
p{{margin:.6rem 0}}
blockquote{{margin:.8rem 0;padding:.1rem 1rem;border-left:4px solid #B9B9B0;background:{PANEL}}}
blockquote footer{{color:{QUIET};font-size:.85rem}}
code{{font:.85em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}}
pre{{background:{PANEL};padding:.6rem .8rem;margin:.4rem 0;white-space:pre-wrap}}
.badge{{display:inline-block;font-size:.85rem;font-weight:700;padding:.05rem .55rem;
 border-radius:.3rem;white-space:nowrap}}
.verdict{{padding:.6rem .9rem;border-radius:.3rem;margin:.8rem 0}}
.verdict p{{margin:.2rem 0}}
section{{border-top:1px solid #C9C9C2;margin-top:1.8rem}}
figure{{margin:1rem 0}}
figcaption{{color:{QUIET};font-size:.88rem;line-height:1.4}}
svg.figure{{width:100%;height:auto;display:block}}
.scroll{{overflow-x:auto}}
.wide{{overflow-x:auto;margin:.6rem 0}}
.wide:focus-visible,.scroll:focus-visible,a:focus-visible,button:focus-visible,
summary:focus-visible{{outline:3px solid #B34700;outline-offset:2px}}
table{{border-collapse:collapse;font-size:.86rem;line-height:1.35;width:100%}}
caption{{text-align:left;color:{QUIET};padding:.2rem 0}}
th,td{{text-align:left;vertical-align:top;padding:.28rem .6rem .28rem 0;
 border-bottom:1px solid #DDDDD8}}
th[scope=row]{{font-weight:400}}
td.n,th.n{{text-align:right;font-variant-numeric:tabular-nums}}
dl{{margin:.4rem 0}}dt{{font-weight:600;font-size:.92rem;margin-top:.5rem}}dd{{margin:0 0 0 1rem}}
.meta{{color:{QUIET};font-size:.88rem}}
h4{{margin:1.2rem 0 .2rem;font:600 .95rem system-ui,-apple-system,'Segoe UI',Roboto,Arial,
 sans-serif}}
.bar{{display:inline-block;width:4.5rem;height:.75rem;margin-right:.5rem;background:#E3E3DE;
 border:1px solid {QUIET};vertical-align:-.08rem}}
.fill{{display:block;height:100%}}.fill.holds,.fill.depends,.fill.fails{{background:{LINK}}}
.contents td:nth-child(4){{white-space:nowrap}}.contents td:nth-child(2){{overflow-wrap:normal}}
.level{{display:inline-block;margin-right:1.3rem;white-space:nowrap}}
.fold{{border:1px solid #C9C9C2;border-radius:.3rem;margin:.6rem 0;padding:.1rem .8rem}}
.fold summary{{cursor:pointer;padding:.35rem 0;font:600 .92rem system-ui,-apple-system,'Segoe UI',
 Roboto,Arial,sans-serif}}
.hint{{display:none;color:{QUIET};font-size:.85rem;margin:.2rem 0}}
.skip{{position:absolute;left:-999px}}.skip:focus{{position:static}}
.map{{display:grid;grid-template-columns:minmax(0,1.15fr) minmax(0,1fr);gap:1.2rem;
 align-items:start}}
.map table{{table-layout:fixed;border-collapse:separate;border-spacing:1px;width:100%}}
.map td,.map th{{padding:0;border:0;text-align:center;font-size:.68rem;overflow:hidden}}
.map button{{display:block;width:100%;min-height:1.7rem;padding:0;border:0;border-radius:2px;
 font-size:.72rem;font-weight:600;cursor:pointer}}
.map button[aria-pressed=true]{{box-shadow:0 0 0 3px #B34700;position:relative}}
.key{{list-style:none;padding:0;margin:.5rem 0;font-size:.88rem}}
.key li{{margin:.25rem 0}}
.key .badge{{min-width:1.7rem;text-align:center;margin-right:.4rem}}
@media (max-width:640px){{
 html{{font-size:16px}}body{{padding:.6rem .8rem 3rem}}h1{{font-size:1.6rem}}
 .map{{grid-template-columns:minmax(0,1fr)}}
 .scroll svg.figure{{min-width:780px}}.map th{{font-size:.6rem}}.hint{{display:block}}
 .contents thead{{position:absolute;left:-999px}}
 .contents tr{{display:flex;flex-wrap:wrap;gap:.15rem .8rem;padding:.5rem 0;
  border-bottom:1px solid #DDDDD8}}
 .contents th,.contents td{{border:0;padding:0}}
 .contents th[scope=row],.contents td:nth-child(5){{flex:0 0 100%}}
 .contents th[scope=row]{{font-size:.95rem}}.contents td:nth-child(4)::after{{content:" points"}}
}}
@media print{{
 body{{max-width:none;font-size:10.5pt}}section{{break-inside:auto}}
 figure,tr,blockquote,.verdict{{break-inside:avoid}}h2,h3{{break-after:avoid}}
 .badge,.verdict,.map button{{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
 .skip,.hint{{display:none}}
 details::details-content{{content-visibility:visible;display:block}}
}}
"""
