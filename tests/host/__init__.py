"""A small stand-in for the AUTOMATIC1111 Stable Diffusion WebUI 1.10.1, started as a process of its own.

`python -m tests.host --data DIR --port PORT` loads the real extension from the repository root and serves a page on
gradio 3.41.2. `webui/` is what the WebUI's own folder is: `modules`, `scripts`, `javascript`, `script.js`. Everything
in it is written for these tests; what it does not know raises, so that a typo or a new need of the adapter breaks a
test.

    __main__.py       its own flags, then the WebUI's
    data.py           a data folder with two checkpoints
    network.py        the model: a real AutoencoderKL, a picture generator in place of the UNet
    sampling.py, generation.py   steps, refiner, hires fix, img2img
    fixtures.py       start_webui() for tests and the demo
    forking.py        the process that stand-ins are forked from
    asking.py         what tests ask of it: pictures, options, gradio events without a browser
    probe.py watch.py small extensions that tell what an extension sees, and what happens to models and VAEs
    signatures.py     what the imitated surface looks like, compared with a recording of the real one
    webui/            the WebUI's folder
    layers.py         another host with `--as`: forge/ and reforge/ are what differs there from webui/
"""
