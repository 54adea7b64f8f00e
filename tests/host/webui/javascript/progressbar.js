// The events of the Generate buttons: a task's id for the server, and its progress above the gallery.

function randomId() {
    return `task(${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)})`;
}

function showSubmitButtons(tabname, show) {
    for (const name of ['interrupt', 'skip']) {
        gradioApp().getElementById(`${tabname}_${name}`).style.display = show ? 'none' : 'block';
    }
}

function requestProgress(id, container, atEnd) {
    const bar = document.createElement('div');
    bar.className = 'progressDiv';
    bar.innerHTML = '<div class="progress"></div>';
    container.parentNode.insertBefore(bar, container);

    async function ask() {
        const answer = await fetch('./internal/progress', {
            method: 'POST',
            headers: {'Content-Type': 'application/json'},
            body: JSON.stringify({id_task: id, live_preview: false}),
        }).then((response) => response.json()).catch(() => ({completed: true}));
        if (answer.completed) {
            bar.remove();
            atEnd();
            return;
        }
        const part = answer.active ? `${Math.round(100 * (answer.progress || 0))}%` : answer.textinfo;
        bar.firstChild.style.width = answer.active ? part : '0';
        bar.firstChild.textContent = part;
        setTimeout(ask, 100);
    }
    setTimeout(ask, 100);
}

function submitTask(tabname, args) {
    const id = randomId();
    showSubmitButtons(tabname, false);
    requestProgress(id, gradioApp().getElementById(`${tabname}_gallery_container`), () => showSubmitButtons(tabname, true));
    const inputs = Array.from(args);
    inputs[0] = id;
    return inputs;
}

function submit() {
    return submitTask('txt2img', arguments);
}

function submit_img2img() {
    return submitTask('img2img', arguments);
}

onUiLoaded(function() {
    showSubmitButtons('txt2img', true);
    showSubmitButtons('img2img', true);
});
