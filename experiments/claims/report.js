// What is folded opens for a link to it, and for paper. Without scripts, folds open by hand.
(function () {
  function reveal() {
    var place = decodeURIComponent(location.hash.slice(1));
    var target = place && document.getElementById(place);
    if (!target) { return; }
    for (var up = target; up; up = up.parentElement) {
      if (up.tagName === 'DETAILS') { up.open = true; }
    }
    target.scrollIntoView();
  }
  window.addEventListener('hashchange', reveal);
  document.addEventListener('click', function (event) {
    var link = event.target.closest && event.target.closest('a[href^="#"]');
    if (link && link.getAttribute('href') === location.hash) { reveal(); }
  });
  reveal();
  var closed = [];
  window.addEventListener('beforeprint', function () {
    closed = [].slice.call(document.querySelectorAll('details:not([open])'));
    closed.forEach(function (fold) { fold.open = true; });
  });
  window.addEventListener('afterprint', function () {
    closed.forEach(function (fold) { fold.open = false; });
  });
}());

// The map of regimes: the curves of the cell that is hovered, focused or clicked. One button is in
// the order of the tab key; arrows move from there.
(function () {
  var map = document.getElementById('map');
  if (!map) { return; }
  var cells = JSON.parse(document.getElementById('map-data').textContent);
  var buttons = map.querySelectorAll('button[data-cell]');
  function show(button) {
    var cell = cells[button.dataset.cell];
    document.getElementById('cell-gaming').setAttribute('points', cell.gaming);
    document.getElementById('cell-value').setAttribute('points', cell.value);
    document.querySelectorAll('#cell-text [data-of]').forEach(function (place) {
      place.textContent = cell[place.dataset.of];
    });
    buttons.forEach(function (other) {
      var pressed = other === button;
      other.setAttribute('aria-pressed', pressed ? 'true' : 'false');
      other.tabIndex = pressed ? 0 : -1;
    });
  }
  var moves = {ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]};
  buttons.forEach(function (button) {
    button.addEventListener('mouseenter', function () { show(button); });
    button.addEventListener('focus', function () { show(button); });
    button.addEventListener('click', function () { show(button); });
    button.addEventListener('keydown', function (event) {
      var move = moves[event.key];
      if (!move) { return; }
      event.preventDefault();
      var cell = button.dataset.cell.split(',').map(Number);
      var next = map.querySelector(
        'button[data-cell="' + (cell[0] + move[0]) + ',' + (cell[1] + move[1]) + '"]');
      if (next) { next.focus(); }
    });
  });
}());
