// What the WebUI's script.js and its javascript folder offer to the scripts of extensions, in the stand-in's own words.

function gradioApp() {
    const app = document.querySelector('gradio-app');
    if (!app) return document;
    app.getElementById = (id) => document.getElementById(id);
    return app.shadowRoot || app;
}

function get_uiCurrentTab() {
    return gradioApp().querySelector('#tabs > .tab-nav > button.selected');
}

function get_uiCurrentTabContent() {
    return gradioApp().querySelector('#tabs > .tabitem[id^=tab_]:not([style*="display: none"])');
}

var uiUpdateCallbacks = [];
var uiAfterUpdateCallbacks = [];
var uiLoadedCallbacks = [];
var uiTabChangeCallbacks = [];
var optionsChangedCallbacks = [];
var optionsAvailableCallbacks = [];

/** At each change of the page, with the MutationRecords. */
function onUiUpdate(callback) {
    uiUpdateCallbacks.push(callback);
}

/** Some 200 ms after the last of several changes. */
function onAfterUiUpdate(callback) {
    uiAfterUpdateCallbacks.push(callback);
}

/** Once, when the page is there. */
function onUiLoaded(callback) {
    uiLoadedCallbacks.push(callback);
}

function onUiTabChange(callback) {
    uiTabChangeCallbacks.push(callback);
}

/** When `opts` was read, and at each change of an option from this page. */
function onOptionsChanged(callback) {
    optionsChangedCallbacks.push(callback);
}

/** When `opts` was read; at once if it was already. */
function onOptionsAvailable(callback) {
    if (Object.keys(opts).length) {
        callback();
    } else {
        optionsAvailableCallbacks.push(callback);
    }
}

function executeCallbacks(queue, arg) {
    for (const callback of queue) {
        try {
            callback(arg);
        } catch (error) {
            console.error('error running callback', callback, ':', error);
        }
    }
}

function uiElementIsVisible(el) {
    for (let node = el; node !== document; node = node.parentNode) {
        if (getComputedStyle(node).display === 'none') return false;
    }
    return true;
}

(function() {
    let loaded = false;
    let tab = null;
    let soon = null;

    function changed(records) {
        if (!loaded && gradioApp().querySelector('#txt2img_prompt')) {
            loaded = true;
            executeCallbacks(uiLoadedCallbacks);
        }
        executeCallbacks(uiUpdateCallbacks, records);
        clearTimeout(soon);
        soon = setTimeout(() => executeCallbacks(uiAfterUpdateCallbacks), 200);
        const now = get_uiCurrentTab();
        if (now && now !== tab) {
            tab = now;
            executeCallbacks(uiTabChangeCallbacks);
        }
    }

    document.addEventListener('DOMContentLoaded', function() {
        new MutationObserver(changed).observe(gradioApp(), {childList: true, subtree: true});
    });
})();
