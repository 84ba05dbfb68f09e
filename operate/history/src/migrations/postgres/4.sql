-- Tags of runs. The page: docs/formats/history.md.

ALTER TABLE runs ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';

CREATE TABLE run_tags (
    name   TEXT   NOT NULL,
    number BIGINT NOT NULL REFERENCES runs (number),
    PRIMARY KEY (name, number)
);
