-- Of every milestone and model the weights are exactly one.
SELECT milestone_id, model, sum(weight_nano) AS whole_nano
FROM {{ ref('credits') }} AS credits GROUP BY milestone_id, model HAVING sum(weight_nano) <> 1000000000
