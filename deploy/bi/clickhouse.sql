-- Tables and views for ClickHouse: a Kafka engine on the topic (JSON: `worker.formats`), and what is kept of it. Give the
-- brokers and the prefix of your topics. Without Kafka leave the objects on it out, and insert JSON lines into
-- `credit_updates`, `spend_rows`, `touchpoint_rows` and `milestone_rows`.
--
-- Money is in minor units of its currency (123450 is 1,234.50 CNY, 500 is 500 JPY): never add currencies up. Weights are billionths. Times are
-- milliseconds as 64-bit integers: DateTime64(3) holds 1900 to 2299.

CREATE TABLE IF NOT EXISTS credit_updates (
    milestone_id String, milestone_kind LowCardinality(String), model LowCardinality(String), model_version LowCardinality(String),
    touch_id String, account_id String, profile_id String, channel LowCardinality(String), source LowCardinality(String),
    medium LowCardinality(String), campaign String, content String, term String, touch_time Int64, milestone_time Int64,
    weight_nano Int64, value_minor Int64, currency LowCardinality(String), delta_weight_nano Int64, delta_value_minor Int64,
    revision UInt64, reason LowCardinality(String),
    reporting_currency LowCardinality(String), reporting_value_minor Int64, delta_reporting_value_minor Int64,
    dimensions Map(LowCardinality(String), String), milestone_dimensions Map(LowCardinality(String), String)
) ENGINE = ReplacingMergeTree
-- An update that the Kafka engine reads twice after a failure has the same key: the copies fold, and FINAL does not see them before they do.
ORDER BY (milestone_id, model, touch_id, revision);

CREATE TABLE IF NOT EXISTS spend_rows (
    spend_id String, day Date32, channel LowCardinality(String), source LowCardinality(String), medium LowCardinality(String),
    campaign String, value_minor Int64, currency LowCardinality(String), dimensions Map(LowCardinality(String), String)
) ENGINE = ReplacingMergeTree ORDER BY spend_id;

CREATE TABLE IF NOT EXISTS touchpoint_rows (
    touchpoint_id String, touch_id String, touch_time Int64, profile_id String, account_id String, role LowCardinality(String),
    consented Bool, channel LowCardinality(String), source LowCardinality(String), medium LowCardinality(String), campaign String,
    content String, term String, touch_type LowCardinality(String), url String, referrer String, input LowCardinality(String), public Bool,
    identified Bool, digital Bool, names_source Bool, device String, revision UInt64, erased Bool,
    dimensions Map(LowCardinality(String), String)
) ENGINE = ReplacingMergeTree(revision) ORDER BY touchpoint_id;

CREATE TABLE IF NOT EXISTS milestone_rows (
    milestone_id String, milestone_kind LowCardinality(String), object_id String, occurrence UInt32, milestone_time Int64,
    value_minor Int64, currency LowCardinality(String), exponent UInt32, reporting_currency LowCardinality(String),
    reporting_value_minor Int64, account_id String, profile_id String, withdrawn Bool, public Bool, stage_before LowCardinality(String),
    stage_before_time Int64, stage_after LowCardinality(String), stage_after_time Int64, stages Array(Tuple(kind String, time Int64)),
    revision UInt64, erased Bool, dimensions Map(LowCardinality(String), String)
) ENGINE = ReplacingMergeTree(revision) ORDER BY milestone_id;

-- Tables of earlier versions have no dimensions. A queue on Kafka that was made before them must be made anew.
ALTER TABLE credit_updates ADD COLUMN IF NOT EXISTS dimensions Map(LowCardinality(String), String);
ALTER TABLE credit_updates ADD COLUMN IF NOT EXISTS milestone_dimensions Map(LowCardinality(String), String);
ALTER TABLE spend_rows ADD COLUMN IF NOT EXISTS dimensions Map(LowCardinality(String), String);
ALTER TABLE touchpoint_rows ADD COLUMN IF NOT EXISTS dimensions Map(LowCardinality(String), String);
ALTER TABLE milestone_rows ADD COLUMN IF NOT EXISTS dimensions Map(LowCardinality(String), String);

-- kafka:begin
CREATE TABLE IF NOT EXISTS credit_queue AS credit_updates ENGINE = Kafka
SETTINGS kafka_broker_list = 'kafka:9092', kafka_topic_list = 'tributary.credits', kafka_group_name = 'clickhouse',
    kafka_format = 'JSONEachRow';

CREATE MATERIALIZED VIEW IF NOT EXISTS credit_reader TO credit_updates AS SELECT * FROM credit_queue;

CREATE TABLE IF NOT EXISTS touchpoint_queue AS touchpoint_rows ENGINE = Kafka
SETTINGS kafka_broker_list = 'kafka:9092', kafka_topic_list = 'tributary.touchpoints', kafka_group_name = 'clickhouse',
    kafka_format = 'JSONEachRow';

CREATE MATERIALIZED VIEW IF NOT EXISTS touchpoint_reader TO touchpoint_rows AS SELECT * FROM touchpoint_queue;

CREATE TABLE IF NOT EXISTS milestone_queue AS milestone_rows ENGINE = Kafka
SETTINGS kafka_broker_list = 'kafka:9092', kafka_topic_list = 'tributary.milestones', kafka_group_name = 'clickhouse',
    kafka_format = 'JSONEachRow';

CREATE MATERIALIZED VIEW IF NOT EXISTS milestone_reader TO milestone_rows AS SELECT * FROM milestone_queue;

CREATE TABLE IF NOT EXISTS spend_queue AS spend_rows ENGINE = Kafka
SETTINGS kafka_broker_list = 'kafka:9092', kafka_topic_list = 'tributary.spend', kafka_group_name = 'clickhouse',
    kafka_format = 'JSONEachRow';

CREATE MATERIALIZED VIEW IF NOT EXISTS spend_reader TO spend_rows AS SELECT * FROM spend_queue;
-- kafka:end

-- Views from here on are made of deploy/bi/dbt: `scripts/bi --write`. They use Asia/Shanghai as the zone in which days begin, and a session gap of
-- 30 minutes: put in yours, as in `ingest.time_zone` and `attribution.session_gap_minutes`.

-- Every update of credit, or where only the latest rows were loaded these; times are milliseconds since 1970 UTC.
CREATE OR REPLACE VIEW credit_changes AS
SELECT milestone_id, toString(updates.milestone_kind) AS milestone_kind, toString(updates.model) AS model, touch_id, account_id, profile_id,
    toString(updates.channel) AS channel, toString(updates.source) AS source, toString(updates.medium) AS medium, campaign, content, term,
    updates.touch_time AS touch_time, updates.milestone_time AS milestone_time,
    weight_nano, value_minor, toString(updates.currency) AS currency, delta_weight_nano, delta_value_minor,
    toString(updates.reporting_currency) AS reporting_currency, reporting_value_minor, delta_reporting_value_minor,
    revision, toString(updates.reason) AS reason, updates.dimensions AS dimensions,
    updates.milestone_dimensions AS milestone_dimensions
FROM (SELECT * FROM credit_updates FINAL) AS updates;

-- The credit rows as they are now, of each key the highest revision. A row of weight 0 was taken back and is left out.
CREATE OR REPLACE VIEW credits AS
SELECT milestone_id, milestone_kind, model, touch_id, account_id, profile_id, channel, source, medium, campaign, content, term, touch_time,
    milestone_time, weight_nano, value_minor, currency, reporting_currency, reporting_value_minor, revision, reason,
    dimensions, milestone_dimensions
FROM (
    SELECT *, row_number() OVER (PARTITION BY milestone_id, model, touch_id ORDER BY revision DESC) AS latest FROM credit_changes
) AS changes
WHERE latest = 1 AND weight_nano <> 0;

-- What was spent on a channel or a campaign on a day, in minor units; `day` is a day in the reports' time zone.
CREATE OR REPLACE VIEW spend AS
SELECT spend_id, day, toString(lines.channel) AS channel, toString(lines.source) AS source, toString(lines.medium) AS medium, campaign,
    value_minor, toString(lines.currency) AS currency, lines.dimensions AS dimensions
FROM (SELECT * FROM spend_rows FINAL) AS lines;

-- Touches that count, credited or not, and whose they are now. Touches are hits; visits are made of them.
CREATE OR REPLACE VIEW touchpoints AS
SELECT touchpoint_id, touch_id, hits.touch_time AS touch_time, profile_id, account_id, toString(hits.role) AS role, consented,
    toString(hits.channel) AS channel, toString(hits.source) AS source, toString(hits.medium) AS medium, campaign, content, term,
    toString(hits.touch_type) AS touch_type, url, referrer, toString(hits.input) AS input, public, identified, digital, names_source,
    device, revision, hits.dimensions AS dimensions
FROM (
    SELECT *, row_number() OVER (PARTITION BY touchpoint_id ORDER BY revision DESC) AS latest
    FROM (SELECT * FROM touchpoint_rows FINAL) AS said
) AS hits
WHERE latest = 1 AND NOT erased;

-- Milestones as they stand, also those that were withdrawn.
CREATE OR REPLACE VIEW milestones AS
SELECT milestone_id, toString(reached.milestone_kind) AS milestone_kind, object_id, occurrence, reached.milestone_time AS milestone_time,
    value_minor, toString(reached.currency) AS currency, exponent, toString(reached.reporting_currency) AS reporting_currency,
    reporting_value_minor, account_id, profile_id, withdrawn, public, toString(reached.stage_before) AS stage_before,
    reached.stage_before_time AS stage_before_time, toString(reached.stage_after) AS stage_after,
    reached.stage_after_time AS stage_after_time, stages, revision, reached.dimensions AS dimensions
FROM (
    SELECT *, row_number() OVER (PARTITION BY milestone_id ORDER BY revision DESC) AS latest
    FROM (SELECT * FROM milestone_rows FINAL) AS said
) AS reached
WHERE latest = 1 AND NOT erased;

-- What a channel earned in a month of the milestone, from the rows as they are now.
CREATE OR REPLACE VIEW credit_by_month AS
SELECT toStartOfMonth(toDate32(fromUnixTimestamp64Milli(milestone_time, 'Asia/Shanghai'))) AS month, milestone_kind, model, channel, currency,
    sum(weight_nano) / 1e9 AS milestones, sum(toInt128(credits.value_minor)) AS value_minor
FROM credits AS credits
GROUP BY toStartOfMonth(toDate32(fromUnixTimestamp64Milli(milestone_time, 'Asia/Shanghai'))), milestone_kind, model, channel, currency;

-- The same from the sums of all updates. It always equals `credit_by_month`, and needs every update (`tributary export --all`).
CREATE OR REPLACE VIEW credit_by_month_of_deltas AS
SELECT toStartOfMonth(toDate32(fromUnixTimestamp64Milli(milestone_time, 'Asia/Shanghai'))) AS month, milestone_kind, model, channel, currency,
    sum(delta_weight_nano) / 1e9 AS milestones, sum(toInt128(delta_value_minor)) AS value_minor
FROM credit_changes AS changes
GROUP BY toStartOfMonth(toDate32(fromUnixTimestamp64Milli(milestone_time, 'Asia/Shanghai'))), milestone_kind, model, channel, currency
HAVING sum(delta_weight_nano) <> 0 OR sum(toInt128(delta_value_minor)) <> 0;

-- What a campaign earned in a month of the milestone.
CREATE OR REPLACE VIEW credit_by_campaign AS
SELECT toStartOfMonth(toDate32(fromUnixTimestamp64Milli(milestone_time, 'Asia/Shanghai'))) AS month, milestone_kind, model, channel, source, medium, campaign, currency,
    sum(weight_nano) / 1e9 AS milestones, sum(toInt128(credits.value_minor)) AS value_minor
FROM credits AS credits
GROUP BY toStartOfMonth(toDate32(fromUnixTimestamp64Milli(milestone_time, 'Asia/Shanghai'))), milestone_kind, model, channel, source, medium, campaign, currency;

-- What each value of each own dimension earned in a month of the milestone, by what touches say (`said_of` is touch) and by what milestones
-- do. Credit without the dimension is not in it; `credit_by` has that too.
CREATE OR REPLACE VIEW credit_by_dimension AS
SELECT toStartOfMonth(toDate32(fromUnixTimestamp64Milli(milestone_time, 'Asia/Shanghai'))) AS month, milestone_kind, model, said_of, dimension, dimension_value, currency,
    sum(weight_nano) / 1e9 AS milestones, sum(toInt128(said.value_minor)) AS value_minor
FROM (
    SELECT milestone_time, milestone_kind, model, 'touch' AS said_of, dimension, dimension_value, currency, weight_nano, value_minor
    FROM (SELECT *, toString(own_name) AS dimension, own_value AS dimension_value
    FROM credits ARRAY JOIN mapKeys(dimensions) AS own_name, mapValues(dimensions) AS own_value) AS of_touches
    UNION ALL
    SELECT milestone_time, milestone_kind, model, 'milestone' AS said_of, dimension, dimension_value, currency, weight_nano, value_minor
    FROM (SELECT *, toString(own_name) AS dimension, own_value AS dimension_value
    FROM credits ARRAY JOIN mapKeys(milestone_dimensions) AS own_name, mapValues(milestone_dimensions) AS own_value) AS of_milestones
) AS said
GROUP BY toStartOfMonth(toDate32(fromUnixTimestamp64Milli(milestone_time, 'Asia/Shanghai'))), milestone_kind, model, said_of, dimension, dimension_value, currency;

-- What a campaign cost, what it earned of deals that were won, and the quotient. What was spent in one currency and won in another stands
-- in two rows; of each model there is one.
CREATE OR REPLACE VIEW return_by_campaign AS
WITH parts AS (
    SELECT model, channel, source, campaign, currency, weight_nano, value_minor AS won, 0 AS cost
    FROM credits AS credits WHERE milestone_kind = 'closed_won' AND touch_id <> 'unattributed'
    UNION ALL
    SELECT models.model, channel, source, campaign, currency, 0, 0, value_minor
    FROM spend AS spend CROSS JOIN (SELECT DISTINCT model FROM credits AS credits) AS models
), sums AS (
    SELECT model, channel, source, campaign, currency, sum(weight_nano) / 1e9 AS deals, sum(toInt128(won)) AS won_minor, sum(toInt128(cost)) AS cost_minor
    FROM parts GROUP BY model, channel, source, campaign, currency
)
SELECT model, channel, source, campaign, currency, deals, won_minor, cost_minor,
    CASE WHEN cost_minor > 0 THEN CAST(won_minor AS DOUBLE PRECISION) / CAST(cost_minor AS DOUBLE PRECISION) END AS return_on_spend
FROM sums;

-- Which campaigns a deal owes itself to, and which deals a campaign has helped to win, with its share.
CREATE OR REPLACE VIEW deals AS
SELECT milestone_id, account_id, model, channel, source, campaign, currency, sum(weight_nano) / 1e9 AS share,
    sum(toInt128(credits.value_minor)) AS value_minor
FROM credits AS credits WHERE milestone_kind = 'closed_won'
GROUP BY milestone_id, account_id, model, channel, source, campaign, currency;

-- Visits, as attribution makes them. Hits of one person on one device, each at most the session gap after the one before, until one names
-- another source. A visit has the id of its first hit and the source of the first that names one. What is not digital is a visit of one. Of
-- an event that came in two versions one counts.
CREATE OR REPLACE VIEW visits AS
WITH versions AS (
    SELECT *, CASE WHEN account_id <> '' THEN account_id ELSE profile_id END AS unit_id,
        CASE WHEN digital THEN device ELSE touchpoint_id END AS place,
        CASE WHEN names_source THEN concat(channel, char(31), source, char(31), medium, char(31), campaign) END AS named
    FROM touchpoints AS touchpoints
), counted AS (
    SELECT *, row_number() OVER (PARTITION BY unit_id, touch_id ORDER BY public, touch_time, touchpoint_id) AS version FROM versions
), timed AS (
    SELECT *, touch_time - lagInFrame(toNullable(touch_time)) OVER (PARTITION BY unit_id, profile_id, place ORDER BY touch_time, touchpoint_id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS gap FROM counted WHERE version = 1
), runs AS (
    SELECT *, sum(CASE WHEN gap <= 1800000 THEN 0 ELSE 1 END) OVER (PARTITION BY unit_id, profile_id, place ORDER BY touch_time, touchpoint_id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS run FROM timed
), sources AS (
    SELECT *, lagInFrame(toNullable(named)) OVER (PARTITION BY unit_id, profile_id, place, run, named IS NOT NULL ORDER BY touch_time, touchpoint_id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS named_before
    FROM runs
), begun AS (
    SELECT *, CASE WHEN gap IS NULL OR gap > 1800000 OR named <> named_before THEN 1 ELSE 0 END AS begins FROM sources
), numbered AS (
    SELECT *, sum(begins) OVER (PARTITION BY unit_id, profile_id, place ORDER BY touch_time, touchpoint_id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS visit FROM begun
), placed AS (
    SELECT *, row_number() OVER (PARTITION BY unit_id, profile_id, place, visit ORDER BY touch_time, touchpoint_id) AS hit,
        row_number() OVER (PARTITION BY unit_id, profile_id, place, visit
            ORDER BY CASE WHEN names_source THEN 0 ELSE 1 END, touch_time, touchpoint_id) AS rank_of_source
    FROM numbered
)
SELECT unit_id, profile_id, account_id, max(CASE WHEN hit = 1 THEN placed.touch_id END) AS touch_id, min(touch_time) AS visit_time,
    max(CASE WHEN rank_of_source = 1 THEN placed.channel END) AS channel, max(CASE WHEN rank_of_source = 1 THEN placed.source END) AS source,
    max(CASE WHEN rank_of_source = 1 THEN placed.campaign END) AS campaign, count(*) AS hits,
    min(CASE WHEN placed.consented THEN 1 ELSE 0 END) = 1 AS consented
FROM placed GROUP BY unit_id, profile_id, account_id, place, visit;

-- How often people came by a channel in a month, and how many people.
CREATE OR REPLACE VIEW visits_by_month AS
SELECT toStartOfMonth(toDate32(fromUnixTimestamp64Milli(visit_time, 'Asia/Shanghai'))) AS month, channel, count(*) AS visits, count(DISTINCT profile_id) AS people, sum(visits.hits) AS hits
FROM visits AS visits GROUP BY toStartOfMonth(toDate32(fromUnixTimestamp64Milli(visit_time, 'Asia/Shanghai'))), channel;

-- What a channel cost in a month, how many visits came of it, and how many leads, qualified leads and deals it earned. Cost is there once
-- for each model; a report is of one.
CREATE OR REPLACE VIEW ladder AS
WITH credited AS (
    SELECT DISTINCT model, currency FROM credits AS credits
), models AS (
    SELECT DISTINCT model FROM credited
), currencies AS (
    SELECT DISTINCT currency FROM (SELECT currency FROM spend AS spend UNION ALL SELECT currency FROM credited) AS named
), parts AS (
    SELECT month, channel, models.model AS model, currencies.currency AS currency, visits AS came, 0 AS lead_nano, 0 AS mql_nano, 0 AS deal_nano,
        0 AS won, 0 AS cost
    FROM visits_by_month AS visits CROSS JOIN models CROSS JOIN currencies
    UNION ALL
    SELECT toStartOfMonth(toDate32(fromUnixTimestamp64Milli(milestone_time, 'Asia/Shanghai'))), channel, model, currency, 0, CASE milestone_kind WHEN 'lead' THEN weight_nano ELSE 0 END,
        CASE milestone_kind WHEN 'mql' THEN weight_nano ELSE 0 END, CASE milestone_kind WHEN 'closed_won' THEN weight_nano ELSE 0 END,
        CASE milestone_kind WHEN 'closed_won' THEN value_minor ELSE 0 END, 0
    FROM credits AS credits WHERE channel <> 'unattributed'
    UNION ALL
    SELECT toStartOfMonth(day), channel, models.model, currency, 0, 0, 0, 0, 0, value_minor
    FROM spend AS spend CROSS JOIN models
), sums AS (
    SELECT month, channel, model, currency, sum(came) AS visits, sum(lead_nano) / 1e9 AS leads, sum(mql_nano) / 1e9 AS mqls,
        sum(deal_nano) / 1e9 AS deals, sum(toInt128(won)) AS won_minor, sum(toInt128(cost)) AS cost_minor
    FROM parts GROUP BY month, channel, model, currency
)
SELECT month, channel, model, currency, visits, leads, mqls, deals, won_minor, cost_minor,
    CASE WHEN visits > 0 THEN CAST(cost_minor AS DOUBLE PRECISION) / CAST(visits AS DOUBLE PRECISION) END AS cost_per_visit,
    CASE WHEN leads > 0 THEN CAST(cost_minor AS DOUBLE PRECISION) / CAST(leads AS DOUBLE PRECISION) END AS cost_per_lead
FROM sums;

-- From stage to stage. How many deals and leads reached a stage and then went on to which next one, and in how long, the lower median.
CREATE OR REPLACE VIEW funnel AS
SELECT milestone_kind, stage_after, count(*) AS reached,
    quantileExactLowOrNull(0.5)(CASE WHEN stage_after <> '' THEN stage_after_time - milestone_time END) AS median_ms
FROM milestones AS milestones WHERE NOT withdrawn GROUP BY milestone_kind, stage_after;

-- How engaged an account is, from all its touches up to the newest touch of all. A touch counts for less with every day, and for more by
-- the person's role and by what was done; dbt's variables have the weights.
CREATE OR REPLACE VIEW engagement AS
SELECT account_id, count(*) AS touches, count(DISTINCT profile_id) AS people, sum(points) AS engagement
FROM (
    SELECT hits.account_id AS account_id, hits.profile_id AS profile_id,
        CASE lower(hits.role) WHEN 'decision_maker' THEN 3.0 WHEN 'economic_buyer' THEN 3.0 WHEN 'executive_sponsor' THEN 3.0 WHEN 'champion' THEN 2.0 WHEN 'influencer' THEN 1.5 ELSE 1.0 END * CASE lower(hits.touch_type) WHEN 'form' THEN 3.0 WHEN 'form submitted' THEN 3.0 WHEN 'demo requested' THEN 5.0 WHEN 'trial requested' THEN 5.0 WHEN 'content downloaded' THEN 2.0 WHEN 'webinar attended' THEN 3.0 WHEN 'signed up' THEN 4.0 WHEN 'call' THEN 3.0 WHEN 'meeting' THEN 5.0 WHEN 'page' THEN 0.5 ELSE 1.0 END
            * power(CAST(0.5 AS DOUBLE PRECISION), (newest.touch_time - hits.touch_time) / (30 * 86400000.0)) AS points
    FROM touchpoints AS hits CROSS JOIN (SELECT max(touch_time) AS touch_time FROM touchpoints AS hits) AS newest
    WHERE hits.account_id <> '' AND hits.consented
) AS weighted
GROUP BY account_id;

-- The way of every account, or of a person without one, up to the first deal that was won; the whole way where none was.
CREATE OR REPLACE VIEW paths AS
WITH won AS (
    SELECT unit_id, min(milestone_time) AS won_time
    FROM (
        SELECT CASE WHEN account_id <> '' THEN account_id ELSE profile_id END AS unit_id, milestone_time
        FROM milestones AS milestones WHERE milestone_kind = 'closed_won' AND NOT withdrawn
    ) AS deals
    GROUP BY unit_id
), steps AS (
    SELECT visits.unit_id AS unit_id, channel, visit_time, touch_id, coalesce(won.won_time, 0) AS won_time
    FROM visits AS visits LEFT JOIN won ON visits.unit_id = won.unit_id
    WHERE consented
)
SELECT unit_id, won_time <> 0 AS won, count(*) AS visits, arrayStringConcat(arrayMap(step -> step.2, arraySort(groupArray(((visit_time, touch_id), channel)))), ' > ') AS path
FROM steps WHERE won_time = 0 OR visit_time <= won_time GROUP BY unit_id, won_time;
