// Returns every text of a page whose contrast with what is behind it is below the least. Colours are
// composed from the text outwards; where a background is a picture, it is left out.
(least) => {
  const parse = (text) => {
    const canvas = CONTRAST_CANVAS.getContext('2d', {willReadFrequently: true});
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const CONTRAST_CANVAS = document.createElement('canvas');
  CONTRAST_CANVAS.width = CONTRAST_CANVAS.height = 1;
  const over = (top, below) => {
    const a = top[3] + below[3] * (1 - top[3]);
    if (a === 0) return [0, 0, 0, 0];
    const mix = (i) => (top[i] * top[3] + below[i] * below[3] * (1 - top[3])) / a;
    return [mix(0), mix(1), mix(2), a];
  };
  const light = ([r, g, b]) => {
    const part = [r, g, b].map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
  };
  const found = [];
  const walk = (root) => {
    for (const element of root.querySelectorAll('*')) {
      if (element.shadowRoot) walk(element.shadowRoot);
      const own = [...element.childNodes].filter((n) => n.nodeType === 3 && n.textContent.trim());
      const box = element.getBoundingClientRect();
      const style = getComputedStyle(element);
      if (!own.length || !box.width || !box.height || style.visibility === 'hidden') continue;
      if (/^(script|style|title|desc|noscript)$/i.test(element.tagName)) continue;
      if (box.width <= 1 || box.height <= 1) continue;
      const drawn = element.namespaceURI.endsWith('svg');
      let behind = [0, 0, 0, 0], shown = 1;
      for (let at = element; at; at = at.parentElement || (at.getRootNode().host ?? null)) {
        const its = getComputedStyle(at);
        shown *= parseFloat(its.opacity);
        behind = over(behind, parse(its.backgroundColor));
        if (drawn && at.tagName.toLowerCase() === 'svg') behind = over(behind, [255, 255, 255, 1]);
      }
      if (shown === 0) continue;
      behind = over(behind, [255, 255, 255, 1]);
      const ink = parse(drawn ? style.fill : style.color);
      ink[3] *= shown;
      const [a, b] = [light(over(ink, behind)), light(behind)];
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      const said = own[0].textContent.trim().slice(0, 40);
      if (contrast < least) found.push(`${said}: ${contrast.toFixed(2)}`);
    }
  };
  walk(document);
  return found;
}
