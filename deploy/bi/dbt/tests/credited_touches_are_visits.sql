-- What earned credit is a visit, and came by its channel.
SELECT DISTINCT credits.touch_id, credits.channel
FROM {{ ref('credits') }} AS credits LEFT JOIN {{ ref('visits') }} AS visits
    ON credits.touch_id = visits.touch_id AND credits.channel = visits.channel
WHERE credits.touch_id <> 'unattributed' AND coalesce(visits.touch_id, '') = ''
