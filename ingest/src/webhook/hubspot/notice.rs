//! The fields of a notice, borrowed from it.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::scalar::Scalar;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Notice<'a> {
    #[serde(borrow)]
    pub(super) event_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) portal_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) occurred_at: Scalar<'a>,
    #[serde(borrow)]
    pub(super) subscription_type: Scalar<'a>,
    #[serde(borrow)]
    pub(super) object_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) object_type_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) property_name: Scalar<'a>,
    #[serde(borrow)]
    pub(super) property_value: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) primary_object_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) merged_object_ids: Option<Vec<Scalar<'a>>>,
    #[serde(borrow)]
    pub(super) new_object_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) association_type: Scalar<'a>,
    #[serde(borrow)]
    pub(super) from_object_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) from_object_type_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) to_object_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) to_object_type_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) association_removed: Scalar<'a>,
    #[serde(borrow)]
    pub(super) is_primary_association: Scalar<'a>,
}
