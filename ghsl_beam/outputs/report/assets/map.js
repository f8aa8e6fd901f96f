// The map of the report: Leaflet shows the pictures that the page has, and no others.
(function () {
  "use strict";
  var byId = function (id) { return document.getElementById(id); };
  var data = JSON.parse(byId("map-data").textContent);
  var figures = Array.prototype.slice.call(document.querySelectorAll("figure[data-layer]"));
  if (!data || !figures.length) { return; }
  byId("map-box").hidden = false;

  var frame = L.latLngBounds(data.frame), STEPS = data.steps;
  var map = L.map("map", {
    zoomSnap: 0.1, zoomAnimation: false, fadeAnimation: false, inertia: false,
    scrollWheelZoom: false, maxZoom: 18,
    maxBounds: L.latLngBounds(data.surroundings), maxBoundsViscosity: 1
  });
  map.attributionControl.setPrefix(false).addAttribution(data.credit);
  L.control.scale({ imperial: false }).addTo(map);
  map.on("focus", function () { map.scrollWheelZoom.enable(); });
  map.on("blur", function () { map.scrollWheelZoom.disable(); });

  // From the bottom to the top: land, composite, layer, coast and outline, graticule.
  ["ground", "left", "right", "lines", "degrees"].forEach(function (name, place) {
    var pane = map.createPane(name);
    pane.style.zIndex = 210 + place;
    pane.style.pointerEvents = "none";
  });
  var quiet = { interactive: false, noClip: false };
  var styled = function (style) { return L.Util.extend({}, quiet, style); };
  if (data.land.length) {
    byId("map").classList.add("sea");
    L.polygon(data.land, styled({ pane: "ground", stroke: false, className: "land" })).addTo(map);
  }
  L.polyline(data.coast, styled({ pane: "lines", weight: 1.2, className: "coast" })).addTo(map);
  L.polygon(data.outline, styled({ pane: "lines", weight: 2, fill: false, className: "outline" }))
    .addTo(map);

  function picture(figure, pane) {
    return L.imageOverlay(figure.querySelector("img").src, frame, { pane: pane, alt: "" });
  }
  function squares(overlay) {
    // Pixels that are larger than those of the screen are shown as squares.
    var image = overlay && overlay.getElement();
    if (!image) { return; }
    var large = image.naturalWidth && parseFloat(image.style.width) > 1.5 * image.naturalWidth;
    image.classList.toggle("squares", Boolean(large));
  }

  var composite = figures.filter(function (figure) { return figure.dataset.composite; })[0];
  var base = composite ? picture(composite, "left").addTo(map) : null;
  var shown = null, layer = byId("map-layer"), swipe = byId("map-swipe");
  var opacity = byId("map-opacity"), line = byId("map-line"), legend = byId("map-legend");
  figures.forEach(function (figure, index) {
    var option = document.createElement("option");
    option.value = String(index);
    option.textContent = figure.querySelector(".title").textContent;
    layer.appendChild(option);
  });

  function choose() {
    if (shown) { map.removeLayer(shown); }
    var figure = figures[Number(layer.value)];
    shown = picture(figure, "right").addTo(map);
    shown.on("load", function () { squares(shown); });
    fade();
    legend.textContent = "";
    var entries = figure.querySelector(".legend");
    if (entries) { legend.appendChild(entries.cloneNode(true)); }
    else { legend.textContent = "True colour"; }
  }
  function fade() {
    shown.setOpacity(Number(opacity.value) / 100);
    opacity.setAttribute("aria-valuetext", opacity.value + " %");
  }
  function divide() {
    var size = map.getSize(), share = Number(swipe.value) / 100;
    var start = map.containerPointToLayerPoint([size.x * share, 0]);
    var end = map.containerPointToLayerPoint(size);
    var corners = [[start.x, start.y], [end.x, start.y], [end.x, end.y], [start.x, end.y]];
    map.getPane("right").style.clipPath = "polygon(" + corners.map(function (corner) {
      return corner[0] + "px " + corner[1] + "px";
    }).join(",") + ")";
    line.style.left = 100 * share + "%";
    line.hidden = share === 0 || share === 1;
    swipe.setAttribute("aria-valuetext",
      swipe.value + " % true colour, " + (100 - swipe.value) + " % the chosen layer");
  }

  function words(degrees, positive, negative, digits) {
    return Math.abs(degrees).toFixed(digits) + "° " + (degrees < 0 ? negative : positive);
  }
  function tell(name, place) {
    var digits = map.getZoom() > 11 ? 5 : 4, lng = L.Util.wrapNum(place.lng, [-180, 180], true);
    byId("map-position").textContent =
      name + ": " + words(place.lat, "N", "S", digits) + ", " + words(lng, "E", "W", digits);
  }
  map.on("mousemove", function (event) { tell("Position", event.latlng); });
  map.on("mouseout moveend", function () { tell("Middle of the map", map.getCenter()); });

  var lines = L.layerGroup().addTo(map);
  function label(place, text, name) {
    var words = document.createElement("span");
    words.textContent = text;
    words.setAttribute("aria-hidden", "true");
    var icon = L.divIcon({ className: "degree " + name, html: words, iconSize: null });
    L.marker(place, { icon: icon, pane: "degrees", interactive: false, keyboard: false })
      .addTo(lines);
  }
  function short(degrees, positive, negative) {
    var value = Math.round(Math.abs(degrees) * 1e4) / 1e4;
    return value + "°" + (value === 0 || value === 180 ? "" : " " + (degrees < 0 ? negative : positive));
  }
  function draw() {
    lines.clearLayers();
    var view = map.getBounds(), most = map.getSize().x < 500 ? 4 : 7;
    var span = view.getEast() - view.getWest();
    var step = STEPS.filter(function (s) { return span / s <= most; }).pop() || STEPS[0];
    var style = styled({ pane: "degrees", weight: 0.7, className: "graticule" });
    var i, at;
    for (i = Math.ceil(view.getWest() / step); i * step <= view.getEast(); i++) {
      at = i * step;
      L.polyline([[view.getSouth(), at], [view.getNorth(), at]], style).addTo(lines);
      label([view.getNorth(), at], short(L.Util.wrapNum(at, [-180, 180], true), "E", "W"), "lon");
    }
    for (i = Math.ceil(view.getSouth() / step); i * step <= view.getNorth(); i++) {
      at = i * step;
      L.polyline([[at, view.getWest()], [at, view.getEast()]], style).addTo(lines);
      label([at, view.getEast()], short(at, "N", "S"), "lat");
    }
  }

  map.on("move zoom viewreset resize", divide);
  map.on("moveend", draw);
  map.on("zoomend", function () { squares(base); squares(shown); });
  layer.addEventListener("change", choose);
  opacity.addEventListener("input", fade);
  swipe.addEventListener("input", divide);
  byId("map-all").addEventListener("click", function () { map.fitBounds(frame); });

  map.fitBounds(frame);
  map.setMinZoom(Math.floor(map.getZoom()) - 2);
  var first = figures.findIndex(function (figure) { return figure.dataset.first; });
  layer.value = String(Math.max(0, first));
  choose();
  divide();
})();
