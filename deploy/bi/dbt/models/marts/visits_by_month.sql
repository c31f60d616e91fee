SELECT {{ month_of(local_day('visit_time')) }} AS month, channel, count(*) AS visits, count(DISTINCT profile_id) AS people, sum(visits.hits) AS hits
FROM {{ ref('visits') }} AS visits GROUP BY {{ month_of(local_day('visit_time')) }}, channel
