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

// The list of claims: folded on a phone, beside the text elsewhere; the claim in view is marked.
(function () {
  var list = document.querySelector('nav details');
  var wide = window.matchMedia('(min-width: 64rem)');
  function fold() { list.open = wide.matches; }
  wide.addEventListener('change', fold);
  fold();
  list.addEventListener('click', function (event) {
    if (!wide.matches && event.target.closest('a')) { list.open = false; }
  });
  var links = {};
  document.querySelectorAll('nav a').forEach(function (link) {
    links[link.getAttribute('href').slice(1)] = link;
  });
  var current = null;
  var watch = new IntersectionObserver(function (entries) {
    entries.forEach(function (entry) {
      if (!entry.isIntersecting) { return; }
      if (current) { current.removeAttribute('aria-current'); }
      current = links[entry.target.id];
      current.setAttribute('aria-current', 'true');
      if (!wide.matches) { return; }
      var nav = list.parentElement;
      var top = current.offsetTop - nav.offsetTop;
      if (top < nav.scrollTop || top > nav.scrollTop + nav.clientHeight - 60) {
        nav.scrollTop = top - nav.clientHeight / 2;
      }
    });
  }, {rootMargin: '-20% 0px -70% 0px'});
  document.querySelectorAll('section').forEach(function (section) { watch.observe(section); });
}());
