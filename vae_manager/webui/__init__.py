"""The part that knows gradio and the hosts."""
