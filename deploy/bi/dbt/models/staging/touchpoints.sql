SELECT touchpoint_id, touch_id, {{ ms('hits.touch_time') }} AS touch_time, profile_id, account_id, {{ text('hits.role') }} AS role, consented,
    {{ text('hits.channel') }} AS channel, {{ text('hits.source') }} AS source, {{ text('hits.medium') }} AS medium, campaign, content, term,
    {{ text('hits.touch_type') }} AS touch_type, url, referrer, {{ text('hits.input') }} AS input, public, identified, digital, names_source,
    device, revision, {{ own('hits.dimensions') }} AS dimensions
FROM (
    SELECT *, row_number() OVER (PARTITION BY touchpoint_id ORDER BY revision DESC) AS latest
    FROM {{ once(source('tributary', 'touchpoint_rows')) }} AS said
) AS hits
WHERE latest = 1 AND NOT erased
