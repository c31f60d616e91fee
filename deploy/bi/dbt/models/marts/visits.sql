{%- set gap = var('session_gap_minutes') * 60000 -%}
{%- set device = 'PARTITION BY unit_id, profile_id, place ORDER BY touch_time, touchpoint_id' -%}
WITH versions AS (
    SELECT *, CASE WHEN account_id <> '' THEN account_id ELSE profile_id END AS unit_id,
        CASE WHEN digital THEN device ELSE touchpoint_id END AS place,
        CASE WHEN names_source THEN concat(channel, {{ separator() }}, source, {{ separator() }}, medium, {{ separator() }}, campaign) END AS named
    FROM {{ ref('touchpoints') }} AS touchpoints
), counted AS (
    SELECT *, row_number() OVER (PARTITION BY unit_id, touch_id ORDER BY public, touch_time, touchpoint_id) AS version FROM versions
), timed AS (
    SELECT *, touch_time - {{ previous('touch_time', device) }} AS gap FROM counted WHERE version = 1
), runs AS (
    SELECT *, sum(CASE WHEN gap <= {{ gap }} THEN 0 ELSE 1 END) OVER ({{ device }} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS run FROM timed
), sources AS (
    SELECT *, {{ previous('named', 'PARTITION BY unit_id, profile_id, place, run, named IS NOT NULL ORDER BY touch_time, touchpoint_id') }} AS named_before
    FROM runs
), begun AS (
    SELECT *, CASE WHEN gap IS NULL OR gap > {{ gap }} OR named <> named_before THEN 1 ELSE 0 END AS begins FROM sources
), numbered AS (
    SELECT *, sum(begins) OVER ({{ device }} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS visit FROM begun
), placed AS (
    SELECT *, row_number() OVER (PARTITION BY unit_id, profile_id, place, visit ORDER BY touch_time, touchpoint_id) AS hit,
        row_number() OVER (PARTITION BY unit_id, profile_id, place, visit
            ORDER BY CASE WHEN names_source THEN 0 ELSE 1 END, touch_time, touchpoint_id) AS rank_of_source
    FROM numbered
)
SELECT unit_id, profile_id, account_id, max(CASE WHEN hit = 1 THEN placed.touch_id END) AS touch_id, min(touch_time) AS visit_time,
    max(CASE WHEN rank_of_source = 1 THEN placed.channel END) AS channel, max(CASE WHEN rank_of_source = 1 THEN placed.source END) AS source,
    max(CASE WHEN rank_of_source = 1 THEN placed.campaign END) AS campaign, count(*) AS hits,
    min(CASE WHEN placed.consented THEN 1 ELSE 0 END) = 1 AS consented
FROM placed GROUP BY unit_id, profile_id, account_id, place, visit
