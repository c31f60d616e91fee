{{ config(enabled=var('all_updates')) }}
SELECT {{ month_of(local_day('milestone_time')) }} AS month, milestone_kind, model, channel, currency,
    sum(delta_weight_nano) / 1e9 AS milestones, {{ total('delta_value_minor') }} AS value_minor
FROM {{ ref('credit_changes') }} AS changes
GROUP BY {{ month_of(local_day('milestone_time')) }}, milestone_kind, model, channel, currency
HAVING sum(delta_weight_nano) <> 0 OR {{ total('delta_value_minor') }} <> 0
