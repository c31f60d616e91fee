//! What public events may state. Anybody can read the write key in a page. So an event of such a key names no CRM record and no account,
//! and does not affect other people's credit.

use std::collections::BTreeSet;

use tributary_proto::kind;
use tributary_runtime::stage::Rejection;

use crate::identifiers::Sorted;
use crate::ignored::Ignored;
use crate::reason;
use crate::receipt::Receipt;

/// What public events may state, compiled.
#[derive(Debug)]
pub(crate) struct PublicRules {
    /// Kinds of milestones that they may report.
    pub(crate) milestones: BTreeSet<String>,
    /// Of these, the kinds whose value, currency and withdrawal they may state, too.
    pub(crate) values: BTreeSet<String>,
    /// How far before their receipt they may have happened, milliseconds.
    pub(crate) age_ms_max: i64,
}

/// The kinds of person identifiers that are CRM records.
const CRM_RECORDS: [&str; 2] = ["crm_contact", "crm_lead"];

impl PublicRules {
    /// Leaves out identifiers that a public event must not name.
    pub(crate) fn restrict(&self, receipt: &Receipt, named: &mut Sorted, ignored: &mut Ignored) {
        if !receipt.is_public() {
            return;
        }
        named.people.retain(|identifier| {
            let of_crm = CRM_RECORDS.into_iter().find(|kind| *kind == identifier.kind);
            of_crm.into_iter().for_each(|kind| ignored.note(refused(kind, "records of the CRM are named")));
            of_crm.is_none()
        });
        for account in std::mem::take(&mut named.accounts) {
            let field = if account.kind == kind::CRM_ACCOUNT { kind::CRM_ACCOUNT } else { kind::DOMAIN };
            ignored.note(refused(field, "accounts are named"));
        }
    }

    /// Refuses a public event that happened too long before its receipt.
    ///
    /// # Errors
    /// [`reason::TIMESTAMP_TOO_OLD`].
    pub(crate) fn check_age(&self, receipt: &Receipt, time_ms: i64, field: &'static str) -> Result<(), Rejection> {
        match receipt.received_ms.filter(|_| receipt.is_public()) {
            Some(received_ms) if time_ms < received_ms.saturating_sub(self.age_ms_max) => {
                let hours = self.age_ms_max / 3_600_000;
                let detail = format!(
                    "the time lies more than {hours} h before the receive time, and anybody could have sent this; send it with a server's key"
                );
                Err(Rejection::new(reason::TIMESTAMP_TOO_OLD, field, detail))
            }
            _ => Ok(()),
        }
    }
}

/// The rejection of what only trusted sources may state.
pub(crate) fn refused(field: &'static str, what: &str) -> Rejection {
    let detail = format!("with a public write key no {what}; send it with a server's key, or from a trusted source");
    Rejection::new(reason::PUBLIC_REFUSED, field, detail)
}

/// Refuses what a public event must not state, if `what` names something.
///
/// # Errors
/// [`reason::PUBLIC_REFUSED`].
pub(crate) fn check(receipt: &Receipt, field: &'static str, what: Option<&str>) -> Result<(), Rejection> {
    what.filter(|_| receipt.is_public()).map_or(Ok(()), |what| Err(refused(field, what)))
}
