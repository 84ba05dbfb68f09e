//! How an error is told: chain of causes, place in a file, hint; alike in terminal, API and page.
