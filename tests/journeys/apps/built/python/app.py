"""A small Flask app as a user has it: no telemetry in it. PORT says where it listens; it ends by itself when it is told to."""

import os
import signal
import sys

from flask import Flask

app = Flask(__name__)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))


@app.get("/hello/<name>")
def hello(name):
    return f"hello {name}\n"


app.run(port=int(os.environ["PORT"]))
