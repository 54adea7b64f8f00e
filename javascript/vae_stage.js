// The large picture of a comparison: a wipe between two, a grid of all, or where two differ. All move together, by mouse,
// touch and keyboard. Positions are kept in the picture's own pixels. It holds no texts.

const vaeStage = (() => {
    const FURTHEST = 32; // times the whole picture
    const STEP = 1.25;
    const AROUND = 3; // a difference is shown with so much of the picture around it
    const MARK = 4; // pixels of the screen between a difference and its frame

    let view = null; // of the server: id, base, query, width, height, pictures
    let left = null; // keys of two pictures
    let right = null;
    let mode = "wipe";
    let zoom = 1; // 1: the whole picture
    let middle = {x: 0, y: 0};
    let wipe = 50;
    let box = null; // [left, top, width, height] of the difference that was gone to
    let place = -1;
    let drawn = ""; // what the panes hold
    const differences = new Map(); // by pair
    const pointers = new Map();
    let dragging = null; // "wipe" or "picture"

    const viewer = () => gradioApp().querySelector("[data-vae-viewer]");
    const find = (selector) => viewer().querySelector(selector);
    const stage = () => find("[data-vae-stage]");
    const named = (key) => view.pictures.find((picture) => picture.key === key)?.name ?? "";
    const source = (path) => `${view.base}${path}.png${view.query}`;
    const between = (value, least, most) => Math.min(Math.max(value, least), most);
    const filled = (name, fields) => Object.entries(fields).reduce(
        (text, [field, value]) => text.replace(`{${field}}`, () => value), viewer().dataset[name]);

    // -- what is shown ------------------------------------------------------------------------------------------------
    function show(next) {
        const holder = viewer();
        if (holder === null) return;
        holder.hidden = next === null;
        const another = next?.id !== view?.id;
        view = next;
        if (view === null) return;
        if (another) {
            [zoom, wipe, left, right] = [1, 50, null, null];
            middle = {x: view.width / 2, y: view.height / 2};
            differences.clear();
            leave();
        }
        const keys = view.pictures.map((picture) => picture.key);
        if (!keys.includes(left)) left = keys[0];
        if (!keys.includes(right) || (right === left && keys.length > 1)) right = keys.find((key) => key !== left) ?? left;
        draw();
    }

    function choose(side, key) {
        if (view === null || !view.pictures.some((picture) => picture.key === key)) return;
        if (side === "left") {
            if (key === right) right = left;
            left = key;
        } else {
            if (key === left) left = right;
            right = key;
        }
        leave();
        if (mode === "grid") mode = "wipe";
        draw();
    }

    function draw() {
        const wanted = JSON.stringify([view.id, mode, mode === "grid" ? view.pictures : [left, right]]);
        if (wanted !== drawn) {
            drawn = wanted;
            const panes = mode === "grid" ? view.pictures.map((picture) => pane([picture.key])) :
                [pane(mode === "wipe" ? [right, left] : [null])];
            stage().replaceChildren(...panes);
            stage().dataset.vaeMode = mode;
            for (const button of viewer().querySelectorAll("[data-vae-view]")) {
                button.setAttribute("aria-pressed", String(button.dataset.vaeView === mode));
            }
            explain();
        }
        stage().style.setProperty("--vm-ratio", view.width / view.height);
        mark();
        apply();
    }

    // Pictures in layers, the last on top: that one is cut off at the wipe. `null` is the difference map.
    function pane(keys) {
        const made = document.createElement("div");
        made.className = "vm-pane";
        for (const key of keys) {
            const layer = document.createElement("div");
            layer.className = "vm-layer";
            const picture = new Image(view.width, view.height);
            picture.draggable = false;
            picture.alt = key === null ? "" : named(key);
            picture.src = source(key === null ? `difference/${left}/${right}` : key);
            layer.append(picture);
            made.append(layer);
        }
        const frame = document.createElement("div");
        frame.className = "vm-box";
        frame.hidden = true;
        made.append(frame);
        const names = keys.length === 2 || keys[0] === null ? [left, right] : keys;
        names.forEach((key, number) => {
            const caption = document.createElement("span");
            caption.className = `vm-caption ${number === 1 ? "vm-end" : ""}`;
            caption.textContent = named(key);
            made.append(caption);
        });
        if (keys.length === 2) made.append(handle());
        return made;
    }

    function handle() {
        const made = document.createElement("div");
        made.className = "vm-handle";
        made.tabIndex = 0;
        for (const [name, value] of Object.entries({
            role: "slider", "aria-orientation": "horizontal", "aria-valuemin": 0, "aria-valuemax": 100,
            "aria-label": filled("vaeSlider", {left: named(left), right: named(right)}),
        })) made.setAttribute(name, value);
        return made;
    }

    function mark() {
        for (const button of gradioApp().querySelectorAll("[data-vae-side][aria-pressed]")) {
            const shown = button.dataset.vaeSide === "left" ? left : right;
            button.setAttribute("aria-pressed", String(button.dataset.vaeOf === shown && mode !== "grid"));
        }
    }

    async function explain() {
        const legend = find("[data-vae-legend]");
        legend.hidden = mode !== "difference";
        if (mode === "difference") legend.textContent = (await differ())?.legend ?? "";
    }

    // -- where it is looked at ----------------------------------------------------------------------------------------
    const whole = (size) => Math.min(size.width / view.width, size.height / view.height);

    const first = () => stage().querySelector(".vm-pane").getBoundingClientRect();

    // Where the middle of the picture may be, so that no empty border is shown where the picture could be.
    function keepInside(size, scale) {
        for (const [axis, room, length] of [["x", size.width, view.width], ["y", size.height, view.height]]) {
            const half = room / scale / 2;
            middle[axis] = 2 * half >= length ? length / 2 : between(middle[axis], half, length - half);
        }
    }

    function apply() {
        const size = first();
        if (view === null || size.width === 0) return;
        const scale = whole(size) * zoom;
        keepInside(size, scale);
        const x = size.width / 2 - middle.x * scale;
        const y = size.height / 2 - middle.y * scale;
        stage().classList.toggle("vm-near", zoom > 1.01);
        for (const picture of stage().querySelectorAll("img")) {
            picture.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
        }
        for (const frame of stage().querySelectorAll(".vm-box")) {
            frame.hidden = box === null;
            if (box === null) continue;
            const [fromX, fromY] = [x + box[0] * scale - MARK, y + box[1] * scale - MARK];
            const within = [Math.max(fromX, MARK / 2), Math.max(fromY, MARK / 2)];
            frame.style.left = `${within[0]}px`;
            frame.style.top = `${within[1]}px`;
            frame.style.width = `${Math.min(fromX + box[2] * scale + 2 * MARK, size.width - MARK / 2) - within[0]}px`;
            frame.style.height = `${Math.min(fromY + box[3] * scale + 2 * MARK, size.height - MARK / 2) - within[1]}px`;
        }
        const slider = stage().querySelector(".vm-handle");
        if (slider === null) return;
        slider.style.left = `${wipe}%`;
        slider.setAttribute("aria-valuenow", Math.round(wipe));
        slider.setAttribute("aria-valuetext", filled("vaeValue", {percent: Math.round(wipe), left: named(left)}));
        stage().querySelector(".vm-layer:nth-child(2)").style.clipPath = `inset(0 ${100 - wipe}% 0 0)`;
    }

    // `at`: the place on the screen that stays where it is; the middle by default.
    function zoomBy(factor, at = null) {
        const size = first();
        const before = whole(size) * zoom;
        zoom = between(zoom * factor, 1, FURTHEST);
        if (factor === 0) leave();
        const after = whole(size) * zoom;
        if (at !== null) {
            middle.x += (at.x - size.width / 2) * (1 / before - 1 / after);
            middle.y += (at.y - size.height / 2) * (1 / before - 1 / after);
        }
        apply();
    }

    function moveBy(x, y) {
        const scale = whole(first()) * zoom;
        middle.x -= x / scale;
        middle.y -= y / scale;
        apply();
    }

    function setWipe(percent) {
        wipe = between(percent, 0, 100);
        apply();
    }

    // -- where they differ --------------------------------------------------------------------------------------------
    async function differ() {
        const [pair, asked] = [`${left}/${right}`, view];
        if (!differences.has(pair)) {
            const answer = await fetch(`${view.base}differences/${pair}${view.query}`);
            const found = answer.ok ? await answer.json() : null;
            if (found === null || view?.id !== asked.id) return null; // another comparison is shown by now
            differences.set(pair, found);
        }
        return differences.get(pair);
    }

    function leave() {
        [box, place] = [null, -1];
        find("[data-vae-where]").textContent = "";
    }

    async function goOn() {
        if (view === null) return;
        const found = (await differ())?.boxes ?? [];
        if (found.length === 0) {
            find("[data-vae-where]").textContent = viewer().dataset.vaeSame;
            return;
        }
        place = (place + 1) % found.length;
        box = found[place];
        const size = first();
        const scale = Math.min(size.width / box[2], size.height / box[3]) / AROUND;
        zoom = between(scale / whole(size), 1, FURTHEST);
        middle = {x: box[0] + box[2] / 2, y: box[1] + box[3] / 2};
        find("[data-vae-where]").textContent = filled("vaePlace", {number: place + 1, count: found.length});
        apply();
    }

    // -- hands --------------------------------------------------------------------------------------------------------
    function inPane(event) {
        const pane = event.target.closest(".vm-pane") ?? stage().querySelector(".vm-pane");
        const size = pane.getBoundingClientRect();
        return {x: event.clientX - size.left, y: event.clientY - size.top, width: size.width};
    }

    function pressed(event) {
        if (event.button !== 0 || event.target.closest(".vm-pane") === null) return;
        pointers.set(event.pointerId, {x: event.clientX, y: event.clientY});
        const wiping = mode === "wipe" && (event.target.closest(".vm-handle") !== null || zoom === 1);
        dragging = pointers.size > 1 ? "picture" : wiping ? "wipe" : "picture";
        stage().setPointerCapture(event.pointerId);
        if (event.target.closest(".vm-handle") === null) stage().focus({preventScroll: true});
        if (dragging === "wipe") wipeTo(event);
    }

    function wipeTo(event) {
        const size = first();
        setWipe(100 * (event.clientX - size.left) / size.width);
    }

    function moved(event) {
        const before = pointers.get(event.pointerId);
        if (before === undefined) return;
        const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
        pointers.set(event.pointerId, {x: event.clientX, y: event.clientY});
        if (other !== undefined) {
            pinched(before, other, {x: event.clientX, y: event.clientY});
        } else if (dragging === "wipe") {
            wipeTo(event);
        } else if (dragging === "picture") {
            moveBy(event.clientX - before.x, event.clientY - before.y);
        }
    }

    // What lies between two fingers stays between them.
    function pinched(before, other, now) {
        const size = first();
        const reach = (finger) => Math.hypot(finger.x - other.x, finger.y - other.y);
        moveBy((now.x - before.x) / 2, (now.y - before.y) / 2);
        const at = {x: (now.x + other.x) / 2 - size.left, y: (now.y + other.y) / 2 - size.top};
        if (reach(before) > 0) zoomBy(reach(now) / reach(before), at);
    }

    function released(event) {
        pointers.delete(event.pointerId);
        if (pointers.size === 0) dragging = null;
    }

    // Out of the whole picture the wheel scrolls the page again.
    function wheeled(event) {
        if (event.deltaY === 0 || (zoom === 1 && event.deltaY > 0)) return;
        event.preventDefault();
        zoomBy(STEP ** (-Math.sign(event.deltaY)), inPane(event));
    }

    function typed(event) {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        const far = event.shiftKey ? 10 : 2;
        const onHandle = event.target.closest(".vm-handle") !== null;
        const wipes = {
            ArrowLeft: -far, ArrowDown: -far, ArrowRight: far, ArrowUp: far, PageDown: -10, PageUp: 10, Home: -100, End: 100,
        };
        const moves = {ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40]};
        if (onHandle && event.key in wipes) {
            setWipe(wipe + wipes[event.key]);
        } else if (!onHandle && event.key in moves && zoom > 1) {
            moveBy(...moves[event.key]);
        } else if (event.key === "+" || event.key === "=") {
            zoomBy(STEP);
        } else if (event.key === "-" || event.key === "_") {
            zoomBy(1 / STEP);
        } else if (event.key === "0") {
            zoomBy(0);
        } else if (event.key.toLowerCase() === "n") {
            goOn();
        } else {
            return;
        }
        event.preventDefault();
    }

    function clicked(event) {
        const button = event.target.closest("button");
        if (button === null || view === null) return;
        const {vaeView, vaeZoom, vaeNext} = button.dataset;
        if (vaeView !== undefined) {
            mode = vaeView;
            draw();
        } else if (vaeZoom === "one") {
            zoomBy(1 / window.devicePixelRatio / (whole(first()) * zoom));
        } else if (vaeZoom !== undefined) {
            zoomBy({in: STEP, out: 1 / STEP, fit: 0}[vaeZoom]);
        } else if (vaeNext !== undefined) {
            goOn();
        }
    }

    function start() {
        if (viewer() === null) return;
        viewer().addEventListener("click", clicked);
        stage().addEventListener("pointerdown", pressed);
        stage().addEventListener("pointermove", moved);
        for (const end of ["pointerup", "pointercancel"]) stage().addEventListener(end, released);
        stage().addEventListener("wheel", wheeled, {passive: false});
        stage().addEventListener("keydown", typed);
        new ResizeObserver(() => view !== null && apply()).observe(stage());
    }

    return {show, choose, mark, start};
})();

onUiLoaded(vaeStage.start);
