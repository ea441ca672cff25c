// The images: all panes of one drawing change in one frame, and how long a place has been on the screen is known.
window.lmial = (function () {
  "use strict";
  const LONG_ENOUGH = 300; // milliseconds; the server judges by its own
  let trame = null, session = null, act = null, tab = "", mine = null;
  const drawings = new Map(); // number -> what has come of it
  let chain = Promise.resolve();
  let look = { place: 0, pair: "", before: 0, since: 0 };
  let answered = -Infinity, timer = 0, told = 0;

  // ---- what is seen, and for how long -----------------------------------------------------------------------
  const attended = () => document.visibilityState === "visible" && !document.querySelector(".veil");
  const seconds = () => look.before + (look.since ? performance.now() - look.since : 0);
  function attend() { // the clock runs only while the panes can be seen
    if (look.since && !attended()) { look.before = seconds(); look.since = 0; }
    else if (!look.since && look.painted && attended()) look.since = performance.now();
    settle();
  }
  function settle() {
    clearTimeout(timer);
    const left = LONG_ENOUGH - seconds();
    const ready = look.painted && left <= 0 && (trame.state.get("look") || {}).place === look.place;
    document.documentElement.dataset.settled = ready ? String(look.place) : "";
    if (ready && told !== look.place && (trame.state.get("patient") || {}).sweeping) { told = look.place; tell(); } // a sweep goes on by it
    if (look.since && left > 0) timer = setTimeout(settle, left + 1);
  }
  function tell() { if (look.place && mine() && seconds() >= 1) return act("looked", look.place, seconds()); }
  function moved(place, pair) {
    if (seconds() >= LONG_ENOUGH) tell();
    const now = { place, pair, before: 0, since: 0, painted: false };
    look = now;
    settle();
    requestAnimationFrame(() => requestAnimationFrame(() => { if (look === now) { look.painted = true; attend(); } }));
  }
  // an answer goes with how long its slice has been seen; a key that bounces is no second answer
  function answer(...what) {
    const now = performance.now();
    if (now - answered < LONG_ENOUGH || !mine()) return;
    answered = now;
    tell();
    act(...what);
  }

  // ---- images -----------------------------------------------------------------------------------------------
  function take([{ name, meta, content }]) {
    let one = drawings.get(meta.drawing);
    if (!one) drawings.set(meta.drawing, (one = { images: {}, decoded: [] }));
    const image = new Image();
    image.alt = ""; image.draggable = false;
    image.src = URL.createObjectURL(new Blob([content], { type: meta.type }));
    one.images[name] = image;
    one.decoded.push(image.decode());
    if (one.decoded.length < meta.names.length) return;
    for (const number of [...drawings.keys()]) if (number <= meta.drawing) drawings.delete(number);
    chain = chain.then(() => Promise.all(one.decoded)).then(() => show(one, meta)).catch(() => {});
  }
  function show(one, meta) {
    for (const [name, image] of Object.entries(one.images)) {
      const there = document.querySelector(`.pane[data-view=${name}] .image`);
      if (!there) continue;
      for (const old of there.querySelectorAll("img")) URL.revokeObjectURL(old.src);
      there.replaceChildren(image);
    }
    if (meta.place !== look.place || meta.pair !== look.pair) moved(meta.place, meta.pair);
    blank();
  }
  function blank() { // images of one pair beside words of another are not shown
    const views = document.querySelector(".views"), now = trame.state.get("look");
    if (views && now) views.classList.toggle("blank", !!now.ready && now.pair !== look.pair);
  }

  // ---- sizes of the panes, told by the tab that annotates -------------------------------------------------------
  const resized = new ResizeObserver(sizes);
  function sizes() {
    if (!session || !mine()) return;
    document.querySelectorAll(".pane").forEach((pane) => {
      const box = pane.getBoundingClientRect();
      if (box.width && box.height) session.call("trame.rca.size", [pane.dataset.view, tab(), { w: Math.round(box.width), h: Math.round(box.height), p: Math.max(1, window.devicePixelRatio) }]);
    });
  }
  function watchPanes() { document.querySelectorAll(".pane").forEach((pane) => resized.observe(pane)); }

  function begin(given) {
    ({ trame, act, tab, mine } = given);
    session = trame.client.getConnection().getSession();
    session.subscribe("trame.rca.topic.stream", take);
    trame.state.addListener(({ keys }) => {
      if (!keys) return;
      if (keys.includes("look")) blank();
      if (keys.includes("look") || keys.includes("patient")) settle();
      if (keys.includes("active_tab")) sizes();
    });
    // not part of the page's state: drawing it anew would put a slider back that is being dragged
    trame.client.onBusyChange((calls) => document.documentElement.toggleAttribute("data-busy", calls > 0));
    document.addEventListener("visibilitychange", attend);
    new MutationObserver(() => { watchPanes(); attend(); }).observe(document.documentElement, { childList: true, subtree: true });
    watchPanes();
  }
  return { begin, answer, sizes };
})();
