//! The relevant fields of an SDK message, borrowed from it; all others are skipped unread. A bad value makes only its own field unreadable.

use crate::lenient::{Part, Raw, object};
use crate::scalar::Scalar;
use crate::traits::RawTraits;

object! {
    /// A message.
    Message {
        "type" => kind: Scalar<'a>,
        "event" => event: Scalar<'a>,
        /// See [`TRUST_FIELD`](crate::TRUST_FIELD).
        "_trust" => trust: Scalar<'a>,
        "messageId" => message_id: Scalar<'a>,
        "userId" => user_id: Scalar<'a>,
        "anonymousId" => anonymous_id: Scalar<'a>,
        "previousId" => previous_id: Scalar<'a>,
        "groupId" => group_id: Scalar<'a>,
        "timestamp" => timestamp: Raw<'a>,
        "originalTimestamp" => original_timestamp: Raw<'a>,
        "sentAt" => sent_at: Raw<'a>,
        "receivedAt" => received_at: Raw<'a>,
        "traits" => traits: Part<RawTraits<'a>>,
        "context" => context: Part<Context<'a>>,
        "properties" => properties: Part<Properties<'a>>,
    }
}

object! {
    /// The context of a message.
    Context {
        "campaign" => campaign: Part<Campaign<'a>>,
        "page" => page: Part<Page<'a>>,
        "traits" => traits: Part<RawTraits<'a>>,
        "externalIds" => external_ids: Raw<'a>,
        "groupId" => group_id: Scalar<'a>,
        "userAgent" => user_agent: Scalar<'a>,
        "dimensions" => dimensions: Part<RawTraits<'a>>,
    }
}

object! {
    /// The campaign of the visit.
    Campaign {
        "name" => name: Scalar<'a>,
        "source" => source: Scalar<'a>,
        "medium" => medium: Scalar<'a>,
        "term" => term: Scalar<'a>,
        "content" => content: Scalar<'a>,
    }
}

object! {
    /// The page of the visit.
    Page {
        "url" => url: Scalar<'a>,
        "referrer" => referrer: Scalar<'a>,
        "search" => search: Scalar<'a>,
    }
}

object! {
    /// An identifier of a declared kind.
    ExternalId {
        /// The identifier kind.
        "type" => kind: Scalar<'a>,
        "id" => id: Scalar<'a>,
    }
}

object! {
    /// Properties of pages (`url`, `referrer`), of forms (`email`, `phone`) and of milestone events (`object_id`, `value` or `revenue`,
    /// `currency`), and own dimensions of all.
    Properties {
        "url" => url: Scalar<'a>,
        "referrer" => referrer: Scalar<'a>,
        "email" | "Email" => email: Scalar<'a>,
        "phone" | "Phone" | "mobile" | "Mobile" => phone: Scalar<'a>,
        "object_id" => object_id: Scalar<'a>,
        "value" => value: Raw<'a>,
        "revenue" => revenue: Raw<'a>,
        "currency" => currency: Scalar<'a>,
        "dimensions" => dimensions: Part<RawTraits<'a>>,
    }
}
