SELECT milestone_id, account_id, model, channel, source, campaign, currency, sum(weight_nano) / 1e9 AS share,
    {{ total('credits.value_minor') }} AS value_minor
FROM {{ ref('credits') }} AS credits WHERE milestone_kind = 'closed_won'
GROUP BY milestone_id, account_id, model, channel, source, campaign, currency
