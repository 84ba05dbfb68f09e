//! The one outgoing HTTP client, in the words of Prometheus's http_config.
