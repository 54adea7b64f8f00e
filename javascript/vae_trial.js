// Which VAE suits my pictures: the pictures that are chosen or dropped go to the server one by one, then the trial begins.
// It holds no texts.

const vaeTrial = (() => {
    const PICTURES = "./vae-manager/trial/pictures";
    const SECTION = "[data-vae-trial]";
    // More would only keep the server busy: it takes a part of a large folder anyway.
    const MOST = 200;

    let batch = 0;
    let sending = null; // resolves when all pictures of the newest choice are there

    const section = () => gradioApp().querySelector(SECTION);
    const part = (name) => section().querySelector(`[data-vae-trial-${name}]`);

    function choose(source) {
        const radio = section().querySelector(`[name=vae-trial-source][value=${source}]`);
        if (radio !== null) radio.checked = true;
    }

    const asBase64 = (file) => new Promise((resolve, reject) => {
        const reader = new FileReader();
        reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
        reader.onerror = () => reject(reader.error);
        reader.readAsDataURL(file);
    });

    async function send(files) {
        const mine = `${Date.now()} ${batch += 1}`;
        const newest = batch;
        const place = part("count");
        for (const file of [...files].slice(0, MOST)) {
            if (newest !== batch) return;
            const answer = await fetch(PICTURES, {
                method: "POST", headers: {"Content-Type": "application/json", "Accept": "application/json"},
                body: JSON.stringify({batch: mine, name: file.name, picture: await asBase64(file)}),
            });
            const found = await answer.json().catch(() => ({}));
            if (newest !== batch) return;
            place.textContent = answer.ok
                ? place.dataset.vaeCounted.replace("{count}", found.count)
                : found.error ?? String(answer.status);
            if (!answer.ok) return;
        }
    }

    function take(files) {
        if (files.length === 0) return;
        choose("dropped");
        sending = send(files);
    }

    async function begin(button) {
        await sending?.catch(() => null);
        const source = section().querySelector("[name=vae-trial-source]:checked").value;
        const vaes = [...gradioApp().querySelectorAll("[data-vae-chip]:checked")].map((box) => box.value);
        const folder = source === "folder" ? part("folder").value : "";
        vaeManager.sendFromLibrary(button, {do: "find-best", source, folder, vaes});
    }

    function start() {
        if (section() === null) return;
        section().addEventListener("change", (event) => {
            if (event.target.dataset.vaeTrialFiles !== undefined) take(event.target.files);
        });
        section().addEventListener("input", (event) => {
            if (event.target.dataset.vaeTrialFolder !== undefined) choose("folder");
        });
        section().addEventListener("dragover", (event) => event.preventDefault());
        section().addEventListener("drop", (event) => {
            event.preventDefault();
            event.stopPropagation();
            take(event.dataTransfer.files);
        });
        section().addEventListener("click", (event) => {
            const button = event.target.closest("[data-vae-trial-start]");
            if (button !== null) begin(button);
        });
    }

    return {start};
})();

onUiLoaded(vaeTrial.start);
