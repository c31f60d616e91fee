-- Of every milestone and model the values are exactly what the milestone is worth.
SELECT credited.milestone_id, credited.model, credited.total_minor, milestones.value_minor
FROM (
    SELECT milestone_id, model, {{ total('credits.value_minor') }} AS total_minor FROM {{ ref('credits') }} AS credits GROUP BY milestone_id, model
) AS credited
JOIN {{ ref('milestones') }} AS milestones ON credited.milestone_id = milestones.milestone_id
WHERE credited.total_minor <> milestones.value_minor
