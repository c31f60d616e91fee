SELECT milestone_kind, stage_after, count(*) AS reached,
    {{ lower_median("CASE WHEN stage_after <> '' THEN stage_after_time - milestone_time END") }} AS median_ms
FROM {{ ref('milestones') }} AS milestones WHERE NOT withdrawn GROUP BY milestone_kind, stage_after
