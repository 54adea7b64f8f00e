// Tells what the file behind a typed address is, before its download: one request for each address, when the typing
// pauses. It holds no texts.

const vaeLook = (() => {
    const LOOK = "./vae-manager/look";
    // Milliseconds without a key before the server is asked.
    const PAUSE = 600;
    // A word of this page, by which the server ends the look before, which nobody waits for any more.
    const PAGE = Math.random().toString(36).slice(2);

    let timer = null;
    let running = null; // the request that is under way
    let asked = ""; // what was asked last, as JSON
    let about = ""; // the address in it
    let html = "";
    let proposed = ""; // the name that the server gave; another one in the field is the user's own

    const app = () => gradioApp();
    const field = (name) => app().querySelector(`[data-vae-looks] input[name=${name}]`);

    function schedule(delay) {
        clearTimeout(timer);
        timer = setTimeout(look, delay);
    }

    function typed(event) {
        if (event.target.closest("[data-vae-looks]") === null) return;
        if (event.target.name === "address" && event.target.value.trim() !== about) {
            forgetProposed();
            forget();
        }
        schedule(event.type === "change" || event.inputType === "insertFromPaste" ? 0 : PAUSE);
    }

    // The name proposed for one address is no name for the next.
    function forgetProposed() {
        const name = field("name");
        if (name.value === proposed) name.value = "";
        proposed = "";
    }

    // The answer for one address is none for the next, also one that is still to come.
    function forget() {
        clearTimeout(timer);
        running?.abort();
        running = null;
        asked = about = html = "";
        place();
    }

    function clear() {
        proposed = "";
        forget();
    }

    async function look() {
        if (field("address") === null) return;
        const address = field("address").value.trim();
        if (address === "") return clear();
        const name = field("name").value === proposed ? "" : field("name").value;
        const question = JSON.stringify({address, name});
        if (question === asked) return;
        running?.abort();
        const request = running = new AbortController();
        asked = question;
        about = address;
        place();
        try {
            const answer = await fetch(LOOK, {
                method: "POST", body: JSON.stringify({address, name, page: PAGE}), signal: request.signal,
                headers: {"Content-Type": "application/json", "Accept": "application/json"},
            });
            const found = await answer.json();
            if (running !== request) return;
            running = null;
            html = answer.ok ? found.html : refusal(found.error);
            if (answer.ok) propose(found.name);
        } catch (error) {
            if (running !== request) return;
            running = null;
            asked = ""; // a later pause asks again
            html = "";
            if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error;
        } finally {
            place();
        }
    }

    // The server does not answer this page, and says why.
    function refusal(sentence) {
        const line = document.createElement("p");
        line.className = "vm-line vm-broken";
        line.textContent = sentence ?? "";
        return line.outerHTML;
    }

    function propose(name) {
        const own = field("name");
        if (own !== null && name !== "" && (own.value === "" || own.value === proposed)) own.value = name;
        proposed = name;
    }

    // After each renewal of the page too: the panel's region comes without it.
    function place() {
        for (const panel of app().querySelectorAll("[data-vae-remote]")) {
            panel.setAttribute("aria-busy", running !== null);
            vaeManager.fill(panel, html);
        }
    }

    function clicked(event) {
        const button = event.target.closest("[data-vae-source]");
        if (button === null) return;
        forgetProposed();
        forget();
        field("address").value = button.dataset.vaeSource;
        field("address").focus(); // its button goes
        schedule(0);
    }

    function start() {
        for (const name of ["input", "change"]) app().addEventListener(name, typed);
        app().addEventListener("click", clicked);
        app().addEventListener("reset", (event) => event.target.closest("[data-vae-looks]") !== null && clear());
    }

    return {place, start};
})();

onUiLoaded(vaeLook.start);
