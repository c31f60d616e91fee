SELECT account_id, count(*) AS touches, count(DISTINCT profile_id) AS people, sum(points) AS engagement
FROM (
    SELECT hits.account_id AS account_id, hits.profile_id AS profile_id,
        {{ points('hits.role', 'engagement_roles') }} * {{ points('hits.touch_type', 'engagement_touch_types') }}
            * power({{ fraction('0.5') }}, (newest.touch_time - hits.touch_time) / ({{ var('engagement_half_life_days') }} * 86400000.0)) AS points
    FROM {{ ref('touchpoints') }} AS hits CROSS JOIN (SELECT max(touch_time) AS touch_time FROM {{ ref('touchpoints') }} AS hits) AS newest
    WHERE hits.account_id <> '' AND hits.consented
) AS weighted
GROUP BY account_id
