// Search without a server: browsers start no worker from a file, so there a hidden frame does the
// work. Stands in for the script of that name that mkdocs-material would fetch from elsewhere.
if (location.protocol === "file:")
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.onmessage = null
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      this.frame.title = "search"
      document.body.append(this.frame)
      const page = this.frame.contentDocument
      page.open()
      page.write(`<!doctype html><title>search</title><script>
        postMessage = (data) => parent.postMessage(data, "*")
        importScripts = (...urls) => urls.reduce((before, url) => before.then(() => new Promise((done) => {
          const script = document.createElement("script")
          script.src = url
          script.onload = script.onerror = done
          document.body.append(script)
        })), Promise.resolve())
      <\/script><body><script src="${url}"><\/script>`)
      page.close()
      this.ready = new Promise((done) => { this.frame.onload = done })
      addEventListener("message", (event) => {
        if (event.source !== this.frame.contentWindow) return
        const message = new MessageEvent("message", { data: event.data })
        this.dispatchEvent(message)
        if (this.onmessage) this.onmessage(message)
      })
    }
    postMessage(data) {
      this.ready.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })))
    }
    terminate() {
      this.frame.remove()
    }
  }
