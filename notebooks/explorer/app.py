"""The page of the explorer, as marimo runs it; everything that it shows comes from elsewhere."""

# mypy: disable-error-code="no-untyped-def"

import marimo

app = marimo.App(width="full", app_title="Training-gaming: the explorer")


@app.cell
def _():
    import marimo as mo

    from notebooks.explorer import controls, page

    memory = page.Memory()
    now, ask = mo.state(None)
    mo.Html(page.TITLE)
    return ask, controls, memory, mo, now, page


@app.cell
def _(controls):
    pasted = controls.pasted()
    pasted
    return (pasted,)


@app.cell
def _(controls, memory, pasted):
    wrong = controls.load(pasted.value, memory)
    head = controls.head(memory.loaded)
    head
    return head, wrong


@app.cell
def _(controls, head, memory):
    sliders = controls.Sliders(head.value, memory.loaded)
    moving = sliders.elements
    moving
    return moving, sliders


@app.cell
def _(ask, head, memory, moving, sliders, wrong):
    asked = sliders.asked(head.value, moving.value, wrong=wrong)
    if memory.is_new(asked):
        ask(asked)
    return


@app.cell
def _(memory, mo, now, page):
    mo.stop(now() is None)
    message, body = page.respond(now(), memory)
    mo.Html(message + body)
    return


if __name__ == "__main__":
    app.run()
