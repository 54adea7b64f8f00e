"""The integration with gradio and the WebUIs."""
