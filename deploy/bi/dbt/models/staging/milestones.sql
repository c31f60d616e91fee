SELECT milestone_id, {{ text('reached.milestone_kind') }} AS milestone_kind, object_id, occurrence, {{ ms('reached.milestone_time') }} AS milestone_time,
    value_minor, {{ text('reached.currency') }} AS currency, exponent, {{ text('reached.reporting_currency') }} AS reporting_currency,
    reporting_value_minor, account_id, profile_id, withdrawn, public, {{ text('reached.stage_before') }} AS stage_before,
    {{ ms('reached.stage_before_time') }} AS stage_before_time, {{ text('reached.stage_after') }} AS stage_after,
    {{ ms('reached.stage_after_time') }} AS stage_after_time, stages, revision, {{ own('reached.dimensions') }} AS dimensions
FROM (
    SELECT *, row_number() OVER (PARTITION BY milestone_id ORDER BY revision DESC) AS latest
    FROM {{ once(source('tributary', 'milestone_rows')) }} AS said
) AS reached
WHERE latest = 1 AND NOT erased
