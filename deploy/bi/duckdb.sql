-- Views for DuckDB over the files of `tributary replay --out results`, or of `tributary tail credits --json > results/credits.ndjson`. Run it
-- where `results` is:  duckdb attribution.db < deploy/bi/duckdb.sql
--
-- Money is in minor units of its currency (123450 is 1,234.50 CNY, 500 is 500 JPY): never add currencies up. Weights are billionths.

CREATE OR REPLACE VIEW credit_updates AS
SELECT * FROM read_json('results/credits.ndjson', format = 'newline_delimited', columns = {
    milestone_id: 'VARCHAR', milestone_kind: 'VARCHAR', model: 'VARCHAR', model_version: 'VARCHAR', touch_id: 'VARCHAR',
    account_id: 'VARCHAR', profile_id: 'VARCHAR', channel: 'VARCHAR', source: 'VARCHAR', medium: 'VARCHAR', campaign: 'VARCHAR',
    content: 'VARCHAR', term: 'VARCHAR', touch_time: 'BIGINT', milestone_time: 'BIGINT', weight_nano: 'BIGINT', value_minor: 'BIGINT',
    currency: 'VARCHAR', delta_weight_nano: 'BIGINT', delta_value_minor: 'BIGINT', revision: 'UBIGINT', reason: 'VARCHAR',
    reporting_currency: 'VARCHAR', reporting_value_minor: 'BIGINT', delta_reporting_value_minor: 'BIGINT'
});

-- The rows as they are now: of each key the highest revision. A row of weight 0 was taken back.
CREATE OR REPLACE VIEW credits AS
SELECT * FROM (
    SELECT *, row_number() OVER (PARTITION BY milestone_id, model, touch_id ORDER BY revision DESC) AS latest FROM credit_updates
) WHERE latest = 1 AND weight_nano <> 0;

-- Days begin in Shanghai here, as in `ingest.time_zone`: spend has the day in that zone.
CREATE OR REPLACE MACRO local_day(ms) AS CAST(timezone('Asia/Shanghai', to_timestamp(ms / 1000.0)) AS DATE);

-- What channels earned by month of the milestone, two ways that must agree: from the rows as they are now, and from the sums of all deltas.
CREATE OR REPLACE VIEW credit_by_month AS
SELECT date_trunc('month', local_day(milestone_time)) AS month, milestone_kind, model, channel, currency,
    sum(weight_nano) / 1e9 AS milestones, CAST(sum(value_minor) AS HUGEINT) AS value_minor
FROM credits GROUP BY ALL;

CREATE OR REPLACE VIEW credit_by_month_of_deltas AS
SELECT date_trunc('month', local_day(milestone_time)) AS month, milestone_kind, model, channel, currency,
    sum(delta_weight_nano) / 1e9 AS milestones, CAST(sum(delta_value_minor) AS HUGEINT) AS value_minor
FROM credit_updates GROUP BY ALL HAVING sum(delta_weight_nano) <> 0 OR sum(delta_value_minor) <> 0;

CREATE OR REPLACE VIEW spend AS
SELECT * FROM read_json('results/spend.ndjson', format = 'newline_delimited', columns = {
    spend_id: 'VARCHAR', day: 'DATE', channel: 'VARCHAR', source: 'VARCHAR', medium: 'VARCHAR', campaign: 'VARCHAR',
    value_minor: 'BIGINT', currency: 'VARCHAR'
});

-- What a campaign cost, and what it earned of deals that were won. What was spent in one currency and won in another stands in two rows.
CREATE OR REPLACE VIEW return_by_campaign AS
WITH won AS (
    SELECT model, channel, source, campaign, currency, sum(weight_nano) / 1e9 AS deals, CAST(sum(value_minor) AS HUGEINT) AS won_minor
    FROM credits WHERE milestone_kind = 'closed_won' AND touch_id <> 'unattributed' GROUP BY ALL
), cost AS (
    SELECT channel, source, campaign, currency, CAST(sum(value_minor) AS HUGEINT) AS cost_minor FROM spend GROUP BY ALL
), models AS (SELECT DISTINCT model FROM credits)
SELECT coalesce(won.model, models.model) AS model, channel, source, campaign, currency, coalesce(deals, 0) AS deals,
    coalesce(won_minor, 0) AS won_minor, coalesce(cost_minor, 0) AS cost_minor,
    CASE WHEN cost_minor > 0 THEN coalesce(won_minor, 0) / cost_minor END AS return_on_spend
FROM won FULL JOIN (cost CROSS JOIN models) USING (model, channel, source, campaign, currency);

-- Which campaigns a deal owes itself to.
CREATE OR REPLACE VIEW deals AS
SELECT milestone_id, account_id, model, channel, source, campaign, currency, sum(weight_nano) / 1e9 AS share,
    CAST(sum(value_minor) AS HUGEINT) AS value_minor
FROM credits WHERE milestone_kind = 'closed_won' GROUP BY ALL;

-- Touches, credited or not, and milestones. Of each key the highest revision; a row with `erased` is no more.
CREATE OR REPLACE VIEW touchpoints AS
SELECT * EXCLUDE (latest) FROM (
    SELECT *, row_number() OVER (PARTITION BY touchpoint_id ORDER BY revision DESC) AS latest
    FROM read_json('results/touchpoints.ndjson', format = 'newline_delimited', columns = {
        touchpoint_id: 'VARCHAR', touch_id: 'VARCHAR', touch_time: 'BIGINT', profile_id: 'VARCHAR', account_id: 'VARCHAR', role: 'VARCHAR',
        consented: 'BOOLEAN', channel: 'VARCHAR', source: 'VARCHAR', medium: 'VARCHAR', campaign: 'VARCHAR', content: 'VARCHAR',
        term: 'VARCHAR', touch_type: 'VARCHAR', url: 'VARCHAR', referrer: 'VARCHAR', input: 'VARCHAR', public: 'BOOLEAN',
        identified: 'BOOLEAN', digital: 'BOOLEAN', names_source: 'BOOLEAN', device: 'VARCHAR', revision: 'UBIGINT', erased: 'BOOLEAN'
    })
) WHERE latest = 1 AND NOT erased;

CREATE OR REPLACE VIEW milestones AS
SELECT * EXCLUDE (latest) FROM (
    SELECT *, row_number() OVER (PARTITION BY milestone_id ORDER BY revision DESC) AS latest
    FROM read_json('results/milestones.ndjson', format = 'newline_delimited', columns = {
        milestone_id: 'VARCHAR', milestone_kind: 'VARCHAR', object_id: 'VARCHAR', occurrence: 'UINTEGER', milestone_time: 'BIGINT',
        value_minor: 'BIGINT', currency: 'VARCHAR', exponent: 'UINTEGER', reporting_currency: 'VARCHAR', reporting_value_minor: 'BIGINT',
        account_id: 'VARCHAR', profile_id: 'VARCHAR', withdrawn: 'BOOLEAN', public: 'BOOLEAN', stage_before: 'VARCHAR',
        stage_before_time: 'BIGINT', stage_after: 'VARCHAR', stage_after_time: 'BIGINT', stages: 'STRUCT(kind VARCHAR, time BIGINT)[]',
        revision: 'UBIGINT', erased: 'BOOLEAN'
    })
) WHERE latest = 1 AND NOT erased;

-- Visits, as attribution makes them (`attribution.session_gap_minutes` is 30 here): hits of one person on one device, each at most half an
-- hour after the one before, until one names another source. A visit has the id of its first hit and the source of the first that names one.
-- What is not digital is a visit of one. Of an event that came in two versions one counts.
CREATE OR REPLACE VIEW visits AS
WITH once AS (
    SELECT *, CASE WHEN account_id <> '' THEN account_id ELSE profile_id END AS unit_id,
        CASE WHEN digital THEN device ELSE touchpoint_id END AS place,
        CASE WHEN names_source THEN concat_ws(chr(31), channel, source, medium, campaign) END AS named
    FROM touchpoints
    QUALIFY row_number() OVER (PARTITION BY unit_id, touch_id ORDER BY public, touch_time, touchpoint_id) = 1
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
SELECT unit_id, profile_id, account_id, first(touch_id ORDER BY touch_time, touchpoint_id) AS touch_id, min(touch_time) AS visit_time,
    first(channel ORDER BY NOT names_source, touch_time, touchpoint_id) AS channel,
    first(source ORDER BY NOT names_source, touch_time, touchpoint_id) AS source,
    first(campaign ORDER BY NOT names_source, touch_time, touchpoint_id) AS campaign,
    count(*) AS hits, bool_and(consented) AS consented
FROM numbered GROUP BY unit_id, profile_id, account_id, place, visit;

-- How often people came by a channel in a month, and how many people.
CREATE OR REPLACE VIEW visits_by_month AS
SELECT date_trunc('month', local_day(visit_time)) AS month, channel, count(*) AS visits, count(DISTINCT profile_id) AS people, CAST(sum(hits) AS BIGINT) AS hits
FROM visits GROUP BY ALL;

-- The ladder: what a channel cost in a month, how many visits came of it, and how many leads, qualified leads and deals it earned. Cost is there
-- once for each model: a report is of one.
CREATE OR REPLACE VIEW ladder AS
WITH models AS (SELECT DISTINCT model FROM credits), currencies AS (
    SELECT DISTINCT currency FROM spend UNION SELECT DISTINCT currency FROM credits
), parts AS (
    SELECT month, channel, model, currency, visits, 0 AS leads, 0 AS mqls, 0 AS deals, 0 AS won_minor, 0 AS cost_minor
    FROM visits_by_month, models, currencies
    UNION ALL
    SELECT month, channel, model, currency, 0, CASE milestone_kind WHEN 'lead' THEN milestones ELSE 0 END,
        CASE milestone_kind WHEN 'mql' THEN milestones ELSE 0 END, CASE milestone_kind WHEN 'closed_won' THEN milestones ELSE 0 END,
        CASE milestone_kind WHEN 'closed_won' THEN value_minor ELSE 0 END, 0
    FROM credit_by_month WHERE channel <> 'unattributed'
    UNION ALL
    SELECT date_trunc('month', day), channel, model, currency, 0, 0, 0, 0, 0, value_minor FROM spend, models
)
SELECT month, channel, model, currency, CAST(sum(visits) AS BIGINT) AS visits, sum(leads) AS leads, sum(mqls) AS mqls, sum(deals) AS deals,
    CAST(sum(won_minor) AS HUGEINT) AS won_minor, CAST(sum(cost_minor) AS HUGEINT) AS cost_minor,
    CASE WHEN sum(visits) > 0 THEN sum(cost_minor) / sum(visits) END AS cost_per_visit,
    CASE WHEN sum(leads) > 0 THEN sum(cost_minor) / sum(leads) END AS cost_per_lead
FROM parts GROUP BY ALL;

-- From stage to stage: how many deals and leads reached a stage and then went on to which next one, and in how long: the lower median.
CREATE OR REPLACE VIEW funnel AS
SELECT milestone_kind, stage_after, count(*) AS reached,
    CAST(quantile_disc(CASE WHEN stage_after <> '' THEN stage_after_time - milestone_time END, 0.5) AS BIGINT) AS median_ms
FROM milestones WHERE NOT withdrawn GROUP BY ALL;

-- The way of every account, or of a person without one, up to the first deal that was won; the whole way where none was.
CREATE OR REPLACE VIEW paths AS
WITH won AS (
    SELECT CASE WHEN account_id <> '' THEN account_id ELSE profile_id END AS unit_id, min(milestone_time) AS won_time
    FROM milestones WHERE milestone_kind = 'closed_won' AND NOT withdrawn GROUP BY ALL
)
SELECT unit_id, won_time IS NOT NULL AS won, count(*) AS visits, string_agg(channel, ' > ' ORDER BY visit_time, touch_id) AS path
FROM visits LEFT JOIN won USING (unit_id) WHERE consented AND (won_time IS NULL OR visit_time <= won_time) GROUP BY unit_id, won_time;
