"""The page: what it knows (`facts`), how it looks (`markup`), what a click does (`actions`), and its gradio parts."""
