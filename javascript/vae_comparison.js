// The section "Comparison" of the tab "VAE": which picture, which VAEs, and the way there from a result. It holds no texts.

const vaeComparison = (() => {
    const PAGE = "#vae_manager_comparison_page";
    const PAGES = "#vae_manager_library_pages";
    const FIELD = "#vae_manager_comparison_own";
    const OWN = "own";

    let wanted = null; // the value of the chosen picture; null: the newest
    const chips = new Map(); // what a person has ticked or not
    let only = null; // the one VAE that was asked for beside the one in use
    let each = false;
    let looked = ""; // the id of the comparison that is looked at; empty: the newest
    let digest = ""; // of what can be chosen, as it was sent last

    const page = () => gradioApp().querySelector(PAGE);
    const all = (selector) => [...(page()?.querySelectorAll(selector) ?? [])];
    const question = () => page()?.offsetParent ? {comparison: digest, shown: looked} : {};

    // What the person has chosen is kept here: the regions come anew.
    function show(comparison) {
        digest = comparison.digest;
        vaeStage.show(comparison.view);
        keep();
        vaeStage.mark();
    }

    function keep() {
        const pictures = all("[data-vae-picture]");
        const able = pictures.filter((radio) => !radio.disabled);
        const chosen = able.find((radio) => radio.value === wanted) ?? able[0];
        if (chosen !== undefined) chosen.checked = true;
        const own = chosen?.value === OWN;
        for (const box of all("[data-vae-chip]")) {
            const always = box.dataset.vaeInUse !== undefined && !own; // the others are held against it
            box.checked = !box.disabled && (chips.get(box.value) ?? proposed(box)) || always;
        }
        for (const radio of all("[name=vae-encode]")) radio.checked = (radio.value === "each") === each;
        for (const region of all("[data-vae-encode]")) region.hidden = !own;
        for (const button of all("[data-vae-rescue]")) button.hidden = own;
        for (const button of all("[data-vae-take]")) button.hidden = !own || shownIn(button.dataset.vaeTake) === null;
        page()?.querySelector(FIELD)?.classList.toggle("vm-chosen", own);
    }

    const proposed = (box) => only === null ? box.dataset.vaeProposed !== undefined : box.value === only;

    function compareFile(word) {
        only = word;
        chips.clear();
        looked = "";
        vaeLibrary.openPage("comparison");
        keep();
    }

    function changed(event) {
        const {vaePicture, vaeChip} = event.target.dataset;
        if (vaePicture !== undefined) wanted = event.target.value;
        if (vaeChip !== undefined) chips.set(event.target.value, event.target.checked);
        if (event.target.name === "vae-encode") each = event.target.value === "each";
        keep();
    }

    // What a person has ticked; empty while the proposal stands.
    function ticked() {
        return chips.size === 0 ? [] : all("[data-vae-chip]:checked").map((box) => box.value);
    }

    function look(id) {
        looked = id;
        vaeManager.ask();
    }

    function begin(button) {
        looked = "";
        const vaes = all("[data-vae-chip]:checked").map((box) => box.value);
        const picture = all("[data-vae-picture]:checked")[0]?.value ?? OWN;
        if (picture === OWN) {
            vaeManager.sendFromLibrary(button, {do: "compare-own", vaes, each}, "compare");
        } else {
            vaeManager.sendFromLibrary(button, {do: "compare", kept: picture, vaes});
        }
    }

    function rescue(button) {
        looked = "";
        const picture = all("[data-vae-picture]:checked")[0]?.value;
        vaeManager.sendFromLibrary(button, {do: "rescue", kept: picture});
    }

    // What is selected in a tab's gallery; alone it is the only one.
    const shownIn = (tab) => gradioApp().querySelector(`#${tab}_gallery .preview > img, #${tab}_gallery img`);

    // Into gradio's field, as if it had been dropped there; one that holds a picture has to be emptied first.
    async function take(tab) {
        const field = page().querySelector(FIELD);
        const picture = await (await fetch(shownIn(tab).src)).blob();
        field.querySelector("[aria-label=Clear], [aria-label='Remove Image']")?.click(); // gradio 3 and 4
        await new Promise(requestAnimationFrame);
        const files = new DataTransfer();
        files.items.add(new File([picture], "picture.png", {type: picture.type}));
        const input = field.querySelector("input[type=file]");
        input.files = files.files;
        input.dispatchEvent(new Event("change"));
    }

    // -- from a result ------------------------------------------------------------------------------------------------
    function compareShown(tab) {
        const infotext = gradioApp().querySelector(`#html_info_${tab} p`)?.textContent ?? "";
        vaeLibrary.openPage("comparison");
        wanted = null;
        only = null;
        looked = "";
        keep();
        const picture = shownIn(tab);
        const size = picture === null ? [] : [picture.naturalWidth, picture.naturalHeight];
        vaeManager.sendFromLibrary(page(), {do: "compare-shown", tab, infotext, size, vaes: ticked()});
    }

    function clicked(event) {
        const button = event.target.closest("button");
        if (button === null) return;
        const {vaeCompare, vaeCompareFile, vaeSide, vaeOf, vaeStart, vaeRescue, vaeTake, vaeShown} = button.dataset;
        if (vaeCompare !== undefined) {
            const accordion = button.closest("#vae_manager_img2img") !== null ? "img2img" : "txt2img";
            compareShown(vaeCompare || accordion);
        } else if (vaeCompareFile !== undefined) {
            compareFile(vaeCompareFile);
        } else if (vaeSide !== undefined) {
            vaeStage.choose(vaeSide, vaeOf);
        } else if (vaeStart !== undefined) {
            begin(button);
        } else if (vaeRescue !== undefined) {
            rescue(button);
        } else if (vaeTake !== undefined) {
            take(vaeTake);
        } else if (vaeShown !== undefined) {
            look(vaeShown);
        } else if (button.closest(`${PAGES} > .tab-nav`) !== null) {
            setTimeout(vaeManager.ask, 0); // the other page is filled while it is seen
        }
    }

    // The button stands below the picture; the WebUI has no place for an extension there.
    function placeButtons() {
        for (const button of gradioApp().querySelectorAll("[data-vae-under]")) {
            const tab = button.dataset.vaeUnder;
            const above = gradioApp().querySelector(`#image_buttons_${tab}`) ??
                gradioApp().querySelector(`#${tab}_gallery_container`);
            above?.after(button);
        }
    }

    function start() {
        if (page() === null) return;
        placeButtons();
        gradioApp().addEventListener("click", clicked);
        page().addEventListener("change", changed);
    }

    return {
        question, show, start,
        pictureCame(there) {
            if (!there) return;
            wanted = OWN;
            keep();
        },
    };
})();

onUiLoaded(vaeComparison.start);
