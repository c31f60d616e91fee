{#- What the databases say differently. Whoever adds one adds a row of each. -#}

{#- A day in the reports' time zone, of milliseconds since 1970 UTC. -#}
{%- macro local_day(ms) -%}{{ return(adapter.dispatch('local_day')(ms)) }}{%- endmacro -%}
{%- macro duckdb__local_day(ms) -%}CAST(timezone('{{ var('time_zone') }}', to_timestamp({{ ms }} / 1000.0)) AS DATE){%- endmacro -%}
{%- macro postgres__local_day(ms) -%}CAST(to_timestamp({{ ms }} / 1000.0) AT TIME ZONE '{{ var('time_zone') }}' AS DATE){%- endmacro -%}
{%- macro clickhouse__local_day(ms) -%}toDate32(fromUnixTimestamp64Milli({{ ms }}, '{{ var('time_zone') }}')){%- endmacro -%}

{#- The first day of a day's month. -#}
{%- macro month_of(day) -%}{{ return(adapter.dispatch('month_of')(day)) }}{%- endmacro -%}
{%- macro default__month_of(day) -%}CAST(date_trunc('month', {{ day }}) AS DATE){%- endmacro -%}
{%- macro clickhouse__month_of(day) -%}toStartOfMonth({{ day }}){%- endmacro -%}

{#- A time as milliseconds since 1970 UTC, 0 where there is none: so it is in the topics, and files of `tributary export` have timestamps. -#}
{%- macro ms(column) -%}{{ return(adapter.dispatch('ms')(column)) }}{%- endmacro -%}
{%- macro default__ms(column) -%}{{ column }}{%- endmacro -%}
{%- macro duckdb__ms(column) -%}coalesce(epoch_ms({{ column }}), 0){%- endmacro -%}

{#- A text that goes with every other text. -#}
{%- macro text(column) -%}{{ return(adapter.dispatch('text')(column)) }}{%- endmacro -%}
{%- macro default__text(column) -%}{{ column }}{%- endmacro -%}
{%- macro clickhouse__text(column) -%}toString({{ column }}){%- endmacro -%}

{#- A sum of integers that cannot overflow. -#}
{%- macro total(expression) -%}{{ return(adapter.dispatch('total')(expression)) }}{%- endmacro -%}
{%- macro default__total(expression) -%}sum({{ expression }}){%- endmacro -%}
{%- macro duckdb__total(expression) -%}CAST(sum({{ expression }}) AS HUGEINT){%- endmacro -%}
{%- macro clickhouse__total(expression) -%}sum(toInt128({{ expression }})){%- endmacro -%}

{#- The rows of a table that consumers may have delivered twice, each once. -#}
{%- macro once(table) -%}{{ return(adapter.dispatch('once')(table)) }}{%- endmacro -%}
{%- macro default__once(table) -%}{{ table }}{%- endmacro -%}
{%- macro clickhouse__once(table) -%}(SELECT * FROM {{ table }} FINAL){%- endmacro -%}

{#- The value in the row before, in a window; null in its first row. -#}
{%- macro previous(expression, window) -%}{{ return(adapter.dispatch('previous')(expression, window)) }}{%- endmacro -%}
{%- macro default__previous(expression, window) -%}lag({{ expression }}) OVER ({{ window }}){%- endmacro -%}
{%- macro clickhouse__previous(expression, window) -%}
lagInFrame(toNullable({{ expression }})) OVER ({{ window }} ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
{%- endmacro -%}

{#- The lower median of integers; null where there is none. -#}
{%- macro lower_median(expression) -%}{{ return(adapter.dispatch('lower_median')(expression)) }}{%- endmacro -%}
{%- macro duckdb__lower_median(expression) -%}CAST(quantile_disc({{ expression }}, 0.5) AS BIGINT){%- endmacro -%}
{%- macro postgres__lower_median(expression) -%}percentile_disc(0.5) WITHIN GROUP (ORDER BY {{ expression }}){%- endmacro -%}
{%- macro clickhouse__lower_median(expression) -%}quantileExactLowOrNull(0.5)({{ expression }}){%- endmacro -%}

{#- Texts in an order, one behind another. -#}
{%- macro joined(text, separator, order) -%}{{ return(adapter.dispatch('joined')(text, separator, order)) }}{%- endmacro -%}
{%- macro default__joined(text, separator, order) -%}string_agg({{ text }}, '{{ separator }}' ORDER BY {{ order }}){%- endmacro -%}
{%- macro clickhouse__joined(text, separator, order) -%}
arrayStringConcat(arrayMap(step -> step.2, arraySort(groupArray((({{ order }}), {{ text }})))), '{{ separator }}')
{%- endmacro -%}

{#- A number with a fraction. -#}
{%- macro fraction(expression) -%}CAST({{ expression }} AS DOUBLE PRECISION){%- endmacro -%}

{#- What stands between the parts of a name that is compared: no text has it. -#}
{%- macro separator() -%}{{ return(adapter.dispatch('separator')()) }}{%- endmacro -%}
{%- macro default__separator() -%}chr(31){%- endmacro -%}
{%- macro clickhouse__separator() -%}char(31){%- endmacro -%}

{#- Own dimensions by name; none where the row says nothing of them. -#}
{%- macro own(column) -%}{{ return(adapter.dispatch('own')(column)) }}{%- endmacro -%}
{%- macro default__own(column) -%}{{ column }}{%- endmacro -%}
{%- macro postgres__own(column) -%}coalesce({{ column }}, CAST('{}' AS jsonb)){%- endmacro -%}

{#- One of them, empty where it is not given. -#}
{%- macro dimension(column, name) -%}{{ return(adapter.dispatch('dimension')(column, name)) }}{%- endmacro -%}
{%- macro duckdb__dimension(column, name) -%}coalesce(map_extract({{ column }}, '{{ name }}')[1], ''){%- endmacro -%}
{%- macro postgres__dimension(column, name) -%}coalesce({{ column }} ->> '{{ name }}', ''){%- endmacro -%}
{%- macro clickhouse__dimension(column, name) -%}{{ column }}['{{ name }}']{%- endmacro -%}

{#- A table with a row for each dimension that a row of it has: `dimension` and `dimension_value`. -#}
{%- macro by_dimension(table, column) -%}{{ return(adapter.dispatch('by_dimension')(table, column)) }}{%- endmacro -%}
{%- macro duckdb__by_dimension(table, column) -%}
(SELECT *, own.key AS dimension, own.value AS dimension_value FROM (SELECT *, unnest(map_entries({{ column }})) AS own FROM {{ table }}) AS listed)
{%- endmacro -%}
{%- macro postgres__by_dimension(table, column) -%}
(SELECT listed.*, own.key AS dimension, own.value AS dimension_value
    FROM {{ table }} AS listed CROSS JOIN LATERAL jsonb_each_text(listed.{{ column }}) AS own(key, value))
{%- endmacro -%}
{%- macro clickhouse__by_dimension(table, column) -%}
(SELECT *, toString(own_name) AS dimension, own_value AS dimension_value
    FROM {{ table }} ARRAY JOIN mapKeys({{ column }}) AS own_name, mapValues({{ column }}) AS own_value)
{%- endmacro -%}
