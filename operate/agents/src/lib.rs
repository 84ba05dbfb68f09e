//! Language detection and launch recipes: files, environment, versions. Pure.
