"""A program of a team that uses the OpenTelemetry SDK by hand, over OTLP/gRPC with gzip.

`sdk_grpc.py load` is four threads that sell at once: 1000 traces of two spans, 500 log lines, a counter, a histogram.
`sdk_grpc.py one-by-one` sends single records, each in a request of its own, after the answer to the one before.

Prints the trace id of the last sale. Anything on the error output is a failure for the journey."""

import logging
import sys
import threading

from opentelemetry import metrics, trace
from opentelemetry._logs import SeverityNumber, get_logger, set_logger_provider
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.trace import Status, StatusCode

THREADS = 4
SALES = 250
ONE_BY_ONE = 20

logging.basicConfig(level=logging.WARNING)
batched = sys.argv[1] == "load"

traces = TracerProvider()
# A queue that overflows drops: what is counted here would not be what was sent.
span_processor = BatchSpanProcessor(OTLPSpanExporter(), max_queue_size=10_000) if batched else SimpleSpanProcessor(OTLPSpanExporter())
traces.add_span_processor(span_processor)
trace.set_tracer_provider(traces)

readings = MeterProvider(metric_readers=[PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=60_000)])
metrics.set_meter_provider(readings)

logs = LoggerProvider()
log_processor = BatchLogRecordProcessor(OTLPLogExporter(), max_queue_size=10_000) if batched else SimpleLogRecordProcessor(OTLPLogExporter())
logs.add_log_record_processor(log_processor)
set_logger_provider(logs)

meter = metrics.get_meter("billing")
sold = meter.create_counter("sales", unit="1")
amounts = meter.create_histogram("sale.amount", unit="By", explicit_bucket_boundaries_advisory=[10, 100, 1000])
tracer = trace.get_tracer("billing")
last = []


def sell(thread, number):
    """Two spans, every tenth with an error; a log line for every second; the amount is the number of the sale."""
    with tracer.start_as_current_span("POST /sales", kind=trace.SpanKind.SERVER) as outer:
        with tracer.start_as_current_span("book", attributes={"sale": number}) as inner:
            if number % 10 == 0:
                inner.set_status(Status(StatusCode.ERROR, "no stock"))
        if number % 2 == 0:
            get_logger("billing").emit(
                body=f"sold {thread}-{number}", severity_number=SeverityNumber.INFO, severity_text="INFO"
            )
        sold.add(1, {"shop": f"shop-{thread}"})
        amounts.record(number)
        last.append(format(outer.get_span_context().trace_id, "032x"))


def load(thread):
    for number in range(SALES):
        sell(thread, number)


if batched:
    threads = [threading.Thread(target=load, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
else:
    for number in range(ONE_BY_ONE):
        sell(0, number)
        readings.force_flush()

for provider in (traces, readings, logs):
    provider.force_flush()
    provider.shutdown()
print(last[-1])
