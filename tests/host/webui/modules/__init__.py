"""The part of the WebUI's `modules` package that the extension and the page need."""
