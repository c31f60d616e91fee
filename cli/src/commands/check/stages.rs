//! Stages of CRMs that no rule names, from the counters of a running service.

use tributary_ingest::metrics::STAGES_WITHOUT_RULE;

/// A summary of the stages, from the service's metrics in the text format of Prometheus.
pub fn tell(metrics: &str) -> String {
    let counted = |line: &str| {
        let (labels, count) = line.strip_prefix(STAGES_WITHOUT_RULE.name)?.rsplit_once(' ')?;
        let setting = labels.split('"').nth(1)?;
        (count.parse::<f64>().ok()? > 0.0).then(|| format!("{count} of ingest.webhook.{setting}.stages"))
    };
    let counted: Vec<String> = metrics.lines().filter_map(counted).collect();
    if counted.is_empty() {
        return "every stage that came since the service started has a rule".to_owned();
    }
    format!(
        "changes to stages without a rule, which change nothing: {}; `tributary test-mapping` shows which they are",
        counted.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_lack_a_stage_are_named_with_their_count() {
        let metrics = "# HELP tributary_ingest_stages_without_rule_total x\n\
            tributary_ingest_stages_without_rule_total{setting=\"hubspot.deals\"} 3\n\
            tributary_ingest_stages_without_rule_total{setting=\"salesforce.leads\"} 0\n";
        assert!(tell(metrics).contains("nothing: 3 of ingest.webhook.hubspot.deals.stages;"), "{}", tell(metrics));
        assert!(tell("").ends_with("has a rule"));
    }
}
