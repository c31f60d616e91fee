WITH won AS (
    SELECT unit_id, min(milestone_time) AS won_time
    FROM (
        SELECT CASE WHEN account_id <> '' THEN account_id ELSE profile_id END AS unit_id, milestone_time
        FROM {{ ref('milestones') }} AS milestones WHERE milestone_kind = 'closed_won' AND NOT withdrawn
    ) AS deals
    GROUP BY unit_id
), steps AS (
    SELECT visits.unit_id AS unit_id, channel, visit_time, touch_id, coalesce(won.won_time, 0) AS won_time
    FROM {{ ref('visits') }} AS visits LEFT JOIN won ON visits.unit_id = won.unit_id
    WHERE consented
)
SELECT unit_id, won_time <> 0 AS won, count(*) AS visits, {{ joined('channel', ' > ', 'visit_time, touch_id') }} AS path
FROM steps WHERE won_time = 0 OR visit_time <= won_time GROUP BY unit_id, won_time
