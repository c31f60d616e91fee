{#- What earned how much of which milestones, by any columns of `credits`: `credit_by(['account_id', 'campaign'])`. Sums of one currency each. -#}
{%- macro credit_by(columns) -%}
SELECT {{ month_of(local_day('milestone_time')) }} AS month, milestone_kind, model, {{ columns | join(', ') }}, currency,
    sum(weight_nano) / 1e9 AS milestones, {{ total('credits.value_minor') }} AS value_minor
FROM {{ ref('credits') }} AS credits
GROUP BY {{ month_of(local_day('milestone_time')) }}, milestone_kind, model, {{ columns | join(', ') }}, currency
{%- endmacro -%}
