SELECT milestone_id, milestone_kind, model, touch_id, account_id, profile_id, channel, source, medium, campaign, content, term, touch_time,
    milestone_time, weight_nano, value_minor, currency, reporting_currency, reporting_value_minor, revision, reason,
    dimensions, milestone_dimensions
FROM (
    SELECT *, row_number() OVER (PARTITION BY milestone_id, model, touch_id ORDER BY revision DESC) AS latest FROM {{ ref('credit_changes') }}
) AS changes
WHERE latest = 1 AND weight_nano <> 0
