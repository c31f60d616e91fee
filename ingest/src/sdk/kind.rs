//! The kinds of SDK messages.

use tributary_runtime::stage::Rejection;

use crate::reason;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Track,
    Page,
    Screen,
    Identify,
    Group,
    Alias,
}

impl Kind {
    /// The kind of a message's `type`, in any case.
    ///
    /// # Errors
    /// [`reason::KIND_UNKNOWN`].
    pub(super) fn read(kind: &str) -> Result<Self, Rejection> {
        Ok(match kind.to_ascii_lowercase().as_str() {
            "track" => Self::Track,
            "page" => Self::Page,
            "screen" => Self::Screen,
            "identify" => Self::Identify,
            "group" => Self::Group,
            "alias" => Self::Alias,
            _ => {
                let detail = "expected track, identify, page, screen, group or alias";
                return Err(Rejection::new(reason::KIND_UNKNOWN, "type", detail));
            }
        })
    }
}
