SELECT spend_id, day, {{ text('lines.channel') }} AS channel, {{ text('lines.source') }} AS source, {{ text('lines.medium') }} AS medium, campaign,
    value_minor, {{ text('lines.currency') }} AS currency, {{ own('lines.dimensions') }} AS dimensions
FROM {{ once(source('tributary', 'spend_rows')) }} AS lines
