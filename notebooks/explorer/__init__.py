"""The explorer: a page on this machine on which a group moves assumptions and sees what follows.

`state` and `view` know nothing of the page; `app` is the page (marimo), `guard` what it lets in,
`serve` how it is served.
"""
