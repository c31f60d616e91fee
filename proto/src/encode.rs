//! Writes messages: into room made for them at once, which is cheaper than to let every number and text make its own.

use prost::Message;

/// Appends an encoded message.
pub fn append(message: &impl Message, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + message.encoded_len(), 0);
    if let Some(mut room) = out.get_mut(start..) {
        message.encode_raw(&mut room);
    }
}

/// An encoded message.
pub fn to_vec(message: &impl Message) -> Vec<u8> {
    let mut out = vec![0; message.encoded_len()];
    message.encode_raw(&mut &mut *out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Identifier, Member, Trait, TraitFact};

    #[test]
    fn writes_what_prost_writes() {
        let traits =
            vec![TraitFact { r#trait: Some(Trait { name: "name".into(), value: "Zhang".into() }), at: None, public: false }];
        let identifier = Some(Identifier::new("email", "", "zhang@example.com"));
        let member = Member { identifier, earliest_ms: Some(-5), generation: 300, traits, ..Member::default() };
        assert_eq!(to_vec(&member), member.encode_to_vec());
        let mut out = vec![7];
        append(&member, &mut out);
        assert_eq!((out[0], &out[1..]), (7, &member.encode_to_vec()[..]));
        assert!(to_vec(&Member::default()).is_empty());
    }
}
