-- Runs that were pruned, and what receivers of notices were told. The page: docs/formats/history.md.

-- What is left of a run that was pruned. While it stands here, and only then, the run's lines may be removed.
CREATE TABLE pruned (
    run        TEXT   NOT NULL PRIMARY KEY,
    title      TEXT   NOT NULL,
    target     TEXT   NOT NULL,
    labels     TEXT   NOT NULL,
    status     TEXT   NOT NULL,
    created_ms BIGINT NOT NULL,
    ended_ms   BIGINT NOT NULL,
    last_seq   BIGINT NOT NULL,
    last_hash  TEXT   NOT NULL,
    pruned_ms  BIGINT NOT NULL
);
CREATE TRIGGER pruned_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON pruned
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION refuse_unless_pruned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM pruned WHERE run = OLD.run) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the lines of % are never changed or removed', TG_TABLE_NAME;
END $$;
DROP TRIGGER entries_no_change ON entries;
CREATE TRIGGER entries_no_change BEFORE UPDATE OR TRUNCATE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries
    FOR EACH ROW EXECUTE FUNCTION refuse_unless_pruned();
DROP TRIGGER plans_no_change ON plans;
CREATE TRIGGER plans_no_change BEFORE UPDATE OR TRUNCATE ON plans
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER plans_no_delete BEFORE DELETE ON plans
    FOR EACH ROW EXECUTE FUNCTION refuse_unless_pruned();

CREATE TABLE told (
    receiver TEXT   NOT NULL,
    run      TEXT   NOT NULL REFERENCES runs (id),
    seq      BIGINT NOT NULL,
    PRIMARY KEY (receiver, run)
);
CREATE INDEX told_by_run ON told (run);
