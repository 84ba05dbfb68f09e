-- Runs, their plans and journals, leases and orders. The page: docs/formats/history.md.

CREATE TABLE runs (
    number     INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    title      TEXT    NOT NULL,
    target     TEXT    NOT NULL,
    labels     TEXT    NOT NULL,
    created_ms INTEGER NOT NULL,
    status     TEXT    NOT NULL,
    ended_ms   INTEGER,
    sentence   TEXT    NOT NULL,
    last_seq   INTEGER NOT NULL,
    last_hash  TEXT    NOT NULL
) STRICT;
CREATE INDEX runs_by_status ON runs (status, number);

CREATE TABLE run_labels (
    name   TEXT    NOT NULL,
    value  TEXT    NOT NULL,
    number INTEGER NOT NULL REFERENCES runs (number),
    PRIMARY KEY (name, value, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE plans (
    run     TEXT NOT NULL PRIMARY KEY REFERENCES runs (id),
    plan_id TEXT NOT NULL,
    plan    TEXT NOT NULL
) STRICT;

CREATE TABLE entries (
    run   TEXT    NOT NULL REFERENCES runs (id),
    seq   INTEGER NOT NULL CHECK (seq > 0),
    at_ms INTEGER NOT NULL,
    kind  TEXT    NOT NULL,
    event TEXT    NOT NULL,
    hash  TEXT    NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT;

CREATE TABLE leases (
    target   TEXT    NOT NULL PRIMARY KEY,
    holder   TEXT    NOT NULL,
    fence    INTEGER NOT NULL,
    until_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE orders (
    run     TEXT    NOT NULL REFERENCES runs (id),
    number  INTEGER NOT NULL CHECK (number > 0),
    at_ms   INTEGER NOT NULL,
    command TEXT    NOT NULL,
    PRIMARY KEY (run, number)
) STRICT;

CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'the lines of a journal are never changed'); END;
CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'the lines of a journal are never removed'); END;
-- INSERT OR REPLACE removes without asking the trigger above.
CREATE TRIGGER entries_no_replace BEFORE INSERT ON entries
WHEN EXISTS (SELECT 1 FROM entries WHERE run = NEW.run AND seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'the lines of a journal are never replaced'); END;
CREATE TRIGGER plans_no_update BEFORE UPDATE ON plans
BEGIN SELECT RAISE(ABORT, 'a plan is never changed'); END;
CREATE TRIGGER plans_no_delete BEFORE DELETE ON plans
BEGIN SELECT RAISE(ABORT, 'a plan is never removed'); END;
