// The browser's part: asks for the state of the page, puts it in its places, and hands clicks to gradio's events.
// It holds no texts: everything that is read was written, and translated, by the server.

const vaeManager = (() => {
    const TABS = ["txt2img", "img2img"];
    // Where messages can be sent from: each has its own hidden button and its own place for an answer.
    const PLACES = [...TABS, "library"];
    const STATE = "./vae-manager/state";
    const SOON = 400;
    // While a download runs, its figures are asked for alone, and the whole now and then.
    const PACE = 100;
    const WHOLE = 1000;
    // What takes long is asked for less often: the server has pictures to make.
    const REST = 4;
    const LATER = 2500;
    // A WebUI that is starting can be ended by a request that comes too early: after a failure it is left alone.
    const GONE = 30000;
    const REFUSED_IN = ["status", "library-bar", "settings"];
    const ROW = "[data-vae-entry], [data-vae-download]";

    let sync = null;
    // Answers to the last sync that are still to come: of two syncs at once, the older values could come last and stay.
    let owed = 0;
    let overdue = 0;
    let syncWaits = false;
    // Messages go to the server one after another. gradio 3 drops a click while the event of one before still runs, and
    // of two on their way the server could take the older one for the newer.
    const waiting = [];
    let outgoing = null;
    const newestPicks = {};
    let timer = null;
    let asking = false;
    let stamp = null;
    let wholeDue = 0;
    let askAgain = false;
    const tabChoices = {};
    const wantedForTab = {};
    // A browser makes a click of a press and a release on one element. Nothing is replaced between the two, else the
    // click would be lost. What waits for the release; null while nothing is pressed.
    let afterRelease = null;

    const app = () => gradioApp();
    const byId = (id) => app().querySelector(`#${id}`);

    function scopeIsTab(tab) {
        const checked = app().querySelector(`#vae_manager_${tab}_scope input:checked`);
        return checked !== null && checked.value === "tab";
    }

    function tabOf(element) {
        return TABS.find((tab) => element.closest(`#vae_manager_${tab}`) !== null);
    }

    function placeOf(element) {
        return element.closest("#vae_manager_library_page") === null ? tabOf(element) ?? TABS[0] : PLACES.at(-1);
    }

    // A message is a click on a hidden gradio button; its `_js` takes the values, so no textbox has to be filled first.
    // What was typed in `form` stays there until the answer has come.
    function send(place, button, values, form = null) {
        waiting.push({place, button, values, form});
        sendNext();
    }

    function sendNext() {
        if (outgoing !== null || waiting.length === 0) return;
        const message = outgoing = waiting.shift();
        setTimeout(() => message === outgoing && messageAnswered(), GONE);
        byId(`vae_manager_${message.place}_${message.button}`).click();
        for (const delay of [150, 600]) setTimeout(ask, delay);
    }

    // Returns the message that was on its way, and sends the next.
    function messageAnswered() {
        const message = outgoing;
        outgoing = null;
        sendNext();
        return message;
    }

    // Returns the tab's own choice, for gradio.
    function pick(tab, label, where) {
        newestPicks[tab] = JSON.stringify([label, where]);
        send(tab, "pick", [label, where]);
        return where === "tab" ? label : "";
    }

    // Returns the tab's own choice: `own`, as it is, while the answer to a newer pick is still to come.
    function pickAnswered(tab, outcome, own) {
        messageAnswered();
        renew();
        const answer = JSON.parse(outcome || "{}");
        return JSON.stringify(answer.pick) === newestPicks[tab] ? answer.own : own;
    }

    function clicked(event) {
        const button = event.target.closest("[data-vae-do]");
        if (button === null || button.disabled) return;
        event.preventDefault();
        const action = JSON.parse(button.dataset.vaeDo);
        const tab = tabOf(button);
        vaeAnswers.began(button, action);
        if (action.do === "use" && tab !== undefined) {
            pick(tab, action.file, scopeIsTab(tab) ? "tab" : "everywhere");
            return;
        }
        if (action.do === "use") {
            send(TABS[0], "act", [JSON.stringify({do: "choose", word: action.file})]);
            return;
        }
        if (["get", "cancel", "discard"].includes(action.do)) delete wantedForTab[action.entry];
        if (action.do === "get" && action.use && tab !== undefined && scopeIsTab(tab)) {
            wantedForTab[action.entry] = tab;
            action.use = false;
        }
        send(placeOf(button), "act", [JSON.stringify(action)]);
        if (action.do === "reload") restart_reload();
    }

    // A form of ours: its fields become fields of the action. A password does not stay in the page.
    function submitted(event) {
        const form = event.target.closest("[data-vae-form]");
        if (form === null) return;
        event.preventDefault();
        const action = {...JSON.parse(form.dataset.vaeForm), ...Object.fromEntries(new FormData(form))};
        for (const field of form.querySelectorAll("input[type=password]")) field.value = "";
        const place = placeOf(form);
        vaeAnswers.began(form, action);
        send(place, "act", [JSON.stringify(action)], form);
    }

    // The server has done what a message asked for, or says in `answer` why not: what was typed stays then.
    function answered(place, answer) {
        const form = messageAnswered()?.form;
        whenReleased(() => {
            if (form?.isConnected && answer === "") form.reset();
            vaeAnswers.refused(answer);
        });
        ask();
    }

    function pressed(event) {
        if (event.isPrimary && event.button === 0) afterRelease ??= [];
    }

    // The click comes right after the release, so what waits is done behind it.
    function released() {
        if (afterRelease === null) return;
        const works = afterRelease;
        afterRelease = null;
        setTimeout(() => works.forEach(whenReleased));
    }

    // A release outside the window is not always told: the next movement without a button tells it.
    function moved(event) {
        if (event.buttons === 0) released();
    }

    // Does `work` at once, or after the pointer is released.
    function whenReleased(work) {
        if (afterRelease === null) work();
        else afterRelease.push(work);
    }

    // Keeps the keyboard's place and what was folded out, which a plain replacement would lose.
    function fill(region, html) {
        if (region.vaeHtml === html) return;
        region.vaeHtml = html;
        const focused = region.contains(document.activeElement) ? document.activeElement : null;
        const key = focused?.dataset.vaeKey;
        const row = focused?.closest(ROW)?.dataset;
        const [from, to] = focused?.type === "text" ? [focused.selectionStart, focused.selectionEnd] : [null, null];
        const open = new Set([...region.querySelectorAll("details[open]")].map((d) => d.dataset.vaeKey));
        const typed = [...region.querySelectorAll("input[type=text], select")]
            .map((field) => [field.dataset.vaeKey, field.value]);
        region.innerHTML = html;
        for (const [name, value] of typed) {
            const field = region.querySelector(`[data-vae-key="${CSS.escape(name)}"]`);
            if (field !== null) field.value = value;
        }
        for (const details of region.querySelectorAll("details")) {
            details.open = open.has(details.dataset.vaeKey);
        }
        if (key !== undefined) {
            const same = region.querySelector(`[data-vae-key="${CSS.escape(key)}"]`);
            (same ?? neighbour(region, row))?.focus();
            if (from !== null) same?.setSelectionRange(from, to);
        }
    }

    // Where the keyboard goes when its button is gone: to another one of the row, else to what the region is folded in.
    function neighbour(region, row) {
        const rows = [...region.querySelectorAll(ROW)];
        const same = rows.find((one) => row !== undefined &&
            one.dataset.vaeEntry === row.vaeEntry && one.dataset.vaeDownload === row.vaeDownload);
        return same?.querySelector(".vm-do .vm-button") ?? region.closest("details")?.querySelector("summary") ?? null;
    }

    function show(state) {
        for (const tab of TABS) {
            const label = app().querySelector(`#vae_manager_${tab} > .label-wrap > span`);
            if (label !== null && label.textContent !== state.titles[tab]) label.textContent = state.titles[tab];
        }
        if (state.library !== undefined) vaeLibrary.show(state.library);
        const regions = {...state.regions, ...state.library?.regions, ...state.comparison?.regions};
        for (const [name, html] of Object.entries(regions)) {
            for (const region of app().querySelectorAll(`[data-vae-region="${name}"]`)) {
                fill(region, html);
            }
        }
        vaeLook.place();
        if (state.comparison !== undefined) vaeComparison.show(state.comparison);
        if (state.answers !== undefined) vaeAnswers.show(state.answers);
        for (const [entry, tab] of Object.entries(wantedForTab)) {
            if (entry in state.here) {
                delete wantedForTab[entry];
                if (scopeIsTab(tab)) pick(tab, state.here[entry], "tab");
                break; // one at a time: the next answer brings the next
            }
        }
        if (state.sync === sync) return;
        syncWaits = owed > 0 && performance.now() < overdue;
        if (syncWaits) return;
        sync = state.sync;
        owed = 0;
        overdue = performance.now() + GONE;
        for (const tab of TABS) {
            byId(`vae_manager_${tab}_sync`)?.click();
        }
    }

    function syncAnswered() {
        owed = Math.max(0, owed - 1);
        if (owed === 0 && syncWaits) ask();
    }

    // Sets the values of the dropdowns again, also if nothing has changed on the server.
    function renew() {
        sync = null;
        ask();
    }

    // The server does not answer this page: its reason stands in place of the state.
    function refused({error: sentence}) {
        if (sentence === undefined) return; // it was not ours
        const line = document.createElement("p");
        line.className = "vm-line vm-broken";
        line.textContent = sentence;
        line.setAttribute("role", "alert");
        for (const name of REFUSED_IN) {
            for (const region of app().querySelectorAll(`[data-vae-region="${name}"]`)) fill(region, line.outerHTML);
        }
    }

    // Between two looks at the whole, only the figures move.
    function advance(jobs) {
        for (const line of app().querySelectorAll("[data-vae-job]")) {
            const figures = jobs[line.dataset.vaeJob];
            if (figures === undefined) continue;
            const bar = line.querySelector("[role=progressbar]");
            bar.ariaValueNow = Math.round(figures.percent);
            bar.ariaValueText = figures.text;
            bar.firstElementChild.style.width = `${figures.percent}%`;
            line.lastElementChild.textContent = figures.text;
        }
    }

    function question() {
        const mine = Object.entries(tabChoices).filter(([, word]) => word !== "");
        const asked = new URLSearchParams([
            ...mine, ...Object.entries(vaeLibrary.question() ?? {}), ...Object.entries(vaeComparison.question()),
        ]);
        return String(asked) === "" ? STATE : `${STATE}?${asked}`;
    }

    // Asks for the figures alone where `paceIsEnough`; returns how long to wait, and what for.
    async function look(paceIsEnough) {
        const began = performance.now();
        const answer = await fetch(paceIsEnough ? `${STATE}?pace` : question(), {headers: {Accept: "application/json"}});
        if (answer.status === 403) {
            const reason = await answer.json().catch(() => ({}));
            whenReleased(() => refused(reason));
        }
        if (!answer.ok) return [LATER, false];
        const state = await answer.json();
        const took = performance.now() - began;
        await new Promise(whenReleased);
        if (paceIsEnough && state.stamp !== stamp) return [0, false];
        if (!paceIsEnough) {
            wholeDue = began + Math.max(WHOLE, REST * took);
            stamp = state.stamp;
            show(state);
        }
        advance(state.jobs);
        if (Object.keys(state.jobs).length > 0) return [paceIsEnough ? Math.max(PACE, took) : PACE, began < wholeDue];
        const active = state.active || state.library?.active || state.comparison?.active;
        return [active ? Math.max(SOON, REST * took) : LATER, false];
    }

    async function ask(paceIsEnough = false) {
        if (asking) {
            askAgain = true;
            return;
        }
        clearTimeout(timer);
        if (document.hidden) return; // asks again when it is seen again
        asking = true;
        let delay = LATER;
        let paceIsNext = false;
        try {
            [delay, paceIsNext] = await look(paceIsEnough);
        } catch (error) {
            if (!(error instanceof TypeError)) throw error;
            delay = GONE;
        } finally {
            asking = false;
            timer = setTimeout(ask, askAgain ? 0 : delay, paceIsNext && !askAgain);
            askAgain = false;
        }
    }

    // gradio 3 makes the accordion's title of a part that no keyboard reaches, and neither says whether it is open.
    function makeReachable(title) {
        const tell = () => title.setAttribute("aria-expanded", title.classList.contains("open"));
        new MutationObserver(tell).observe(title, {attributeFilter: ["class"]});
        tell();
        if (title.tagName === "BUTTON") return;
        title.setAttribute("role", "button");
        title.tabIndex = 0;
        title.addEventListener("keydown", (event) => {
            if (event.key !== "Enter" && event.key !== " ") return;
            event.preventDefault();
            title.click();
        });
    }

    function start() {
        if (byId("vae_manager_txt2img") === null) return;
        for (const tab of TABS) {
            const title = app().querySelector(`#vae_manager_${tab} > .label-wrap`);
            if (title !== null) makeReachable(title);
        }
        app().addEventListener("pointerdown", pressed, true);
        for (const name of ["pointerup", "pointercancel"]) window.addEventListener(name, released, true);
        window.addEventListener("pointermove", moved, true);
        window.addEventListener("blur", released);
        app().addEventListener("click", clicked);
        app().addEventListener("submit", submitted);
        document.addEventListener("visibilitychange", () => document.hidden || ask());
        ask();
    }

    return {
        start,
        ask: () => ask(),
        fill,
        // What the page itself wants of the server, by a click on `element`; `button` is the hidden one that brings it.
        sendFromLibrary(element, action, button = "act") {
            vaeAnswers.began(element, action);
            send(PLACES.at(-1), button, [JSON.stringify(action)]);
        },
        takeMessage: (_, ...others) => [outgoing.values[0], ...others],
        takePick: () => outgoing.values,
        answered,
        // Each event of a sync goes through here on its way to the server, with its inputs, and comes back below.
        syncAsked(...inputs) {
            owed += 1;
            return inputs;
        },
        syncAnswered,
        renew,
        pick,
        pickAnswered,
        // gradio filters the lines that come into an open list by the chosen one: they are all to be seen
        linesCame(tab) {
            setTimeout(() => {
                const field = byId(`vae_manager_${tab}_choice`)?.querySelector("input"); // none while the UI is reloaded
                if (field === document.activeElement) field.dispatchEvent(new Event("focus"));
            }, 100);
        },
        // gradio tells here what a tab has chosen for itself
        tabChose(tab, word) {
            tabChoices[tab] = word;
            ask();
        },
    };
})();

onUiLoaded(vaeManager.start);
onOptionsChanged(vaeManager.ask);
onUiTabChange(vaeManager.ask); // the tab "VAE" is filled while it is seen
