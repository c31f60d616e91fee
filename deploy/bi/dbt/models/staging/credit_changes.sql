SELECT milestone_id, {{ text('updates.milestone_kind') }} AS milestone_kind, {{ text('updates.model') }} AS model, touch_id, account_id, profile_id,
    {{ text('updates.channel') }} AS channel, {{ text('updates.source') }} AS source, {{ text('updates.medium') }} AS medium, campaign, content, term,
    {{ ms('updates.touch_time') }} AS touch_time, {{ ms('updates.milestone_time') }} AS milestone_time,
    weight_nano, value_minor, {{ text('updates.currency') }} AS currency, delta_weight_nano, delta_value_minor,
    {{ text('updates.reporting_currency') }} AS reporting_currency, reporting_value_minor, delta_reporting_value_minor,
    revision, {{ text('updates.reason') }} AS reason, {{ own('updates.dimensions') }} AS dimensions,
    {{ own('updates.milestone_dimensions') }} AS milestone_dimensions
FROM {{ once(source('tributary', 'credit_updates')) }} AS updates
