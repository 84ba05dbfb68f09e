"""A small Flask app as a user has it: no telemetry in it. PORT says where it listens; DEBUG=1 turns Flask's reloader on."""

import logging
import os

from flask import Flask

app = Flask(__name__)
logging.basicConfig(level=logging.INFO)
GREETING = "hello"


@app.get("/hello/<name>")
def hello(name):
    app.logger.warning("greeting %s", name)
    return f"{GREETING} {name}\n"


if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]), debug=os.environ.get("DEBUG") == "1")
