//! Metrics of ingest.

use tributary_runtime::metric::{Metric, MetricKind};
use tributary_runtime::topic::Topic;

use crate::webhook::vendor_stages::LADDERS;

/// The raw inputs.
const INPUTS: [&str; 4] = [Topic::Sdk.name(), Topic::Utm.name(), Topic::Webhook.name(), Topic::Offline.name()];

/// Decoded events, by raw input.
pub static EVENTS: Metric = Metric {
    name: "tributary_ingest_events_total",
    kind: MetricKind::Counter,
    label: "topic",
    values: &INPUTS,
    help: "Events, and records of spend, decoded and passed on, by raw input. A source that does not advance while its topic grows: check the dead letters.",
};

/// Fields that were left out.
pub static FIELDS_IGNORED: Metric = Metric {
    name: "tributary_fields_ignored_total",
    kind: MetricKind::Counter,
    label: "source,field,reason",
    values: &[],
    help: "Values of fields that could not be read and were left out of an event that counts without them, by raw input, field and reason. A sudden rise: a sender broke.",
};

/// Labels for [`FIELDS_IGNORED`]; all other fields are `other`.
const FIELDS: [&str; 64] = [
    "account",
    "amends",
    "anonymousId",
    "anonymous_id",
    "campaign",
    "channel",
    "consent",
    "contacts",
    "content",
    "context",
    "crm_account",
    "crm_contact",
    "crm_lead",
    "currency",
    "day",
    "device_id",
    "domain",
    "email",
    "email_sha256",
    "event_id",
    "externalIds",
    "ExternalUserID",
    "FromUserName",
    "groupId",
    "medium",
    "messageId",
    "milestone",
    "name",
    "object_id",
    "occurred_at",
    "originalTimestamp",
    "page",
    "phone",
    "previousId",
    "properties",
    "propertyValue",
    "receivedAt",
    "received_at",
    "referrer",
    "refund",
    "revenue",
    "role",
    "search",
    "sentAt",
    "source",
    "State",
    "subscriptionType",
    "term",
    "timestamp",
    "touch_type",
    "traits",
    "UnionId",
    "url",
    "userAgent",
    "user_agent",
    "userId",
    "user_id",
    "value",
    "wechat_openid",
    "wechat_unionid",
    "wecom_external_userid",
    "withdrawn",
    "CloseDate",
    "Amount",
];

/// The label of a field: its name without the path, if it is a known one.
pub(crate) fn field_label(field: &str) -> &'static str {
    let name = field.rsplit('.').next().unwrap_or(field);
    FIELDS.into_iter().find(|known| *known == name).unwrap_or("other")
}

/// Identifiers dropped because their value is blocked.
pub static IDENTIFIERS_BLOCKED: Metric = Metric {
    name: "tributary_ingest_identifiers_blocked_total",
    kind: MetricKind::Counter,
    label: "topic",
    values: &INPUTS,
    help: "Identifiers dropped because their value is blocked (null, anonymous, all zeros, ...). A sudden rise: a sender broke.",
};

/// External ids dropped because their kind is not declared.
pub static IDENTIFIERS_UNDECLARED: Metric = Metric {
    name: "tributary_ingest_identifiers_undeclared_total",
    kind: MetricKind::Counter,
    label: "topic",
    values: &INPUTS,
    help: "External ids of SDK messages dropped because no identifier kind of that name is declared. Declare the kind to use them.",
};

/// Messages of bots.
pub static MESSAGES_OF_BOTS: Metric = Metric {
    name: "tributary_ingest_messages_of_bots_total",
    kind: MetricKind::Counter,
    label: "topic",
    values: &INPUTS,
    help: "SDK messages and landing hits that would have been touches, dropped because their user agent is a crawler's, a monitor's or a library's.",
};

/// Messages that give no event.
pub static MESSAGES_WITHOUT_EVENT: Metric = Metric {
    name: "tributary_ingest_messages_without_event_total",
    kind: MetricKind::Counter,
    label: "topic",
    values: &INPUTS,
    help: "Messages that say nothing of a touch, milestone or person: an internal page view without id, a CRM's change of no interest.",
};

/// Stages of a CRM without a rule.
pub static STAGES_WITHOUT_RULE: Metric = Metric {
    name: "tributary_ingest_stages_without_rule_total",
    kind: MetricKind::Counter,
    label: "setting",
    values: &LADDERS,
    help: "Changes to a stage that no rule names, by the setting below ingest.webhook that would: they change nothing. Name the stage there, with \"\" if it is no milestone; `tributary test-mapping` shows which it is.",
};

/// All metrics of ingest.
pub static ALL: [&Metric; 7] = [
    &EVENTS,
    &FIELDS_IGNORED,
    &IDENTIFIERS_BLOCKED,
    &IDENTIFIERS_UNDECLARED,
    &MESSAGES_OF_BOTS,
    &MESSAGES_WITHOUT_EVENT,
    &STAGES_WITHOUT_RULE,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_fields_are_bounded() {
        for (field, label) in
            [("phone", "phone"), ("context.traits.phone", "phone"), ("body[3].url", "url"), ("my_own", "other"), ("", "other")]
        {
            assert_eq!(field_label(field), label);
        }
    }
}
