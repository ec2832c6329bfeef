-- One row a site: its numbers, handed out under the lock of this row.
CREATE TABLE {schema}.site (
    site_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    last_seq bigint NOT NULL DEFAULT 0,
    last_stored bigint NOT NULL DEFAULT 0,
    removed_through bigint NOT NULL DEFAULT 0,
    day date NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date
) WITH (fillfactor = 50);

-- The history, in a partition for each day of recording (UTC).
CREATE TABLE {schema}.event (
    site_id integer NOT NULL,
    seq bigint NOT NULL,
    ts_ns bigint,
    day date NOT NULL,
    make_current boolean NOT NULL,
    type text COLLATE "C" NOT NULL,
    ts text COLLATE "C" NOT NULL,
    run_id text COLLATE "C",
    id text COLLATE "C",
    data json NOT NULL,
    meta json NOT NULL,
    PRIMARY KEY (site_id, seq, day)
) PARTITION BY RANGE (day);
CREATE INDEX event_type_ts ON {schema}.event (site_id, type, ts_ns);
CREATE TABLE {schema}.event_default PARTITION OF {schema}.event DEFAULT;

-- Up to which seq the days before a site's own go: a reader opens no partition below its cursor.
CREATE TABLE {schema}.closed_day (
    site_id integer NOT NULL,
    last_seq bigint NOT NULL,
    day date NOT NULL,
    PRIMARY KEY (site_id, last_seq, day)
);

-- A table of its own: a key over partitions could not span the days.
CREATE TABLE {schema}.event_id (
    site_id integer NOT NULL,
    id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    day date NOT NULL,
    CONSTRAINT event_id_once PRIMARY KEY (site_id, id)
);

CREATE TABLE {schema}.current_value (
    site_id integer NOT NULL,
    type text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    ts text COLLATE "C" NOT NULL,
    ts_ns bigint,
    store_permanently boolean NOT NULL,
    id text COLLATE "C",
    data json NOT NULL,
    meta json NOT NULL,
    PRIMARY KEY (site_id, type)
) WITH (fillfactor = 50);

CREATE TABLE {schema}.run (
    site_id integer NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    started_at text NOT NULL,
    stopped_at text,
    status text NOT NULL,
    reason text,
    directory text,
    meta json NOT NULL,
    events bigint NOT NULL DEFAULT 0,
    first_seq bigint,
    last_seq bigint,
    started_no bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (site_id, run_id)
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX run_one_active ON {schema}.run (site_id) WHERE stopped_at IS NULL;
