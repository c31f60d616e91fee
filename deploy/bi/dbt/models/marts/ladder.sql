WITH credited AS (
    SELECT DISTINCT model, currency FROM {{ ref('credits') }} AS credits
), models AS (
    SELECT DISTINCT model FROM credited
), currencies AS (
    SELECT DISTINCT currency FROM (SELECT currency FROM {{ ref('spend') }} AS spend UNION ALL SELECT currency FROM credited) AS named
), parts AS (
    SELECT month, channel, models.model AS model, currencies.currency AS currency, visits AS came, 0 AS lead_nano, 0 AS mql_nano, 0 AS deal_nano,
        0 AS won, 0 AS cost
    FROM {{ ref('visits_by_month') }} AS visits CROSS JOIN models CROSS JOIN currencies
    UNION ALL
    SELECT {{ month_of(local_day('milestone_time')) }}, channel, model, currency, 0, CASE milestone_kind WHEN 'lead' THEN weight_nano ELSE 0 END,
        CASE milestone_kind WHEN 'mql' THEN weight_nano ELSE 0 END, CASE milestone_kind WHEN 'closed_won' THEN weight_nano ELSE 0 END,
        CASE milestone_kind WHEN 'closed_won' THEN value_minor ELSE 0 END, 0
    FROM {{ ref('credits') }} AS credits WHERE channel <> 'unattributed'
    UNION ALL
    SELECT {{ month_of('day') }}, channel, models.model, currency, 0, 0, 0, 0, 0, value_minor
    FROM {{ ref('spend') }} AS spend CROSS JOIN models
), sums AS (
    SELECT month, channel, model, currency, sum(came) AS visits, sum(lead_nano) / 1e9 AS leads, sum(mql_nano) / 1e9 AS mqls,
        sum(deal_nano) / 1e9 AS deals, {{ total('won') }} AS won_minor, {{ total('cost') }} AS cost_minor
    FROM parts GROUP BY month, channel, model, currency
)
SELECT month, channel, model, currency, visits, leads, mqls, deals, won_minor, cost_minor,
    CASE WHEN visits > 0 THEN {{ fraction('cost_minor') }} / {{ fraction('visits') }} END AS cost_per_visit,
    CASE WHEN leads > 0 THEN {{ fraction('cost_minor') }} / {{ fraction('leads') }} END AS cost_per_lead
FROM sums
