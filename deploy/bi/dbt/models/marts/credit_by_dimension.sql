SELECT {{ month_of(local_day('milestone_time')) }} AS month, milestone_kind, model, said_of, dimension, dimension_value, currency,
    sum(weight_nano) / 1e9 AS milestones, {{ total('said.value_minor') }} AS value_minor
FROM (
    SELECT milestone_time, milestone_kind, model, 'touch' AS said_of, dimension, dimension_value, currency, weight_nano, value_minor
    FROM {{ by_dimension(ref('credits'), 'dimensions') }} AS of_touches
    UNION ALL
    SELECT milestone_time, milestone_kind, model, 'milestone' AS said_of, dimension, dimension_value, currency, weight_nano, value_minor
    FROM {{ by_dimension(ref('credits'), 'milestone_dimensions') }} AS of_milestones
) AS said
GROUP BY {{ month_of(local_day('milestone_time')) }}, milestone_kind, model, said_of, dimension, dimension_value, currency
