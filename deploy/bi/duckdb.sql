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
