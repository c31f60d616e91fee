{{ config(enabled=var('all_updates')) }}
-- The sums of all updates are the rows as they are now, by month and channel.
SELECT month, milestone_kind, model, channel, currency, sum(nano) AS nano_more, sum(minor) AS minor_more
FROM (
    SELECT month, milestone_kind, model, channel, currency, CAST(round(milestones * 1e9) AS BIGINT) AS nano, value_minor AS minor
    FROM {{ ref('credit_by_month') }} AS latest
    UNION ALL
    SELECT month, milestone_kind, model, channel, currency, -CAST(round(milestones * 1e9) AS BIGINT), -value_minor
    FROM {{ ref('credit_by_month_of_deltas') }} AS summed
) AS both_ways
GROUP BY month, milestone_kind, model, channel, currency HAVING sum(nano) <> 0 OR sum(minor) <> 0
