{#- What earned how much of which milestones, by any columns of `credits`: `credit_by(['account_id', 'campaign'])`. Own dimensions are columns, too:
`dimensions.team` is the touch's, as `team`, and `milestone_dimensions.team` the milestone's, as `milestone_team`; both are empty where none is
given. Sums of one currency each. -#}
{%- macro credit_by(columns) -%}
SELECT {{ month_of(local_day('milestone_time')) }} AS month, milestone_kind, model,
{%- for column in columns %} {{ credit_column(column) }}{% if '.' in column %} AS {{ column.replace('dimensions.', '') }}{% endif %},{% endfor %} currency,
    sum(weight_nano) / 1e9 AS milestones, {{ total('credits.value_minor') }} AS value_minor
FROM {{ ref('credits') }} AS credits
GROUP BY {{ month_of(local_day('milestone_time')) }}, milestone_kind, model,{% for column in columns %} {{ credit_column(column) }},{% endfor %} currency
{%- endmacro -%}

{#- A column of `credits`, or one of the dimensions in it. -#}
{%- macro credit_column(column) -%}
{%- if '.' in column -%}{{ dimension(*column.split('.')) }}{%- else -%}{{ column }}{%- endif -%}
{%- endmacro -%}
