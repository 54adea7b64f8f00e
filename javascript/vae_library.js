// The table of the tab "VAE": puts rows in, takes them out, filters and sorts them. The server sends a row once, and
// again when it has changed. It holds no texts.

const vaeLibrary = (() => {
    const PAGE = "#vae_manager_library_page";
    const TAB = "#tab_vae_manager_library";
    const PAGES = "#vae_manager_library_pages";
    const NAMES = ["library", "comparison", "downloads"];
    const collator = new Intl.Collator(undefined, {numeric: true, sensitivity: "base"});
    const rows = new Map();
    let order = [];
    let stamp = "";
    let selected = "";
    let asked = ""; // the selection that the last question was about
    let sortedBy = "name";
    let ascending = true;

    const page = () => gradioApp().querySelector(PAGE);
    const find = (selector) => page()?.querySelector(selector) ?? null;

    // Null while nobody sees the tab; else what the server has to know to answer.
    function question() {
        if (!find(".vm-shelf")?.offsetParent) return null;
        asked = selected;
        return {library: stamp, file: selected};
    }

    function rowFrom(html) {
        const template = document.createElement("template");
        template.innerHTML = html;
        const row = template.content.firstElementChild;
        row.vaeText = `${row.textContent} ${row.dataset.vaeFound}`.toLowerCase();
        return row;
    }

    function show(library) {
        const body = find("[data-vae-rows]");
        if (body === null) return;
        const moved = library.order !== null;
        if (moved) order = library.order;
        for (const [key, html] of Object.entries(library.rows)) {
            const old = rows.get(key);
            const row = rowFrom(html);
            const focused = old?.contains(document.activeElement) ? document.activeElement.dataset.vaeKey : undefined;
            rows.set(key, row);
            old?.replaceWith(row);
            if (focused === undefined) continue;
            const same = row.querySelector(`[data-vae-key="${CSS.escape(focused)}"]`);
            (same ?? row.querySelector("[data-vae-select]")).focus();
        }
        if (moved) {
            const there = new Set(order);
            for (const [key, row] of rows) {
                if (there.has(key)) continue;
                row.remove();
                rows.delete(key);
            }
        }
        stamp = library.stamp;
        mark(selected === asked ? library.selected : selected); // another row may have been clicked meanwhile
        if (moved || Object.keys(library.rows).length > 0) {
            arrange();
            filter();
        }
    }

    // What is not in the right place is put there; what is stays, and keeps the keyboard's focus.
    function arrange() {
        const body = find("[data-vae-rows]");
        const focused = body.contains(document.activeElement) ? document.activeElement : null;
        const place = new Map(order.map((key, index) => [key, index]));
        const sorted = [...rows.values()].map((row) => [row, value(row)]);
        sorted.sort(([a, left], [b, right]) => compare(left, right) * (ascending ? 1 : -1) ||
            place.get(a.dataset.vaeRow) - place.get(b.dataset.vaeRow));
        let at = body.firstElementChild;
        for (const [row] of sorted) {
            if (at?.dataset.vaeRow === undefined) at = at?.nextElementSibling ?? null; // the answer to a click
            if (row === at) {
                at = at.nextElementSibling;
            } else {
                body.insertBefore(row, at);
            }
        }
        if (focused !== null && document.activeElement !== focused) focused.focus();
        for (const head of page().querySelectorAll("th[aria-sort]")) {
            const mine = head.querySelector("[data-vae-sort]").dataset.vaeSort === sortedBy;
            head.setAttribute("aria-sort", !mine ? "none" : ascending ? "ascending" : "descending");
        }
    }

    function value(row) {
        const cell = row.querySelector(`.vm-c-${sortedBy}`);
        const rank = cell.dataset.vaeRank;
        return rank === undefined ? cell.textContent.trim() : Number(rank);
    }

    // What has nothing in the column stands last, whichever way it is sorted.
    function compare(left, right) {
        if (typeof left === "number") return left - right;
        if (left === "" || right === "") return ((left === "") - (right === "")) * (ascending ? 1 : -1);
        return collator.compare(left, right);
    }

    function filter() {
        const words = find("[data-vae-filter]").value.toLowerCase().split(/\s+/).filter((word) => word !== "");
        let shown = 0;
        for (const row of rows.values()) {
            row.hidden = !words.every((word) => row.vaeText.includes(word));
            if (!row.hidden) shown += 1;
        }
        const told = find("[data-vae-shown]");
        const text = told.dataset.vaeShown.replace("{shown}", shown).replace("{count}", rows.size);
        told.textContent = words.length > 0 ? text : "";
        find("[data-vae-nothing]").hidden = shown > 0 || words.length === 0;
    }

    function mark(key) {
        selected = key;
        for (const [other, row] of rows) {
            if (other === key) {
                row.setAttribute("aria-current", "true");
            } else {
                row.removeAttribute("aria-current");
            }
        }
    }

    // A click anywhere in a row selects it, but for its other buttons.
    function clicked(event) {
        const head = event.target.closest("[data-vae-sort]");
        if (head !== null && page()?.contains(head)) {
            const column = head.dataset.vaeSort;
            ascending = column === sortedBy ? !ascending : true;
            sortedBy = column;
            arrange();
            return;
        }
        const opened = event.target.closest("[data-vae-open]");
        if (opened !== null) {
            openPage(opened.dataset.vaeOpen);
            return;
        }
        const copy = event.target.closest("[data-vae-copy]");
        if (copy !== null) {
            copied(copy);
            return;
        }
        const row = event.target.closest("[data-vae-row]");
        if (event.target.closest("[data-vae-compare-file]") !== null) return;
        if (row === null || event.target.closest("[data-vae-do]") !== null) return;
        if (!event.target.closest("button") && String(document.getSelection()) !== "") return; // text is being marked
        mark(row.dataset.vaeRow);
        vaeManager.ask();
        // On a narrow page the file's panel lies below the table.
        const panel = find(".vm-right");
        if (event.target.closest("[data-vae-select]") && panel.offsetTop > find(".vm-left").offsetTop + 1) {
            setTimeout(() => panel.scrollIntoView({block: "nearest"}), 300);
        }
    }

    // Without a secure address there is no clipboard but that of a selection.
    async function copied(button) {
        const text = button.dataset.vaeCopy;
        if (navigator.clipboard) {
            await navigator.clipboard.writeText(text);
        } else {
            const field = document.createElement("textarea");
            field.value = text;
            document.body.append(field);
            field.select();
            document.execCommand("copy");
            field.remove();
            button.focus();
        }
        const shown = button.querySelector("code");
        const before = shown.textContent;
        if (before === button.dataset.vaeCopied) return;
        shown.textContent = button.dataset.vaeCopied;
        setTimeout(() => { shown.textContent = before; }, 1500);
    }

    // Opens the tab "VAE" at one of its pages.
    function openPage(name) {
        const tabs = gradioApp().querySelector("#tabs");
        const own = [...tabs.children].filter((child) => child.matches(".tabitem"))
            .indexOf(gradioApp().querySelector(TAB));
        tabs.querySelectorAll(":scope > .tab-nav > button")[own]?.click();
        gradioApp().querySelectorAll(`${PAGES} > .tab-nav > button`)[NAMES.indexOf(name)]?.click();
    }

    function start() {
        if (page() === null) return;
        gradioApp().addEventListener("click", clicked);
        find("[data-vae-filter]").addEventListener("input", filter);
    }

    return {openPage, question, show, start};
})();

onUiLoaded(vaeLibrary.start);
