-- Tables and views for ClickHouse: a Kafka engine on the topic (JSON: `worker.formats`), and what is kept of it. Give the
-- brokers and the prefix of your topics. Without Kafka leave the objects on it out, and insert JSON lines into
-- `credit_updates`, `touchpoint_rows` and `milestone_rows`.
--
-- Money is in minor units of its currency (123450 is 1,234.50 CNY, 500 is 500 JPY): never add currencies up. Weights are billionths. Times are
-- milliseconds as 64-bit integers: DateTime64(3) holds 1900 to 2299.

CREATE TABLE IF NOT EXISTS credit_updates (
    milestone_id String, milestone_kind LowCardinality(String), model LowCardinality(String), model_version LowCardinality(String),
    touch_id String, account_id String, profile_id String, channel LowCardinality(String), source LowCardinality(String),
    medium LowCardinality(String), campaign String, content String, term String, touch_time Int64, milestone_time Int64,
    weight_nano Int64, value_minor Int64, currency LowCardinality(String), delta_weight_nano Int64, delta_value_minor Int64,
    revision UInt64, reason LowCardinality(String),
    reporting_currency LowCardinality(String), reporting_value_minor Int64, delta_reporting_value_minor Int64
) ENGINE = ReplacingMergeTree
-- An update that the Kafka engine reads twice after a failure has the same key: the copies fold, and FINAL does not see them before they do.
ORDER BY (milestone_id, model, touch_id, revision);

CREATE TABLE IF NOT EXISTS spend (
    spend_id String, day Date32, channel LowCardinality(String), source LowCardinality(String), medium LowCardinality(String),
    campaign String, value_minor Int64, currency LowCardinality(String)
) ENGINE = ReplacingMergeTree ORDER BY spend_id;

CREATE TABLE IF NOT EXISTS touchpoint_rows (
    touchpoint_id String, touch_id String, touch_time Int64, profile_id String, account_id String, role LowCardinality(String),
    consented Bool, channel LowCardinality(String), source LowCardinality(String), medium LowCardinality(String), campaign String,
    content String, term String, touch_type LowCardinality(String), url String, referrer String, input LowCardinality(String), public Bool,
    identified Bool, digital Bool, names_source Bool, device String, revision UInt64, erased Bool
) ENGINE = ReplacingMergeTree(revision) ORDER BY touchpoint_id;

CREATE TABLE IF NOT EXISTS milestone_rows (
    milestone_id String, milestone_kind LowCardinality(String), object_id String, occurrence UInt32, milestone_time Int64,
    value_minor Int64, currency LowCardinality(String), exponent UInt32, reporting_currency LowCardinality(String),
    reporting_value_minor Int64, account_id String, profile_id String, withdrawn Bool, public Bool, stage_before LowCardinality(String),
    stage_before_time Int64, stage_after LowCardinality(String), stage_after_time Int64, stages Array(Tuple(kind String, time Int64)),
    revision UInt64, erased Bool
) ENGINE = ReplacingMergeTree(revision) ORDER BY milestone_id;

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
-- kafka:end

-- The rows as they are now: of each key the highest revision. A row of weight 0 was taken back.
CREATE OR REPLACE VIEW credits AS
SELECT * FROM (SELECT * FROM credit_updates FINAL ORDER BY revision DESC LIMIT 1 BY milestone_id, model, touch_id) WHERE weight_nano != 0;

-- What channels earned by month of the milestone, two ways that must agree: from the rows as they are now, and from the sums of all deltas.
-- Months begin in Shanghai here, as in `ingest.time_zone`: spend has the day in that zone.
CREATE OR REPLACE VIEW credit_by_month AS
SELECT toStartOfMonth(fromUnixTimestamp64Milli(milestone_time, 'Asia/Shanghai')) AS month, milestone_kind, model, channel, currency,
    sum(weight_nano) / 1e9 AS milestones, sum(toInt128(credits.value_minor)) AS value_minor
FROM credits GROUP BY month, milestone_kind, model, channel, currency;

CREATE OR REPLACE VIEW credit_by_month_of_deltas AS
SELECT toStartOfMonth(fromUnixTimestamp64Milli(milestone_time, 'Asia/Shanghai')) AS month, milestone_kind, model, channel, currency,
    sum(delta_weight_nano) / 1e9 AS milestones, sum(toInt128(delta_value_minor)) AS value_minor
FROM credit_updates FINAL GROUP BY month, milestone_kind, model, channel, currency
HAVING sum(delta_weight_nano) != 0 OR sum(toInt128(delta_value_minor)) != 0;

-- What a campaign cost, and what it earned of deals that were won. What was spent in one currency and won in another stands in two rows.
CREATE OR REPLACE VIEW return_by_campaign AS
SELECT model, channel, source, campaign, currency, sum(of_deals) AS deals, sum(of_won) AS won_minor, sum(of_cost) AS cost_minor,
    if(cost_minor > 0, won_minor / cost_minor, NULL) AS return_on_spend
FROM (
    SELECT model, channel, source, campaign, currency, weight_nano / 1e9 AS of_deals, toInt128(value_minor) AS of_won, toInt128(0) AS of_cost
    FROM credits WHERE milestone_kind = 'closed_won' AND touch_id != 'unattributed'
    UNION ALL
    SELECT models.model, channel, source, campaign, currency, 0, toInt128(0), toInt128(value_minor)
    FROM (SELECT * FROM spend FINAL) AS spend CROSS JOIN (SELECT DISTINCT model FROM credits) AS models
) GROUP BY model, channel, source, campaign, currency;

-- Which campaigns a deal owes itself to.
CREATE OR REPLACE VIEW deals AS
SELECT milestone_id, account_id, model, channel, source, campaign, currency, sum(weight_nano) / 1e9 AS share,
    sum(toInt128(credits.value_minor)) AS value_minor
FROM credits WHERE milestone_kind = 'closed_won' GROUP BY milestone_id, account_id, model, channel, source, campaign, currency;

-- Touches, credited or not, and milestones. Of each key the highest revision; a row with `erased` is no more, and stays to say so.
CREATE OR REPLACE VIEW touchpoints AS SELECT * FROM touchpoint_rows FINAL WHERE NOT erased;
CREATE OR REPLACE VIEW milestones AS SELECT * FROM milestone_rows FINAL WHERE NOT erased;

-- Visits, as attribution makes them (`attribution.session_gap_minutes` is 30 here): hits of one person on one device, each at most half an
-- hour after the one before, until one names another source. A visit has the id of its first hit and the source of the first that names one.
-- What is not digital is a visit of one. Of an event that came in two versions one counts.
CREATE OR REPLACE VIEW visits AS
WITH once AS (
    SELECT *, if(account_id != '', account_id, profile_id) AS unit_id, if(digital, device, touchpoint_id) AS place,
        if(names_source, concat('s', channel, '\x1f', source, '\x1f', medium, '\x1f', campaign), '') AS named
    FROM touchpoints ORDER BY public, touch_time, touchpoint_id LIMIT 1 BY unit_id, touch_id
), timed AS (
    SELECT *, touch_time - lagInFrame(touch_time, 1, toInt64(-4000000000000)) OVER (PARTITION BY unit_id, profile_id, place
        ORDER BY touch_time, touchpoint_id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS gap
    FROM once
), runs AS (
    SELECT *, sum(gap > 1800000) OVER (PARTITION BY unit_id, profile_id, place ORDER BY touch_time, touchpoint_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS run
    FROM timed
), begun AS (
    SELECT *, lagInFrame(named, 1, '') OVER (PARTITION BY unit_id, profile_id, place, run, named != '' ORDER BY touch_time, touchpoint_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS named_before,
        gap > 1800000 OR (named != '' AND named_before != '' AND named != named_before) AS begins
    FROM runs
), numbered AS (
    SELECT *, sum(begins) OVER (PARTITION BY unit_id, profile_id, place ORDER BY touch_time, touchpoint_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS visit
    FROM begun
)
SELECT unit_id, profile_id, account_id, argMin(numbered.touch_id, (touch_time, touchpoint_id)) AS touch_id, min(touch_time) AS visit_time,
    argMin(numbered.channel, (NOT names_source, touch_time, touchpoint_id)) AS channel,
    argMin(numbered.source, (NOT names_source, touch_time, touchpoint_id)) AS source,
    argMin(numbered.campaign, (NOT names_source, touch_time, touchpoint_id)) AS campaign,
    count() AS hits, min(numbered.consented) AS consented
FROM numbered GROUP BY unit_id, profile_id, account_id, place, visit;

-- How often people came by a channel in a month, and how many people.
CREATE OR REPLACE VIEW visits_by_month AS
SELECT toStartOfMonth(fromUnixTimestamp64Milli(visit_time, 'Asia/Shanghai')) AS month, channel, count() AS visits,
    uniqExact(profile_id) AS people, sum(visits.hits) AS hits
FROM visits GROUP BY month, channel;

-- The ladder: what a channel cost in a month, how many visits came of it, and how many leads, qualified leads and deals it earned. Cost is there
-- once for each model: a report is of one.
CREATE OR REPLACE VIEW ladder AS
SELECT month, channel, model, currency, sum(of_visits) AS visits, sum(of_leads) AS leads, sum(of_mqls) AS mqls, sum(of_deals) AS deals,
    sum(of_won) AS won_minor, sum(of_cost) AS cost_minor, if(visits > 0, cost_minor / visits, NULL) AS cost_per_visit,
    if(leads > 0, cost_minor / leads, NULL) AS cost_per_lead
FROM (
    SELECT month, toString(channel) AS channel, model, currency, visits AS of_visits, 0. AS of_leads, 0. AS of_mqls, 0. AS of_deals,
        toInt128(0) AS of_won, toInt128(0) AS of_cost
    FROM visits_by_month CROSS JOIN (SELECT DISTINCT toString(model) AS model FROM credits) AS models
        CROSS JOIN (SELECT toString(currency) AS currency FROM spend UNION DISTINCT SELECT toString(currency) FROM credits) AS currencies
    UNION ALL
    SELECT month, toString(channel), toString(model), toString(currency), 0, if(milestone_kind = 'lead', milestones, 0),
        if(milestone_kind = 'mql', milestones, 0), if(milestone_kind = 'closed_won', milestones, 0),
        if(milestone_kind = 'closed_won', value_minor, toInt128(0)), toInt128(0)
    FROM credit_by_month WHERE channel != 'unattributed'
    UNION ALL
    SELECT toStartOfMonth(day), toString(channel), models.model, toString(currency), 0, 0., 0., 0., toInt128(0), toInt128(value_minor)
    FROM (SELECT * FROM spend FINAL) AS spend CROSS JOIN (SELECT DISTINCT toString(model) AS model FROM credits) AS models
) GROUP BY month, channel, model, currency;

-- From stage to stage: how many deals and leads reached a stage and then went on to which next one, and in how long: the lower median.
CREATE OR REPLACE VIEW funnel AS
SELECT milestone_kind, stage_after, count() AS reached,
    if(stage_after = '', NULL, quantileExactLow(0.5)(stage_after_time - milestone_time)) AS median_ms
FROM milestones WHERE NOT withdrawn GROUP BY milestone_kind, stage_after;

-- The way of every account, or of a person without one, up to the first deal that was won; the whole way where none was.
CREATE OR REPLACE VIEW paths AS
SELECT visits.unit_id AS unit_id, won_time != 0 AS won, count() AS visits,
    arrayStringConcat(arrayMap(step -> step.3, arraySort(groupArray((visit_time, touch_id, toString(channel))))), ' > ') AS path
FROM visits LEFT JOIN (
    SELECT if(account_id != '', account_id, profile_id) AS unit_id, min(milestone_time) AS won_time
    FROM milestones WHERE milestone_kind = 'closed_won' AND NOT withdrawn GROUP BY unit_id
) AS deals ON visits.unit_id = deals.unit_id
WHERE consented AND (won_time = 0 OR visit_time <= won_time) GROUP BY unit_id, won_time;
