//! The fields of an SDK message that matter, borrowed from it; all others are skipped unread.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::scalar::Scalar;
use crate::traits::RawTraits;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Message<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Scalar<'a>,
    #[serde(borrow)]
    pub(super) event: Scalar<'a>,
    #[serde(borrow)]
    pub(super) message_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) user_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) anonymous_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) previous_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) group_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) timestamp: Scalar<'a>,
    #[serde(borrow)]
    pub(super) original_timestamp: Scalar<'a>,
    #[serde(borrow)]
    pub(super) sent_at: Scalar<'a>,
    #[serde(borrow)]
    pub(super) received_at: Scalar<'a>,
    #[serde(borrow)]
    pub(super) traits: RawTraits<'a>,
    #[serde(borrow)]
    pub(super) context: Option<Context<'a>>,
    #[serde(borrow)]
    pub(super) properties: Option<Properties<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Context<'a> {
    #[serde(borrow)]
    pub(super) campaign: Option<Campaign<'a>>,
    #[serde(borrow)]
    pub(super) page: Option<Page<'a>>,
    #[serde(borrow)]
    pub(super) traits: RawTraits<'a>,
    #[serde(borrow)]
    pub(super) external_ids: Option<Vec<ExternalId<'a>>>,
    #[serde(borrow)]
    pub(super) group_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) user_agent: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Campaign<'a> {
    #[serde(borrow)]
    pub(super) name: Scalar<'a>,
    #[serde(borrow)]
    pub(super) source: Scalar<'a>,
    #[serde(borrow)]
    pub(super) medium: Scalar<'a>,
    #[serde(borrow)]
    pub(super) term: Scalar<'a>,
    #[serde(borrow)]
    pub(super) content: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Page<'a> {
    #[serde(borrow)]
    pub(super) url: Scalar<'a>,
    #[serde(borrow)]
    pub(super) referrer: Scalar<'a>,
    #[serde(borrow)]
    pub(super) search: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ExternalId<'a> {
    /// The identifier kind.
    #[serde(borrow, rename = "type")]
    pub(super) kind: Scalar<'a>,
    #[serde(borrow)]
    pub(super) id: Scalar<'a>,
}

/// Properties of pages (`url`, `referrer`) and of milestone events (`object_id`, `value` or `revenue`, `currency`).
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Properties<'a> {
    #[serde(borrow)]
    pub(super) url: Scalar<'a>,
    #[serde(borrow)]
    pub(super) referrer: Scalar<'a>,
    #[serde(borrow)]
    pub(super) object_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) value: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) revenue: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) currency: Scalar<'a>,
}
