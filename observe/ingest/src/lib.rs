//! Decoded requests in, acknowledgements out: limits, tenancy, shedding, scraping, host metrics, span metrics.
