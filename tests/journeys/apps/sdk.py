"""A program of a team that uses the OpenTelemetry SDK by hand: one trace, three metrics, one log line, all over OTLP/HTTP protobuf.

Prints the trace id. Anything on the error output is a failure for the journey."""

import logging

from opentelemetry import metrics, trace
from opentelemetry._logs import SeverityNumber, get_logger, set_logger_provider
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode

logging.basicConfig(level=logging.WARNING)

traces = TracerProvider()
traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(traces)

readings = MeterProvider(metric_readers=[PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=60_000)])
metrics.set_meter_provider(readings)

logs = LoggerProvider()
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
set_logger_provider(logs)

meter = metrics.get_meter("orders")
placed = meter.create_counter("orders.placed", unit="1")
placed.add(1, {"currency": "EUR"})
placed.add(2, {"currency": "EUR"})
duration = meter.create_histogram("checkout.duration", unit="s")
duration.record(0.25)
duration.record(0.5)
meter.create_gauge("queue.depth", unit="1").set(7)

tracer = trace.get_tracer("orders")
with tracer.start_as_current_span("place order") as outer:
    with tracer.start_as_current_span("charge", attributes={"amount": 12.5}) as inner:
        get_logger("orders").emit(body="card declined for order 42", severity_number=SeverityNumber.ERROR, severity_text="ERROR")
        inner.set_status(Status(StatusCode.ERROR, "declined"))
    trace_id = format(outer.get_span_context().trace_id, "032x")

for provider in (traces, readings, logs):
    provider.force_flush()
    provider.shutdown()
print(trace_id)
