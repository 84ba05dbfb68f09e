"""A small Flask app as a user has it: no telemetry in it. It logs what it is asked for."""

from flask import Flask

app = Flask(__name__)


@app.get("/ready")
def ready():
    app.logger.warning("somebody asks whether I am ready")
    return "yes\n"


app.run(host="0.0.0.0", port=8080)
