-- Tables and views for PostgreSQL 13 or later. Load updates into `credit_updates` with any consumer (Kafka Connect's JDBC sink in insert mode,
-- with the topic as JSON); one that is delivered twice is ignored by the key. Rows that were taken back stay, with weight 0.
--
-- Money is in minor units of its currency (123450 is 1,234.50 CNY, 500 is 500 JPY): never add currencies up. Weights are billionths.

CREATE TABLE IF NOT EXISTS credit_updates (
    milestone_id text NOT NULL, milestone_kind text NOT NULL, model text NOT NULL, model_version text NOT NULL, touch_id text NOT NULL,
    account_id text NOT NULL, profile_id text NOT NULL, channel text NOT NULL, source text NOT NULL, medium text NOT NULL,
    campaign text NOT NULL, content text NOT NULL, term text NOT NULL, touch_time bigint NOT NULL, milestone_time bigint NOT NULL,
    weight_nano bigint NOT NULL CHECK (weight_nano BETWEEN 0 AND 1000000000), value_minor bigint NOT NULL, currency text NOT NULL,
    delta_weight_nano bigint NOT NULL, delta_value_minor bigint NOT NULL, revision bigint NOT NULL, reason text NOT NULL,
    reporting_currency text, reporting_value_minor bigint, delta_reporting_value_minor bigint,
    PRIMARY KEY (milestone_id, model, touch_id, revision)
);

CREATE TABLE IF NOT EXISTS spend (
    spend_id text PRIMARY KEY, day date NOT NULL, channel text NOT NULL, source text NOT NULL, medium text NOT NULL, campaign text NOT NULL,
    value_minor bigint NOT NULL, currency text NOT NULL
);

-- A line of JSON, as `tributary tail credits --json` and a consumer of the topic have it.
CREATE OR REPLACE FUNCTION take_credit(line jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO credit_updates SELECT (jsonb_populate_record(NULL::credit_updates, line)).* ON CONFLICT DO NOTHING
$$;

-- A day of spend that is sent again takes the place of what it was.
CREATE OR REPLACE FUNCTION take_spend(line jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO spend SELECT (jsonb_populate_record(NULL::spend, line)).*
    ON CONFLICT (spend_id) DO UPDATE SET (day, channel, source, medium, campaign, value_minor, currency) =
        (excluded.day, excluded.channel, excluded.source, excluded.medium, excluded.campaign, excluded.value_minor, excluded.currency)
$$;

CREATE OR REPLACE VIEW credits AS
SELECT * FROM (SELECT DISTINCT ON (milestone_id, model, touch_id) * FROM credit_updates
    ORDER BY milestone_id, model, touch_id, revision DESC) AS latest
WHERE weight_nano <> 0;

-- Days begin in Shanghai here, as in `ingest.time_zone`: spend has the day in that zone.
CREATE OR REPLACE FUNCTION local_day(ms bigint) RETURNS date LANGUAGE sql STABLE AS
    $$ SELECT (to_timestamp(ms / 1000.0) AT TIME ZONE 'Asia/Shanghai')::date $$;

-- What channels earned by month of the milestone, two ways that must agree: from the rows as they are now, and from the sums of all deltas.
CREATE OR REPLACE VIEW credit_by_month AS
SELECT date_trunc('month', local_day(milestone_time))::date AS month, milestone_kind, model, channel, currency,
    sum(weight_nano) / 1e9 AS milestones, sum(value_minor) AS value_minor
FROM credits GROUP BY 1, 2, 3, 4, 5;

CREATE OR REPLACE VIEW credit_by_month_of_deltas AS
SELECT date_trunc('month', local_day(milestone_time))::date AS month, milestone_kind, model, channel, currency,
    sum(delta_weight_nano) / 1e9 AS milestones, sum(delta_value_minor) AS value_minor
FROM credit_updates GROUP BY 1, 2, 3, 4, 5 HAVING sum(delta_weight_nano) <> 0 OR sum(delta_value_minor) <> 0;

-- What a campaign cost, and what it earned of deals that were won. What was spent in one currency and won in another stands in two rows.
CREATE OR REPLACE VIEW return_by_campaign AS
WITH won AS (
    SELECT model, channel, source, campaign, currency, sum(weight_nano) / 1e9 AS deals, sum(value_minor) AS won_minor
    FROM credits WHERE milestone_kind = 'closed_won' AND touch_id <> 'unattributed' GROUP BY 1, 2, 3, 4, 5
), cost AS (
    SELECT model, channel, source, campaign, currency, sum(value_minor) AS cost_minor
    FROM spend CROSS JOIN (SELECT DISTINCT model FROM credits) AS models GROUP BY 1, 2, 3, 4, 5
)
SELECT model, channel, source, campaign, currency, coalesce(deals, 0) AS deals, coalesce(won_minor, 0) AS won_minor,
    coalesce(cost_minor, 0) AS cost_minor, CASE WHEN cost_minor > 0 THEN coalesce(won_minor, 0) / cost_minor END AS return_on_spend
FROM won FULL JOIN cost USING (model, channel, source, campaign, currency);

-- Which campaigns a deal owes itself to.
CREATE OR REPLACE VIEW deals AS
SELECT milestone_id, account_id, model, channel, source, campaign, currency, sum(weight_nano) / 1e9 AS share, sum(value_minor) AS value_minor
FROM credits WHERE milestone_kind = 'closed_won' GROUP BY 1, 2, 3, 4, 5, 6, 7;

-- Touches, credited or not, and milestones: the latest row of each key. One with `erased` is no more; it stays, so that an older one that is
-- delivered again does not come back.
CREATE TABLE IF NOT EXISTS touchpoint_rows (
    touchpoint_id text PRIMARY KEY, touch_id text NOT NULL, touch_time bigint NOT NULL, profile_id text NOT NULL, account_id text NOT NULL,
    role text NOT NULL, consented boolean NOT NULL, channel text NOT NULL, source text NOT NULL, medium text NOT NULL, campaign text NOT NULL,
    content text NOT NULL, term text NOT NULL, touch_type text NOT NULL, url text NOT NULL, referrer text NOT NULL, input text NOT NULL,
    public boolean NOT NULL, identified boolean NOT NULL, digital boolean NOT NULL, names_source boolean NOT NULL, device text NOT NULL,
    revision bigint NOT NULL, erased boolean NOT NULL
);

CREATE TABLE IF NOT EXISTS milestone_rows (
    milestone_id text PRIMARY KEY, milestone_kind text NOT NULL, object_id text NOT NULL, occurrence integer NOT NULL,
    milestone_time bigint NOT NULL, value_minor bigint NOT NULL, currency text NOT NULL, exponent integer NOT NULL,
    reporting_currency text NOT NULL, reporting_value_minor bigint NOT NULL, account_id text NOT NULL, profile_id text NOT NULL,
    withdrawn boolean NOT NULL, public boolean NOT NULL, stage_before text NOT NULL, stage_before_time bigint NOT NULL,
    stage_after text NOT NULL, stage_after_time bigint NOT NULL, stages jsonb NOT NULL, revision bigint NOT NULL, erased boolean NOT NULL
);

CREATE OR REPLACE FUNCTION take_touchpoint(line jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO touchpoint_rows SELECT (jsonb_populate_record(NULL::touchpoint_rows, line)).*
    ON CONFLICT (touchpoint_id) DO UPDATE SET (
        touch_id, touch_time, profile_id, account_id, role, consented, channel, source, medium, campaign, content, term, touch_type, url,
        referrer, input, public, identified, digital, names_source, device, revision, erased
    ) = (
        excluded.touch_id, excluded.touch_time, excluded.profile_id, excluded.account_id, excluded.role, excluded.consented,
        excluded.channel, excluded.source, excluded.medium, excluded.campaign, excluded.content, excluded.term, excluded.touch_type,
        excluded.url, excluded.referrer, excluded.input, excluded.public, excluded.identified, excluded.digital, excluded.names_source,
        excluded.device, excluded.revision, excluded.erased
    ) WHERE excluded.revision >= touchpoint_rows.revision
$$;

CREATE OR REPLACE FUNCTION take_milestone(line jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO milestone_rows SELECT (jsonb_populate_record(NULL::milestone_rows, line)).*
    ON CONFLICT (milestone_id) DO UPDATE SET (
        milestone_kind, object_id, occurrence, milestone_time, value_minor, currency, exponent, reporting_currency,
        reporting_value_minor, account_id, profile_id, withdrawn, public, stage_before, stage_before_time, stage_after, stage_after_time,
        stages, revision, erased
    ) = (
        excluded.milestone_kind, excluded.object_id, excluded.occurrence, excluded.milestone_time, excluded.value_minor,
        excluded.currency, excluded.exponent, excluded.reporting_currency, excluded.reporting_value_minor, excluded.account_id,
        excluded.profile_id, excluded.withdrawn, excluded.public, excluded.stage_before, excluded.stage_before_time,
        excluded.stage_after, excluded.stage_after_time, excluded.stages, excluded.revision, excluded.erased
    ) WHERE excluded.revision >= milestone_rows.revision
$$;

CREATE OR REPLACE VIEW touchpoints AS SELECT * FROM touchpoint_rows WHERE NOT erased;
CREATE OR REPLACE VIEW milestones AS SELECT * FROM milestone_rows WHERE NOT erased;

-- Visits, as attribution makes them (`attribution.session_gap_minutes` is 30 here): hits of one person on one device, each at most half an
-- hour after the one before, until one names another source. A visit has the id of its first hit and the source of the first that names one.
-- What is not digital is a visit of one. Of an event that came in two versions one counts.
CREATE OR REPLACE VIEW visits AS
WITH hits AS (
    SELECT *, CASE WHEN account_id <> '' THEN account_id ELSE profile_id END AS unit_id,
        CASE WHEN digital THEN device ELSE touchpoint_id END AS place,
        CASE WHEN names_source THEN concat_ws(chr(31), channel, source, medium, campaign) END AS named
    FROM touchpoints
), once AS (
    SELECT DISTINCT ON (unit_id, touch_id) * FROM hits ORDER BY unit_id, touch_id, public, touch_time, touchpoint_id
), timed AS (
    SELECT *, touch_time - lag(touch_time) OVER (PARTITION BY unit_id, profile_id, place ORDER BY touch_time, touchpoint_id) AS gap FROM once
), runs AS (
    SELECT *, sum(CASE WHEN gap <= 1800000 THEN 0 ELSE 1 END) OVER (PARTITION BY unit_id, profile_id, place ORDER BY touch_time, touchpoint_id) AS run
    FROM timed
), begun AS (
    SELECT *, CASE WHEN gap IS NULL OR gap > 1800000 OR named <> lag(named) OVER (
        PARTITION BY unit_id, profile_id, place, run, named IS NOT NULL ORDER BY touch_time, touchpoint_id) THEN 1 ELSE 0 END AS begins
    FROM runs
), numbered AS (
    SELECT *, sum(begins) OVER (PARTITION BY unit_id, profile_id, place ORDER BY touch_time, touchpoint_id) AS visit FROM begun
)
SELECT unit_id, profile_id, account_id, (array_agg(touch_id ORDER BY touch_time, touchpoint_id))[1] AS touch_id, min(touch_time) AS visit_time,
    (array_agg(channel ORDER BY NOT names_source, touch_time, touchpoint_id))[1] AS channel,
    (array_agg(source ORDER BY NOT names_source, touch_time, touchpoint_id))[1] AS source,
    (array_agg(campaign ORDER BY NOT names_source, touch_time, touchpoint_id))[1] AS campaign,
    count(*) AS hits, bool_and(consented) AS consented
FROM numbered GROUP BY unit_id, profile_id, account_id, place, visit;

-- How often people came by a channel in a month, and how many people.
CREATE OR REPLACE VIEW visits_by_month AS
SELECT date_trunc('month', local_day(visit_time))::date AS month, channel, count(*) AS visits, count(DISTINCT profile_id) AS people,
    sum(hits)::bigint AS hits
FROM visits GROUP BY 1, 2;

-- The ladder: what a channel cost in a month, how many visits came of it, and how many leads, qualified leads and deals it earned. Cost is there
-- once for each model: a report is of one.
CREATE OR REPLACE VIEW ladder AS
WITH now AS MATERIALIZED (SELECT DISTINCT model, currency FROM credits), models AS (SELECT DISTINCT model FROM now), currencies AS (
    SELECT currency FROM spend UNION SELECT currency FROM now
), parts AS (
    SELECT month, channel, model, currency, visits, 0::numeric AS leads, 0::numeric AS mqls, 0::numeric AS deals, 0::numeric AS won_minor,
        0::numeric AS cost_minor
    FROM visits_by_month, models, currencies
    UNION ALL
    SELECT month, channel, model, currency, 0, CASE milestone_kind WHEN 'lead' THEN milestones ELSE 0 END,
        CASE milestone_kind WHEN 'mql' THEN milestones ELSE 0 END, CASE milestone_kind WHEN 'closed_won' THEN milestones ELSE 0 END,
        CASE milestone_kind WHEN 'closed_won' THEN value_minor ELSE 0 END, 0
    FROM credit_by_month WHERE channel <> 'unattributed'
    UNION ALL
    SELECT date_trunc('month', day)::date, channel, model, currency, 0, 0, 0, 0, 0, value_minor FROM spend, models
)
SELECT month, channel, model, currency, sum(visits)::bigint AS visits, sum(leads) AS leads, sum(mqls) AS mqls, sum(deals) AS deals,
    sum(won_minor) AS won_minor, sum(cost_minor) AS cost_minor,
    CASE WHEN sum(visits) > 0 THEN sum(cost_minor) / sum(visits) END AS cost_per_visit,
    CASE WHEN sum(leads) > 0 THEN sum(cost_minor) / sum(leads) END AS cost_per_lead
FROM parts GROUP BY 1, 2, 3, 4;

-- From stage to stage: how many deals and leads reached a stage and then went on to which next one, and in how long: the lower median.
CREATE OR REPLACE VIEW funnel AS
SELECT milestone_kind, stage_after, count(*) AS reached,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY CASE WHEN stage_after <> '' THEN stage_after_time - milestone_time END) AS median_ms
FROM milestones WHERE NOT withdrawn GROUP BY 1, 2;

-- The way of every account, or of a person without one, up to the first deal that was won; the whole way where none was.
CREATE OR REPLACE VIEW paths AS
WITH won AS (
    SELECT CASE WHEN account_id <> '' THEN account_id ELSE profile_id END AS unit_id, min(milestone_time) AS won_time
    FROM milestones WHERE milestone_kind = 'closed_won' AND NOT withdrawn GROUP BY 1
)
SELECT unit_id, won_time IS NOT NULL AS won, count(*) AS visits, string_agg(channel, ' > ' ORDER BY visit_time, touch_id) AS path
FROM visits LEFT JOIN won USING (unit_id) WHERE consented AND (won_time IS NULL OR visit_time <= won_time) GROUP BY unit_id, won_time;
