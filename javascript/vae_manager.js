// The browser's part: asks for the state of the page, puts it in its places, and hands clicks to gradio's events.
// It holds no texts: everything that is read was written, and translated, by the server.

const vaeManager = (() => {
    const TABS = ["txt2img", "img2img"];
    const STATE = "./vae-manager/state";
    const SOON = 400;
    const LATER = 2500;
    // A WebUI that is starting can be ended by a request that comes too early: after a failure it is left alone.
    const GONE = 30000;

    let sync = null;
    let timer = null;
    let asking = false;
    let askAgain = false;
    const outgoing = {message: "", word: ""};
    const tabChoices = {};
    const wantedForTab = {};

    const app = () => gradioApp();
    const byId = (id) => app().querySelector(`#${id}`);

    function scopeIsTab(tab) {
        const checked = app().querySelector(`#vae_manager_${tab}_scope input:checked`);
        return checked !== null && checked.value === "tab";
    }

    function tabOf(element) {
        return TABS.find((tab) => element.closest(`#vae_manager_${tab}`) !== null);
    }

    // A click on a hidden gradio button; its `_js` takes the outgoing text, so no textbox has to be filled first.
    function send(tab, button, kind, text) {
        outgoing[kind] = text;
        byId(`vae_manager_${tab}_${button}`).click();
        for (const delay of [150, 600]) {
            setTimeout(ask, delay);
        }
    }

    function take(kind) {
        return (_, ...others) => {
            const text = outgoing[kind];
            outgoing[kind] = "";
            return [text, ...others];
        };
    }

    function clicked(event) {
        const button = event.target.closest("[data-vae-do]");
        if (button === null || button.disabled) return;
        event.preventDefault();
        const action = JSON.parse(button.dataset.vaeDo);
        const tab = tabOf(button);
        if (action.do === "use" && tab !== undefined) {
            send(tab, "pick", "word", action.file);
            return;
        }
        if (action.do === "use") {
            send(TABS[0], "act", "message", JSON.stringify({do: "choose", word: action.file}));
            return;
        }
        delete wantedForTab[action.entry];
        if (action.do === "get" && action.use && tab !== undefined && scopeIsTab(tab)) {
            wantedForTab[action.entry] = tab;
            action.use = false;
        }
        send(tab ?? TABS[0], "act", "message", JSON.stringify(action));
        if (action.do === "reload") restart_reload();
    }

    // Keeps the keyboard's place and what was folded out, which a plain replacement would lose.
    function fill(region, html) {
        if (region.vaeHtml === html) return;
        region.vaeHtml = html;
        const key = region.contains(document.activeElement) ? document.activeElement.dataset.vaeKey : undefined;
        const open = new Set([...region.querySelectorAll("details[open]")].map((d) => d.dataset.vaeKey));
        region.innerHTML = html;
        for (const details of region.querySelectorAll("details")) {
            details.open = open.has(details.dataset.vaeKey);
        }
        if (key !== undefined) {
            region.querySelector(`[data-vae-key="${CSS.escape(key)}"]`)?.focus();
        }
    }

    function show(state) {
        for (const tab of TABS) {
            const label = app().querySelector(`#vae_manager_${tab} > .label-wrap > span`);
            if (label !== null && label.textContent !== state.titles[tab]) label.textContent = state.titles[tab];
        }
        const answer = byId(`vae_manager_${TABS[0]}_answer`)?.innerHTML ?? "";
        for (const mirror of app().querySelectorAll("[data-vae-answer]")) {
            fill(mirror, answer);
        }
        for (const [name, html] of Object.entries(state.regions)) {
            for (const region of app().querySelectorAll(`[data-vae-region="${name}"]`)) {
                fill(region, html);
            }
        }
        for (const [entry, tab] of Object.entries(wantedForTab)) {
            if (entry in state.here) {
                delete wantedForTab[entry];
                if (scopeIsTab(tab)) send(tab, "pick", "word", state.here[entry]);
                break; // one at a time: the next answer brings the next
            }
        }
        if (state.sync !== sync) {
            sync = state.sync;
            for (const tab of TABS) {
                byId(`vae_manager_${tab}_sync`)?.click();
            }
        }
    }

    function question() {
        const mine = Object.entries(tabChoices).filter(([, word]) => word !== "");
        return mine.length === 0 ? STATE : `${STATE}?${new URLSearchParams(mine)}`;
    }

    async function ask() {
        if (asking) {
            askAgain = true;
            return;
        }
        clearTimeout(timer);
        if (document.hidden) return; // asks again when it is seen again
        asking = true;
        let delay = LATER;
        try {
            const answer = await fetch(question(), {headers: {Accept: "application/json"}});
            if (answer.ok) {
                const state = await answer.json();
                show(state);
                if (state.active) delay = SOON;
            }
        } catch (error) {
            if (!(error instanceof TypeError)) throw error;
            delay = GONE;
        } finally {
            asking = false;
            timer = setTimeout(ask, askAgain ? 0 : delay);
            askAgain = false;
        }
    }

    function start() {
        if (byId("vae_manager_txt2img") === null) return;
        app().addEventListener("click", clicked);
        document.addEventListener("visibilitychange", () => document.hidden || ask());
        ask();
    }

    return {
        start,
        ask,
        takeMessage: take("message"),
        takeWord: take("word"),
        // gradio tells here what a tab has chosen for itself
        tabChose(tab, word) {
            tabChoices[tab] = word;
            ask();
        },
    };
})();

onUiLoaded(vaeManager.start);
onOptionsChanged(vaeManager.ask);
