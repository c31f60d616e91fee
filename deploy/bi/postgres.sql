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
