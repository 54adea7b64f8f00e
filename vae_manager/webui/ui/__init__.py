"""The page: view models, views with their templates, action handlers and gradio blocks."""
