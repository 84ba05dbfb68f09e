//! The demo: three small services of simulated market data, instrumented with lib/instrument.
