"""The file that is arriving: its bytes, what is known of them, and its proof."""
