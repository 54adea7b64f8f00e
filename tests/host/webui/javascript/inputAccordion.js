// Keeps an accordion and its hidden checkbox in step.

function inputAccordionChecked(id, checked) {
    const title = gradioApp().querySelector(`#${id} .label-wrap`);
    if (title && title.classList.contains('open') !== checked) title.click();
}

onUiLoaded(function() {
    for (const accordion of gradioApp().querySelectorAll('.input-accordion')) {
        const title = accordion.querySelector('.label-wrap');
        const checkbox = gradioApp().querySelector(`#${accordion.id}-checkbox input`);
        const extra = gradioApp().querySelector(`#${accordion.id}-extra`);
        if (extra) title.insertBefore(extra, title.lastElementChild);
        new MutationObserver(function() {
            checkbox.checked = title.classList.contains('open');
            updateInput(checkbox);
        }).observe(title, {attributes: true, attributeFilter: ['class']});
    }
});
