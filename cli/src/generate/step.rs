//! The steps of a history, one per record.

/// What kind of record a step becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A landing hit, on the first or second cookie.
    Landing { cookie: u8 },
    /// A page view on our own site.
    Page { cookie: u8 },
    /// A form that names the person, on the first or second cookie.
    Form { cookie: u8 },
    /// A login: user id, cookie, email.
    Login,
    /// A scan of the QR code that carries the cookie.
    Scan,
    /// An article read inside WeChat.
    Article,
    /// A UnionID learnt for an OpenID.
    UnionId,
    /// A webinar attended.
    Webinar,
    /// A badge scanned at a trade show: a row of a spreadsheet.
    Booth,
    /// A call or visit by sales.
    Call,
    /// A lead created in the CRM.
    LeadCreated,
    /// A lead converted to a contact.
    Converted,
    /// The company's record in the CRM.
    Account,
    /// A version of a milestone: an index into the journey's milestones.
    Milestone(u16),
    /// A record that must be refused.
    Broken,
}

/// A step of a company's journey.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// When it happened, milliseconds since 1970-01-01 UTC.
    pub(super) at_ms: i64,
    /// When it was received, as the sender states.
    pub(super) received_ms: i64,
    /// When this copy of the record arrives; histories are sorted by it.
    pub(super) arrives_ms: i64,
    /// The person, by position in the company.
    pub(super) person: u16,
    /// What happened.
    pub(super) kind: Kind,
    /// Random bits for the details.
    pub(super) detail: u32,
    /// Number of the event in the company; copies share it.
    pub(super) serial: u32,
}

/// A version of a milestone.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) kind: &'static str,
    pub(super) object: String,
    /// When the milestone was reached, if this version is a later report of it.
    pub(super) occurred_ms: Option<i64>,
    /// Minor units and currency with its decimals.
    pub(super) value: Option<(u64, &'static str, u32)>,
    pub(super) withdrawn: bool,
    /// Whether a lead (not yet a contact of an account) reached it.
    pub(super) of_lead: bool,
}
