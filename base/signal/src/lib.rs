//! What telemetry is made of: labels, samples, native histograms, log records, spans, resources, time ranges. No I/O.
