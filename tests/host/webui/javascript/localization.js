// Translates whole text nodes, titles and placeholders by window.localization, which the page's head brings.

(function() {
    const number = /^[.\d]+$/;
    const sign = /[\p{Extended_Pictographic}\u{1F3FB}-\u{1F3FF}\u{1F9B0}-\u{1F9B3}]/u;
    const untouched = ['SCRIPT', 'STYLE', 'TEXTAREA'];

    function translation(text) {
        return text ? window.localization[text] : undefined;
    }

    function translateText(node) {
        const text = node.textContent.trim();
        if (!text || !node.parentElement || untouched.includes(node.parentElement.nodeName)) return;
        if (number.test(text) || sign.test(text)) return;
        const found = translation(text);
        if (found !== undefined) node.textContent = found;
    }

    function translateNode(node) {
        if (node.nodeType === Node.TEXT_NODE) {
            translateText(node);
            return;
        }
        for (const attribute of ['title', 'placeholder']) {
            const found = translation(node[attribute]);
            if (found !== undefined) node[attribute] = found;
        }
        const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
        const texts = [];
        while (walker.nextNode()) texts.push(walker.currentNode);
        texts.forEach(translateText);
    }

    document.addEventListener('DOMContentLoaded', function() {
        if (!Object.keys(window.localization || {}).length) return;
        onUiUpdate((records) => records.forEach((record) => record.addedNodes.forEach(translateNode)));
        translateNode(gradioApp());
    });
})();
