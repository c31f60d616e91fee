//! The fields of a notice, borrowed from it.

use crate::lenient::{self, List, Raw};
use crate::scalar::Scalar;

lenient::object! {
    Notice {
        "eventId" => event_id: Scalar<'a>,
        "portalId" => portal_id: Scalar<'a>,
        "occurredAt" => occurred_at: Scalar<'a>,
        "subscriptionType" => subscription_type: Scalar<'a>,
        "objectId" => object_id: Scalar<'a>,
        "objectTypeId" => object_type_id: Scalar<'a>,
        "propertyName" => property_name: Scalar<'a>,
        "propertyValue" => property_value: Raw<'a>,
        "primaryObjectId" => primary_object_id: Scalar<'a>,
        "mergedObjectIds" => merged_object_ids: List<'a>,
        "newObjectId" => new_object_id: Scalar<'a>,
        "associationType" => association_type: Scalar<'a>,
        "fromObjectId" => from_object_id: Scalar<'a>,
        "fromObjectTypeId" => from_object_type_id: Scalar<'a>,
        "toObjectId" => to_object_id: Scalar<'a>,
        "toObjectTypeId" => to_object_type_id: Scalar<'a>,
        "associationRemoved" => association_removed: Scalar<'a>,
        "associationTypeId" => association_type_id: Scalar<'a>,
        "properties" => properties: Raw<'a>,
        "isPrimaryAssociation" => is_primary_association: Scalar<'a>,
    }
}
