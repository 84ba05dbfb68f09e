# Python runs this file at start because `apm run` put its folder on PYTHONPATH. It hands over to the project's own
# sitecustomize, then starts the telemetry agent. It stays readable for every Python, old ones too, because child
# processes of any version may meet it. Nothing that goes wrong with the agent may reach the program.
import os
import sys


def _chain():
    here = os.path.dirname(os.path.abspath(__file__))
    rest = [path for path in sys.path if os.path.abspath(path or os.curdir) != here]
    try:
        from importlib.machinery import PathFinder
        from importlib.util import module_from_spec
    except ImportError:
        return
    spec = PathFinder.find_spec("sitecustomize", rest)
    if spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


# Installers and build tools are not the program.
_TOOLS = ("pip", "pip3", "uv", "poetry", "pipenv", "ensurepip", "venv", "virtualenv", "build", "black", "ruff", "mypy")


def _is_tool():
    words = list(getattr(sys, "orig_argv", None) or [])[1:]
    while words and words[0].startswith("-"):
        if words[0] == "-m" and len(words) > 1:
            return words[1].split(".")[0] in _TOOLS
        if words[0] == "-c":
            # The resource tracker of multiprocessing only cleans up; spawned workers are the program.
            return len(words) > 1 and "resource_tracker" in words[1]
        words.pop(0)
    return bool(words) and os.path.basename(words[0]) in _TOOLS


def _run():
    if not os.environ.get("APM_RUN_AGENT") or sys.version_info < (3, 10) or _is_tool():
        return
    try:
        import _apm_run_agent

        _apm_run_agent.start()
    except Exception:
        if os.environ.get("APM_RUN_DEBUG"):
            raise


try:
    _chain()
finally:
    _run()
