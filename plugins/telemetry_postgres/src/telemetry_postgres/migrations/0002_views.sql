-- What people read: times as times, data as JSONB, sites by name.
CREATE VIEW {schema}.events AS
SELECT
    s.name AS site,
    e.seq,
    timestamptz 'epoch' + (e.ts_ns / 1000) * interval '1 microsecond' AS ts,
    e.type,
    e.run_id,
    e.data::jsonb AS data,
    e.meta::jsonb AS meta,
    e.id,
    e.day
FROM {schema}.event e JOIN {schema}.site s USING (site_id);

CREATE VIEW {schema}.current AS
SELECT
    s.name AS site,
    c.type,
    c.seq,
    timestamptz 'epoch' + (c.ts_ns / 1000) * interval '1 microsecond' AS ts,
    c.data::jsonb AS data,
    c.meta::jsonb AS meta,
    c.id
FROM {schema}.current_value c JOIN {schema}.site s USING (site_id);

CREATE VIEW {schema}.runs AS
SELECT
    s.name AS site,
    r.run_id,
    r.started_at::timestamptz AS started_at,
    r.stopped_at::timestamptz AS stopped_at,
    r.status,
    r.reason,
    r.meta::jsonb AS meta,
    r.events,
    r.first_seq,
    r.last_seq
FROM {schema}.run r JOIN {schema}.site s USING (site_id);
