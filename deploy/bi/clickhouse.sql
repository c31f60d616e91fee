-- Tables and views for ClickHouse: a Kafka engine on the topic (JSON: `worker.formats.credits = "json"`), and what is kept of it. Give the
-- brokers and the prefix of your topics. Without Kafka leave the two objects on it out, and insert JSON lines into `credit_updates`.
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

-- kafka:begin
CREATE TABLE IF NOT EXISTS credit_queue AS credit_updates ENGINE = Kafka
SETTINGS kafka_broker_list = 'kafka:9092', kafka_topic_list = 'tributary.credits', kafka_group_name = 'clickhouse',
    kafka_format = 'JSONEachRow';

CREATE MATERIALIZED VIEW IF NOT EXISTS credit_reader TO credit_updates AS SELECT * FROM credit_queue;
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
