WITH parts AS (
    SELECT model, channel, source, campaign, currency, weight_nano, value_minor AS won, 0 AS cost
    FROM {{ ref('credits') }} AS credits WHERE milestone_kind = 'closed_won' AND touch_id <> 'unattributed'
    UNION ALL
    SELECT models.model, channel, source, campaign, currency, 0, 0, value_minor
    FROM {{ ref('spend') }} AS spend CROSS JOIN (SELECT DISTINCT model FROM {{ ref('credits') }} AS credits) AS models
), sums AS (
    SELECT model, channel, source, campaign, currency, sum(weight_nano) / 1e9 AS deals, {{ total('won') }} AS won_minor, {{ total('cost') }} AS cost_minor
    FROM parts GROUP BY model, channel, source, campaign, currency
)
SELECT model, channel, source, campaign, currency, deals, won_minor, cost_minor,
    CASE WHEN cost_minor > 0 THEN {{ fraction('won_minor') }} / {{ fraction('cost_minor') }} END AS return_on_spend
FROM sums
