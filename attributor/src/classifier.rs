//! Changed channel rules: touches are classified again, from the input of the original classification.
//!
//! A touch records which rules found its channel ([`Origin::rules`]). If these are not the plan's, every reader of the touch classifies it
//! by the plan's rules. So a journey uses one set of rules only, whichever rules were active when its touches arrived.

use std::borrow::Cow;
use std::fmt::Debug;

use tributary_proto::{Message, Origin, StoredTouch, Touch};

use crate::view::{Malformed, split_origin};

/// The channel rules. The attributor gets them from its caller: it does not depend on `ingest`.
///
/// ```
/// use tributary_attributor::classifier::Classifier;
/// use tributary_proto::{Origin, Touch};
///
/// /// Everything is mail.
/// #[derive(Debug)]
/// struct AllMail;
///
/// impl Classifier for AllMail {
///     fn rules(&self) -> u32 {
///         7
///     }
///
///     fn reclassified(&self, touch: &Touch, _: &Origin) -> Touch {
///         Touch { channel: "email".into(), ..touch.clone() }
///     }
/// }
///
/// let touch = Touch { channel: "direct".into(), ..Touch::default() };
/// assert_eq!(AllMail.reclassified(&touch, &Origin::default()).channel, "email");
/// ```
pub trait Classifier: Debug + Send + Sync {
    /// The version of the rules, as in [`Origin::rules`].
    fn rules(&self) -> u32;

    /// The touch as these rules classify it, from the input of its original classification.
    fn reclassified(&self, touch: &Touch, origin: &Origin) -> Touch;
}

/// An encoded `StoredTouch` as journeys use it: without its origin, and classified by `classifier`.
///
/// # Errors
/// When the bytes are not one.
pub(crate) fn face<'a>(raw: &'a [u8], classifier: Option<&dyn Classifier>) -> Result<Cow<'a, [u8]>, Malformed> {
    let split = split_origin(raw)?;
    match classifier.filter(|classifier| split.rules.is_some_and(|rules| rules != classifier.rules())) {
        None => Ok(Cow::Borrowed(split.face)),
        Some(classifier) => {
            let renamed = renamed(raw, classifier)?;
            Ok(Cow::Owned(StoredTouch { origin: None, ..renamed }.encode_to_vec()))
        }
    }
}

/// The touch classified by `classifier`, with its origin. `None` if these rules classified it already, or its origin is unknown.
///
/// # Errors
/// When the bytes are not a `StoredTouch`.
pub(crate) fn renewed(raw: &[u8], classifier: &dyn Classifier) -> Result<Option<Vec<u8>>, Malformed> {
    match split_origin(raw)?.rules {
        Some(rules) if rules != classifier.rules() => Ok(Some(renamed(raw, classifier)?.encode_to_vec())),
        _ => Ok(None),
    }
}

/// The same, but also if these rules classified it already.
///
/// # Errors
/// When the bytes are not a `StoredTouch`.
pub(crate) fn renamed(raw: &[u8], classifier: &dyn Classifier) -> Result<StoredTouch, Malformed> {
    let stored = StoredTouch::decode(raw)?;
    let (Some(touch), Some(origin)) = (&stored.touch, &stored.origin) else { return Ok(stored) };
    let touch = classifier.reclassified(touch, origin);
    let origin = Origin { rules: classifier.rules(), ..origin.clone() };
    Ok(StoredTouch { touch: Some(touch), origin: Some(origin), ..stored })
}
