// What must answer at once, without a way to the server and back: tab, keys, pointer, brush, linked cursors.
(function () {
  "use strict";
  const newName = () => Math.random().toString(36).slice(2) + Date.now().toString(36);
  let tab = sessionStorage.getItem("lmial-tab") || newName();
  let trame = null;
  const get = (name) => trame.state.get(name);
  const act = (...args) => trame.trigger("act", [tab, ...args]);
  const mine = () => get("active_tab") === tab;

  // ---- which tab this is -------------------------------------------------------------------------------------
  async function hello() {
    let said = await trame.trigger("hello", [tab]);
    if (said === "taken") { tab = newName(); said = await trame.trigger("hello", [tab]); }
    sessionStorage.setItem("lmial-tab", tab);
    trame.state.set("tab", tab);
    window.lmial.sizes();
    if (said === "who") trame.state.set("panel", "reader");
  }

  // ---- keys: the table comes from the server ----------------------------------------------------------------
  const named = (event) => (event.ctrlKey || event.metaKey ? "Ctrl+" : "") + (event.key.length === 1 ? event.key.toUpperCase() : event.key);
  const writing = (target) => target.closest && target.closest("input:not([type=range], [type=checkbox], [type=radio], [type=button]), textarea, [contenteditable], .veil");
  // a menu that has the focus keeps the keys that choose in it; every other key acts
  const choosing = (event) => event.target.matches && event.target.matches("select") && !event.ctrlKey && !event.metaKey && /^(Arrow|Page|Home|End|Enter|Tab|Escape| $)/.test(event.key);
  const held = new Set();
  function keyDown(event) {
    if (!trame || !mine() || event.altKey) return;
    if (event.key === "Escape" && get("query").asking) { act("unask"); return; }
    if (event.key === "Escape" && get("panel")) { if (get("panel") !== "reader" || get("banner").reader) trame.state.set("panel", ""); return; }
    if (writing(event.target) || document.querySelector(".veil") || choosing(event)) return;
    if (event.key === "Enter" && get("query").crossing) { event.preventDefault(); act("cross"); return; }
    const arrows = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 5, PageDown: -5 };
    if (event.key in arrows && event.target.type !== "range") { event.preventDefault(); scroll(arrows[event.key]); return; }
    if ("+-".includes(event.key) && !event.ctrlKey) { resize(event.key === "+" ? 1 : -1); return; }
    const key = event.shiftKey && named(event) === "Ctrl+Z" ? "Ctrl+Y" : named(event); // the other usual key of redo
    const found = (get("shortcuts") || []).find((one) => one.key === key);
    if (!found) return;
    event.preventDefault();
    if (event.repeat) return; // keys repeat nothing
    if (event.target.matches("select")) event.target.blur();
    if (found.answers) { window.lmial.answer(found.action); return; }
    if (found.held) { held.add(event.code); act("show", true); return; }
    if (found.action === "details") { trame.state.set("details", !get("details")); return; }
    if (found.action === "planes") { act("planes", ...place); return; }
    act(found.action);
  }
  function keyUp(event) { if (held.delete(event.code) && !held.size) act("show", false); }
  window.addEventListener("blur", () => { if (held.size) { held.clear(); act("show", false); } });

  // ---- one request at a time; what comes meanwhile is gathered ---------------------------------------------------
  let slices = 0, scrolling = false;
  async function scroll(by) {
    slices += by;
    if (scrolling) return;
    scrolling = true;
    while (slices) { const now = slices; slices = 0; await act("step", now); }
    scrolling = false;
  }
  function resize(by) {
    const size = Math.min(30, Math.max(1, get("tools").diameter * (by > 0 ? 1.15 : 1 / 1.15)));
    trame.state.set("tools", { ...get("tools"), diameter: Math.round(size * 10) / 10 });
    act("diameter", size); drawBrush();
  }

  // ---- pointer -----------------------------------------------------------------------------------------------
  let place = ["", 0.5, 0.5], drag = null, lastEvent = null;
  const paneOf = (event) => event.target.closest && event.target.closest(".pane");
  const within = (pane, event) => { const box = pane.getBoundingClientRect(); return [(event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height]; };
  async function flush(one) {
    if (one.sending) return;
    one.sending = true;
    while (one.points.length || (one.over && !one.told)) {
      const points = one.points; one.points = [];
      const phase = !one.begun ? "begin" : one.over ? "end" : "go";
      if (phase === "end") one.told = true;
      one.begun = true;
      await act("paint", one.view, phase, points);
    }
    one.sending = false;
  }
  async function flushMove(one) {
    if (one.sending) return;
    one.sending = true;
    while (one.dx || one.dy) {
      const [dx, dy] = [one.dx, one.dy]; one.dx = one.dy = 0;
      if (one.kind === "zoom") await act("zoom", one.view, Math.exp(-2 * dy), ...one.start);
      else await act("shift", one.view, dx, dy);
    }
    one.sending = false;
  }
  function pointerDown(event) {
    const pane = paneOf(event);
    if (!pane || !trame || !mine()) return;
    const view = pane.dataset.view, at = within(pane, event);
    pane.focus({ preventScroll: true });
    pane.setPointerCapture(event.pointerId);
    const kind = event.button === 0 ? (view === "follow_up" && get("look").paintable ? "paint" : "move") : event.button === 1 ? "move" : "zoom";
    drag = { kind, view, pane, start: at, last: at, points: kind === "paint" ? [at] : [], dx: 0, dy: 0 };
    if (kind === "paint") flush(drag);
    event.preventDefault();
  }
  function pointerMove(event) {
    lastEvent = event;
    const pane = drag ? drag.pane : paneOf(event);
    if (!pane) { hideCursors(); return; }
    place = [pane.dataset.view, ...within(pane, event)];
    drawCursors(pane, event);
    if (!drag) return;
    for (const one of event.getCoalescedEvents ? event.getCoalescedEvents() : [event]) {
      const at = within(drag.pane, one);
      if (drag.kind === "paint") drag.points.push(at);
      else { drag.dx += at[0] - drag.last[0]; drag.dy += at[1] - drag.last[1]; }
      drag.last = at;
    }
    if (drag.kind === "paint") flush(drag); else flushMove(drag);
  }
  function pointerUp() {
    if (!drag) return;
    const one = drag; drag = null; one.over = true;
    if (one.kind === "paint") flush(one);
  }
  function wheel(event) {
    const pane = paneOf(event), strip = event.target.closest && event.target.closest(".strip");
    if ((!pane && !strip) || !trame || !mine()) return;
    event.preventDefault();
    const by = event.deltaY || event.deltaX;
    if (!by) return;
    if (event.shiftKey) resize(by < 0 ? 1 : -1);
    else if (event.ctrlKey && pane) act("zoom", pane.dataset.view, by > 0 ? 1.12 : 1 / 1.12, ...within(pane, event));
    else scroll(by < 0 ? 1 : -1);
  }
  function stripDown(event) {
    const strip = event.target.closest && event.target.closest(".strip");
    if (!strip || !trame || !mine()) return;
    const bars = strip.querySelectorAll(".bar");
    if (!bars.length) return;
    const first = bars[0].getBoundingClientRect().left, last = bars[bars.length - 1].getBoundingClientRect().right;
    act("go_to", Math.min(bars.length - 1, Math.max(0, Math.floor((event.clientX - first) / (last - first) * bars.length))));
  }

  // ---- linked cursors and the brush --------------------------------------------------------------------------------
  function hideCursors() { document.querySelectorAll(".cursor, .brush").forEach((one) => { one.style.display = "none"; }); }
  function drawCursors(pane, event) {
    const box = pane.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    document.querySelectorAll(".pane").forEach((other) => {
      const cursor = other.querySelector(".cursor");
      cursor.style.display = other === pane ? "none" : "block";
      cursor.style.transform = `translate(${x}px, ${y}px)`;
    });
    drawBrush(x, y);
  }
  function drawBrush(x, y) {
    const look = get("look"), brush = document.querySelector(".pane[data-view=follow_up] .brush");
    if (!brush || !look) return;
    const shown = look.paintable && mine() && (drag ? drag.view : place[0]) === "follow_up";
    brush.style.display = shown ? "block" : "none";
    if (!shown) return;
    const image = brush.parentElement.querySelector("img"); // on a huge screen it has fewer pixels than the pane
    const pixel = image && image.naturalWidth ? image.clientWidth / image.naturalWidth : 1 / (window.devicePixelRatio || 1);
    const size = Math.max(3, get("tools").diameter / look.mm_per_pixel * pixel);
    brush.style.width = brush.style.height = `${size}px`;
    brush.style.margin = `${-size / 2}px 0 0 ${-size / 2}px`;
    if (x !== undefined) brush.style.transform = `translate(${x}px, ${y}px)`;
  }

  // ---- the server has gone --------------------------------------------------------------------------------------
  function gone() {
    if (document.querySelector(".gone")) return;
    const veil = document.createElement("div");
    veil.className = "gone"; veil.setAttribute("role", "alert");
    veil.innerHTML = "<div><h3>LMIAL has stopped</h3><p>Everything that was saved is kept, and what you drew last comes back as a draft.</p><p>Start it again with <b>lmial annotate</b> and open the address that it prints.</p><button>Reload</button></div>";
    veil.querySelector("button").onclick = () => location.reload();
    document.body.appendChild(veil);
  }

  // a menu gives the focus back when something was chosen, a slider when the mouse has set it
  function giveKeysBack(event) {
    if (event.target.matches("select") || (event.target.matches("input[type=range]") && !event.target.matches(":focus-visible"))) event.target.blur();
  }
  function focusDialog() { const wanted = document.querySelector(".veil [data-focus]"); if (wanted && !wanted.closest(".veil").contains(document.activeElement)) wanted.focus(); }
  window.addEventListener("keydown", keyDown);
  window.addEventListener("keyup", keyUp);
  window.addEventListener("change", giveKeysBack);
  window.addEventListener("pointerdown", (event) => { stripDown(event); pointerDown(event); });
  window.addEventListener("pointermove", pointerMove);
  window.addEventListener("pointerup", pointerUp);
  window.addEventListener("pointercancel", pointerUp);
  window.addEventListener("wheel", wheel, { passive: false });
  window.addEventListener("contextmenu", (event) => { if (paneOf(event)) event.preventDefault(); });
  new MutationObserver(focusDialog).observe(document.documentElement, { childList: true, subtree: true });

  const wait = setInterval(() => {
    if (!window.trame || !window.trame.state || !window.trame.client || !window.trame.client.isConnected() || !window.trame.state.ready) return;
    clearInterval(wait);
    trame = window.trame;
    trame.client.onConnectionClose(gone);
    window.lmial.begin({ trame, act, mine, tab: () => tab });
    trame.state.addListener(({ keys }) => { if (keys && (keys.includes("look") || keys.includes("tools"))) drawBrush(); });
    hello();
  }, 50);
})();
