"""Starts OpenTelemetry inside a program that `apm run` launched, and tells how it went.

The agent's packages come LAST on sys.path: a package the program has itself is never shadowed. Where the program's version
of a shared package does not fit the agent, the agent stands down and names it. What the program prints stays as it was.
State goes to the file APM_RUN_STATUS, one JSON object a line; `event` is one of: started, disabled, span, export_failed,
reloader (the program restarts itself on change), crashed (an exception ended it).
"""

import atexit
import json
import logging
import os
import re
import sys
import weakref

_HERE = os.path.dirname(os.path.abspath(__file__))


def _say(event, **fields):
    path = os.environ.get("APM_RUN_STATUS")
    if not path:
        return
    line = json.dumps({"event": event, "pid": os.getpid(), **fields}, default=str) + "\n"
    try:
        # One write to a file opened for append: lines of several processes do not mix.
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line.encode("utf-8", "replace"))
        finally:
            os.close(handle)
    except OSError:
        pass


class _StandDown(Exception):
    """The agent does not fit this program; the reason is the message."""


def start():
    path = os.environ.get("PYTHONPATH", "")
    # A process that an instrumentation starts while it starts must not start the agent again and so on without end.
    os.environ["PYTHONPATH"] = os.pathsep.join(part for part in path.split(os.pathsep) if part and part != _HERE)
    try:
        _start()
    except _StandDown as reason:
        _say("disabled", reason=str(reason), clash=True)
    except Exception as error:
        _say("disabled", reason="%s: %s" % (type(error).__name__, error), clash=False)
        if os.environ.get("APM_RUN_DEBUG"):
            raise
    finally:
        # Children (a reloader's, a server's workers) are the program too.
        os.environ["PYTHONPATH"] = path


def _start():
    agent = os.environ["APM_RUN_AGENT"]
    if os.environ.get("WERKZEUG_RUN_MAIN") == "true":
        _say("reloader", name="Flask's debug mode")
    elif os.environ.get("RUN_MAIN") == "true":
        _say("reloader", name="Django's `runserver`")
    _watch_crash(agent)
    tag = "%s-%d.%d" % (sys.implementation.name, *sys.version_info[:2])
    wanted = os.environ.get("APM_RUN_PYTHON", tag)
    if tag != wanted:
        raise _StandDown("this process runs %s (%s), the agent was installed for %s" % (tag, sys.executable, wanted))
    if agent not in sys.path:
        _check_versions(agent)
        sys.path.append(agent)

    _patch_gevent()
    _keep_quiet()
    _set_instance()
    from opentelemetry.distro import OpenTelemetryConfigurator, OpenTelemetryDistro

    OpenTelemetryDistro().configure()
    hurry = _know_senders()
    # Log records are carried by _carry_logs; the SDK's own handler would change what the program prints.
    OpenTelemetryConfigurator().configure(auto_instrumentation_version=_version(agent), setup_logging_handler=False)
    # After the SDK's own, so before it: what is registered last runs first at exit.
    atexit.register(hurry)
    _watch_first_span()
    if _on("OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED") and _on("OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION"):
        _carry_logs()
    done, skipped, outside = _instrument()
    os.register_at_fork(after_in_child=_after_fork)
    _say("started", instrumented=done, skipped=skipped, outside=outside)


def _know_senders():
    """At exit everything is sent once, without retries: with no engine there, Ctrl-C took 17 seconds."""
    senders = weakref.WeakSet()
    try:
        from opentelemetry.exporter.otlp.common.http import _OTLPHTTPClient
    except ImportError:
        # The program has another version of the exporter; then its patience holds.
        return lambda: None
    begin = _OTLPHTTPClient.__init__

    def remembered(self, *args, **kwargs):
        begin(self, *args, **kwargs)
        senders.add(self)

    _OTLPHTTPClient.__init__ = remembered

    def hurry():
        try:
            for sender in list(senders):
                sender._timeout = min(sender._timeout, 2.0)
                sender._shutdown_event.set()
        except Exception:
            pass

    return hurry


def _on(name):
    return os.environ.get(name, "true").strip().lower() != "false"


def _version(agent):
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("opentelemetry-instrumentation")
    except PackageNotFoundError:
        return "unknown"


def _canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def _check_versions(agent):
    """Stands down where a package of the program is too old or too new for the agent."""
    from importlib.metadata import distributions

    mine = list(distributions(path=[agent]))
    names = {_canonical(one.metadata["Name"]): one.version for one in mine}
    if "opentelemetry-sdk" not in names:
        raise _StandDown("the agent's folder %s is incomplete; remove it and start again" % agent)
    theirs = {}
    for one in distributions():
        name = _canonical(one.metadata["Name"] or "")
        if name in names:
            theirs.setdefault(name, one.version)
    different = {name: version for name, version in theirs.items() if not _alike(name, version, names[name])}
    if not different:
        return
    sys.path.append(agent)
    try:
        from packaging.requirements import InvalidRequirement, Requirement
    finally:
        sys.path.remove(agent)
    for one in mine:
        # What the program replaced asks for nothing any more: the program's own version came with its own needs.
        if _canonical(one.metadata["Name"]) in theirs:
            continue
        for text in one.requires or []:
            try:
                need = Requirement(text)
            except InvalidRequirement:
                continue
            have = different.get(_canonical(need.name))
            if have is None or (need.marker and not need.marker.evaluate({"extra": ""})):
                continue
            if not need.specifier.contains(have, prereleases=True):
                raise _StandDown(
                    "the program has %s %s, but the agent (%s) needs %s%s"
                    % (need.name, have, one.metadata["Name"], need.name, need.specifier)
                )


def _alike(name, theirs, mine):
    """OpenTelemetry's packages pin each other to the last digit, although a patch release changes no interface, and its
    API (which frameworks bring along) only ever gains within a major version."""
    if theirs == mine:
        return True
    if not name.startswith("opentelemetry-"):
        return False
    have, want = ([int(digits) for digits in re.findall(r"\d+", version)[:2]] for version in (theirs, mine))
    return have == want or (name == "opentelemetry-api" and have[:1] == want[:1] and have > want)


def _watch_crash(agent):
    """Tells whether the agent had a hand in the exception that ends the program."""
    show = sys.excepthook

    def excepthook(kind, error, trace):
        if issubclass(kind, Exception):
            ours, at = False, trace
            while at is not None:
                ours = ours or at.tb_frame.f_code.co_filename.startswith((agent, _HERE))
                at = at.tb_next
            _say("crashed", agent=ours, reason="%s: %s" % (kind.__name__, str(error)[:300]))
        show(kind, error, trace)

    sys.excepthook = excepthook


def _patch_gevent():
    # gevent must patch before anything else imports ssl and threading; the launcher asks for it by this variable.
    if os.environ.get("OTEL_PYTHON_AUTO_INSTRUMENTATION_EXPERIMENTAL_GEVENT_PATCH") == "patch_all":
        from gevent import monkey

        monkey.patch_all()


def _keep_quiet():
    """The agent's own complaints go to the status file instead of the program's output."""
    if os.environ.get("APM_RUN_DEBUG"):
        return

    class _ToStatus(logging.Handler):
        said = set()

        def emit(self, record):
            try:
                text = record.getMessage()
                if record.exc_info and record.exc_info[1] is not None:
                    text += ": %s" % (record.exc_info[1],)
            except Exception:
                return
            if "export" in record.name and record.name not in self.said:
                self.said.add(record.name)
                _say("export_failed", reason=text[:500])

        def flush(self):
            pass

    logger = logging.getLogger("opentelemetry")
    handler = _ToStatus(level=logging.WARNING)
    _forget(handler)
    logger.addHandler(handler)
    logger.propagate = False


def _forget(handler):
    # logging.shutdown flushes every handler it knows at exit, when threads can no longer be started.
    logging._handlerList[:] = [ref for ref in logging._handlerList if ref() is not handler]


def _instance():
    return "%s-%d" % (os.environ.get("APM_RUN_INSTANCE") or "run", os.getpid())


def _set_instance():
    """Two processes with one identity would write into each other's metric series."""
    key = "service.instance.id="
    launched_with = os.environ.get("APM_RUN_INSTANCE")
    if not launched_with:
        return
    pairs = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")
    # Only the identity that the launcher or a parent process gave is replaced, never one the user chose.
    mine = [pair for pair in pairs if not pair.startswith(key + launched_with)]
    if len(mine) < len(pairs):
        os.environ["OTEL_RESOURCE_ATTRIBUTES"] = ",".join(mine + [key + _instance()])


def _after_fork():
    try:
        if os.environ.get("APM_RUN_INSTANCE"):
            _set_instance()
            from opentelemetry import metrics, trace
            from opentelemetry._logs import get_logger_provider
            from opentelemetry.sdk.resources import Resource

            resource = Resource({"service.instance.id": _instance()})
            for provider in (trace.get_tracer_provider(), metrics.get_meter_provider(), get_logger_provider()):
                update = getattr(provider, "_update_resource", None)
                if update is not None:
                    update(resource)
        _FIRST.clear()
    except Exception:
        if os.environ.get("APM_RUN_DEBUG"):
            raise


# Set once this process has reported a span.
_FIRST = set()


def _watch_first_span():
    from opentelemetry import trace
    from opentelemetry.sdk.trace import SpanProcessor

    class _First(SpanProcessor):
        def on_end(self, span):
            if _FIRST:
                return
            _FIRST.add(True)
            context = span.get_span_context()
            if context is not None and context.trace_flags.sampled:
                _say("span", trace_id=format(context.trace_id, "032x"), name=span.name)

    add = getattr(trace.get_tracer_provider(), "add_span_processor", None)
    if add is not None:
        add(_First())


def _carry_logs():
    """Carries every record without becoming a handler: a handler on the root logger makes frameworks believe that logging
    is set up, and Flask, Werkzeug and `logging.lastResort` then print nothing."""
    from opentelemetry.instrumentation.logging.handler import LoggingHandler

    class _Handler(LoggingHandler):
        def flush(self):
            pass

    handler = _Handler()
    _forget(handler)
    print_record = logging.Logger.callHandlers

    def callHandlers(self, record):
        if not record.name.startswith("opentelemetry"):
            try:
                handler.handle(record)
            except Exception:
                pass
        return print_record(self, record)

    logging.Logger.callHandlers = callHandlers


def _instrument():
    from importlib.metadata import entry_points

    from opentelemetry.instrumentation.dependencies import get_dist_dependency_conflicts

    off = {name.strip() for name in os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")}
    done, skipped, outside, seen = [], {}, {}, set()
    for point in entry_points(group="opentelemetry_instrumentor"):
        if point.name in seen or point.name == "logging" or point.name in off or "*" in off:
            continue
        seen.add(point.name)
        try:
            conflict = get_dist_dependency_conflicts(point.dist)
            if conflict is not None:
                if conflict._is_version_conflict:
                    outside[point.name] = _gap(conflict)
                continue
            instrumentor = point.load()()
            if point.name == "django":
                _when_django_is_ready(instrumentor)
            else:
                instrumentor.instrument(skip_dep_check=True)
            done.append(point.name)
        except ModuleNotFoundError as error:
            skipped[point.name] = str(error)
        except Exception as error:
            skipped[point.name] = "%s: %s" % (type(error).__name__, error)
    return sorted(done), skipped, outside


def _gap(conflict):
    """`sqlalchemy 2.1.9 (the agent knows sqlalchemy<2.1.0,>=1.0.0)`"""
    found = conflict.found or ", ".join(map(str, conflict.found_any or ()))
    known = conflict.required or ", ".join(map(str, conflict.required_any or ()))
    return "%s (the agent knows %s)" % (found, re.sub(r"\s*;\s*extra\s*==\s*\S+", "", str(known)))


def _when_django_is_ready(instrumentor):
    """Django's settings can be read only once the program has named them: at the moment its middleware is loaded."""
    from wrapt import register_post_import_hook

    def patch(module):
        load = module.BaseHandler.load_middleware

        def load_middleware(self, *args, **kwargs):
            try:
                instrumentor.instrument(skip_dep_check=True)
            except Exception as error:
                _say("disabled", reason="django: %s: %s" % (type(error).__name__, error), clash=False)
            return load(self, *args, **kwargs)

        module.BaseHandler.load_middleware = load_middleware

    register_post_import_hook(patch, "django.core.handlers.base")
