// Shows the answer to a click where the click was: below the row, in the panel, in the form. An answer is a refusal, a
// question with its buttons, or what comes of the work that the click has begun. It holds no texts.

const vaeAnswers = (() => {
    // Elements that an answer stands below; each has the same attribute and value after it was renewed.
    const ANCHORS = ["data-vae-row", "data-vae-entry", "data-vae-download", "data-vae-card", "data-vae-form",
        "data-vae-removed", "data-vae-anchor"];
    // Parts of the page, from the innermost to the outermost; each has a place for answers without an anchor.
    const ROOTS = ["#vae_manager_comparison_page", "#vae_manager_downloads_page", "#vae_manager_library_page", "#vae_manager_txt2img",
        "#vae_manager_img2img", "[data-vae-settings]"];
    const SLOT = "vm-reply";
    // Kinds of answers that the page's state brings, by the act that they belong to; a kind may end in a file's key.
    const FOLLOWS = {
        "use": ["choice"], "use-file": ["choice"], "choose": ["choice"], "choose-anyway": ["choice"],
        "prefer": ["choice"], "convert-file": ["convert ", "told", "choice"], "verify-file": ["verify ", "told"],
        "try-file": ["try ", "told"], "adopt-file": ["adopt ", "told"], "delete-file": ["told"],
        "restore-file": ["told"], "empty-trash": ["told"],
    };

    let origin = null; // the last click: its part of the page, its anchor, what it waits for, and what was there before
    let refusal = "";
    let answers = []; // of the page's state
    let slot = null;
    let isNew = false; // the slot is to be brought into view

    const app = () => gradioApp();

    function anchorOf(element) {
        const anchor = element.closest(ANCHORS.map((name) => `[${name}]`).join());
        const name = anchor && ANCHORS.find((one) => anchor.hasAttribute(one));
        return name ? `${anchor.tagName}[${name}="${CSS.escape(anchor.getAttribute(name))}"]` : null;
    }

    function rootOf(element) {
        return ROOTS.find((root) => element.closest(root) !== null) ?? null;
    }

    // A click on `element` asks the server for `action`.
    function began(element, action) {
        const inSlot = element.closest(`.${SLOT}`) !== null && origin !== null;
        if (inSlot && !(action.do in FOLLOWS)) return; // such as to dismiss it
        const follows = (FOLLOWS[action.do] ?? []).map((kind) => kind.endsWith(" ") ? kind + (action.file ?? "") : kind);
        origin = {
            root: inSlot ? origin.root : rootOf(element),
            anchor: inSlot ? origin.anchor : anchorOf(element),
            follows,
            seen: new Set(answers.map((answer) => answer.id)),
        };
        refusal = "";
        isNew = true;
        place();
    }

    // What the server refuses at once, as HTML; empty if it obeys.
    function refused(html) {
        if (origin === null) origin = {root: ROOTS[0], anchor: null, follows: [], seen: new Set()};
        refusal = html;
        isNew ||= html !== "";
        place();
    }

    function show(now) {
        answers = now;
        place();
    }

    // After each renewal of the page: regions come without the slot, and rows change their places.
    function place() {
        const mine = origin === null ? [] : answers.filter((answer) => !origin.seen.has(answer.id) &&
            origin.follows.some((kind) => answer.key === kind || kind.endsWith(" ") && answer.key.startsWith(kind)));
        const root = origin?.root ? app().querySelector(origin.root) : null;
        const html = refusal + mine.map((answer) => answer.html).join("");
        const anchor = origin?.anchor && root ? visible(root.querySelectorAll(origin.anchor)) : null;
        // Without an anchor, what the state brings stands in its usual place already.
        const home = root?.querySelector("[data-vae-home]") ?? null;
        if (html === "" || root === null || (anchor === null && (refusal === "" || home === null))) {
            slot?.remove();
            slot = null;
        } else {
            put(anchor, home, anchor === null ? refusal : html);
        }
        hideElsewhere(root, anchor === null ? [] : mine.map((answer) => answer.key));
        if (isNew && (slot !== null || mine.length > 0)) {
            isNew = false;
            (slot ?? root?.querySelector(`[data-vae-said="${CSS.escape(mine[0].key)}"]`))?.scrollIntoView({block: "nearest"});
        }
    }

    const visible = (elements) => [...elements].find((one) => one.offsetParent !== null) ?? null;

    function put(anchor, home, html) {
        const inside = anchor === null || anchor.hasAttribute("data-vae-card") || anchor.hasAttribute("data-vae-anchor");
        const tag = inside ? "DIV" : {TR: "TR", LI: "LI"}[anchor.tagName] ?? "DIV";
        if (slot?.tagName !== tag) {
            slot?.remove();
            slot = document.createElement(tag);
            slot.className = SLOT;
            const cell = tag === "TR" ? slot.appendChild(document.createElement("td")) : slot;
            if (tag === "TR") cell.colSpan = 20;
        }
        const parent = anchor ?? home;
        if (inside ? parent.lastElementChild !== slot : parent.nextElementSibling !== slot) {
            if (inside) parent.append(slot);
            else parent.after(slot);
        }
        vaeManager.fill(slot.firstElementChild?.tagName === "TD" ? slot.firstElementChild : slot, html);
    }

    // What stands in the slot is not shown a second time in the same part of the page.
    function hideElsewhere(root, keys) {
        for (const element of app().querySelectorAll("[data-vae-said]")) {
            if (element.closest(`.${SLOT}`) !== null) continue;
            const key = element.dataset.vaeSaid;
            element.hidden = keys.includes(key) && root?.contains(element) === true;
        }
    }

    function clicked(event) {
        if (event.target.closest("[data-vae-close]") === null) return;
        refusal = "";
        place();
    }

    function start() {
        app().addEventListener("click", clicked);
    }

    return {began, refused, show, start};
})();

onUiLoaded(vaeAnswers.start);
