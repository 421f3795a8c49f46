"""The page's script: what is folded opens for a link to it, and for paper."""

#: Without it, folds open by hand all the same.
SCRIPT = """
(function () {
  function reveal() {
    var place = decodeURIComponent(location.hash.slice(1));
    var at = place && document.getElementById(place);
    if (!at) { return; }
    for (var up = at; up; up = up.parentElement) {
      if (up.tagName === 'DETAILS') { up.open = true; }
    }
    at.scrollIntoView();
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
    closed.forEach(function (one) { one.open = true; });
  });
  window.addEventListener('afterprint', function () {
    closed.forEach(function (one) { one.open = false; });
  });
}());
"""
