-- The ladder has all that was spent and won.
SELECT model, currency, sum(won) AS won_more, sum(cost) AS cost_more
FROM (
    SELECT model, currency, won_minor AS won, cost_minor AS cost FROM {{ ref('ladder') }} AS ladder
    UNION ALL
    SELECT model, currency, -won_minor, -cost_minor FROM {{ ref('return_by_campaign') }} AS campaigns
) AS both_ways
GROUP BY model, currency HAVING sum(won) <> 0 OR sum(cost) <> 0
