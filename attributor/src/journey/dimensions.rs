//! Own dimensions of a visit. Each is that of the first hit that gives it, trusted hits before public ones: what anybody could have sent
//! fills gaps and changes nothing.

use std::borrow::Cow;

use tributary_proto::{Dimensions, Message};

use super::Touchpoint;
use crate::view::own_dimensions;

/// The dimensions of the hits of a visit, in order. Allocates nothing while no hit has any.
#[derive(Default)]
pub(super) struct Gathered<'t>(Vec<(bool, &'t [u8])>);

impl<'t> Gathered<'t> {
    /// Adds the next hit.
    pub fn hit(&mut self, hit: &Touchpoint<'t>) {
        let said = (hit.view.public, hit.view.dimensions);
        if !said.1.is_empty() && self.0.last() != Some(&said) {
            self.0.push(said);
        }
    }

    /// The dimensions of the visit, as an encoded [`Dimensions`]; empty if there are none.
    pub fn merged(mut self) -> Cow<'t, [u8]> {
        self.0.sort_by_key(|(public, _)| *public);
        let Some(((_, first), others)) = self.0.split_first() else { return Cow::Borrowed(&[]) };
        if others.iter().all(|(_, other)| other == first) {
            return Cow::Borrowed(first);
        }
        let mut merged = Dimensions::default();
        for (name, value) in self.0.iter().filter_map(|(_, said)| own_dimensions(said)).flat_map(|own| own.values) {
            merged.values.entry(name).or_insert(value);
        }
        Cow::Owned(merged.encode_to_vec())
    }
}
