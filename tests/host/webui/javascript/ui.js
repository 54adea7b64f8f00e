// The functions of the WebUI's ui.js that its page and extensions call by name.

var opts = {};

function set_theme(theme) {
    if (!window.location.href.includes('?__theme=')) {
        window.location.replace(window.location.href + '?__theme=' + theme);
    }
}

/** Tells gradio that a script has changed an input. */
function updateInput(target) {
    const event = new Event('input', {bubbles: true});
    Object.defineProperty(event, 'target', {value: target});
    target.dispatchEvent(event);
}

function selected_gallery_index() {
    const shown = get_uiCurrentTabContent().querySelectorAll('.gradio-gallery .thumbnails > .thumbnail-item');
    return Array.from(shown).findIndex((item) => item.classList.contains('selected'));
}

/** Reload UI: a blank page, until the server answers again. */
function restart_reload() {
    document.body.innerHTML = '<h1 style="text-align: center; margin-top: 20%">Reloading...</h1>';
    function ask() {
        fetch('./internal/ping').then(
            (answer) => answer.ok ? location.reload() : setTimeout(ask, 500),
            () => setTimeout(ask, 500)
        );
    }
    setTimeout(ask, 2000);
    return [];
}

// `opts` follows the hidden text box that every settings event writes to
onAfterUiUpdate(function() {
    if (Object.keys(opts).length) return;
    const holder = gradioApp().getElementById('settings_json');
    const textarea = holder && holder.querySelector('textarea');
    if (!textarea) return;
    opts = JSON.parse(textarea.value);
    executeCallbacks(optionsAvailableCallbacks);
    executeCallbacks(optionsChangedCallbacks);
    const native = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value');
    Object.defineProperty(textarea, 'value', {
        get: () => native.get.call(textarea),
        set: function(text) {
            const before = native.get.call(textarea);
            native.set.call(textarea, text);
            if (before !== text) opts = JSON.parse(text);
            executeCallbacks(optionsChangedCallbacks);
        },
    });
    holder.parentElement.style.display = 'none';
});
