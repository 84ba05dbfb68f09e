-- Runs that were pruned, and what receivers of notices were told. The page: docs/formats/history.md.

-- What is left of a run that was pruned. While it stands here, and only then, the run's lines may be removed.
CREATE TABLE pruned (
    run        TEXT    NOT NULL PRIMARY KEY,
    title      TEXT    NOT NULL,
    target     TEXT    NOT NULL,
    labels     TEXT    NOT NULL,
    status     TEXT    NOT NULL,
    created_ms INTEGER NOT NULL,
    ended_ms   INTEGER NOT NULL,
    last_seq   INTEGER NOT NULL,
    last_hash  TEXT    NOT NULL,
    pruned_ms  INTEGER NOT NULL
) STRICT;
CREATE TRIGGER pruned_no_update BEFORE UPDATE ON pruned
BEGIN SELECT RAISE(ABORT, 'what is left of a run is never changed'); END;
CREATE TRIGGER pruned_no_delete BEFORE DELETE ON pruned
BEGIN SELECT RAISE(ABORT, 'what is left of a run is never removed'); END;

DROP TRIGGER entries_no_delete;
CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries
WHEN NOT EXISTS (SELECT 1 FROM pruned WHERE run = OLD.run)
BEGIN SELECT RAISE(ABORT, 'the lines of a journal are never removed'); END;
DROP TRIGGER plans_no_delete;
CREATE TRIGGER plans_no_delete BEFORE DELETE ON plans
WHEN NOT EXISTS (SELECT 1 FROM pruned WHERE run = OLD.run)
BEGIN SELECT RAISE(ABORT, 'a plan is never removed'); END;

CREATE TABLE told (
    receiver TEXT    NOT NULL,
    run      TEXT    NOT NULL REFERENCES runs (id),
    seq      INTEGER NOT NULL,
    PRIMARY KEY (receiver, run)
) STRICT, WITHOUT ROWID;
CREATE INDEX told_by_run ON told (run);
