{#- What a touch counts for, by a column: as the variable lists its values, without case, else 1. -#}
{%- macro points(column, listed) -%}
CASE lower({{ column }}){% for value, points in var(listed).items() %} WHEN '{{ value }}' THEN {{ points }}{% endfor %} ELSE 1.0 END
{%- endmacro -%}
