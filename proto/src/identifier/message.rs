//! An [`Identifier`] as a message: what prost derives for others, for text that its copies share.

use prost::bytes::{Buf, BufMut};
use prost::encoding::{
    DecodeContext, WireType, check_wire_type, decode_varint, encode_key, encode_varint, encoded_len_varint, key_len,
    skip_field, string,
};
use prost::{DecodeError, Message};
use smol_str::SmolStr;

use super::Identifier;

impl Identifier {
    /// Its fields with their tags, which are those of `output.proto`.
    fn parts(&self) -> [(u32, &SmolStr); 3] {
        [(1, &self.kind), (2, &self.scope), (3, &self.value)]
    }
}

impl Message for Identifier {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        for (tag, part) in self.parts().into_iter().filter(|(_, part)| !part.is_empty()) {
            encode_key(tag, WireType::LengthDelimited, buf);
            encode_varint(part.len() as u64, buf);
            buf.put_slice(part.as_bytes());
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        let (field, part) = match tag {
            1 => ("kind", &mut self.kind),
            2 => ("scope", &mut self.scope),
            3 => ("value", &mut self.value),
            _ => return skip_field(wire_type, tag, buf, context),
        };
        merge_part(wire_type, part, buf, context).map_err(|mut error| {
            error.push("Identifier", field);
            error
        })
    }

    fn encoded_len(&self) -> usize {
        let length = |(tag, part): (u32, &SmolStr)| key_len(tag) + encoded_len_varint(part.len() as u64) + part.len();
        self.parts().into_iter().filter(|(_, part)| !part.is_empty()).map(length).sum()
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Reads a field. Text that is contiguous in the buffer is read without an intermediate copy.
fn merge_part(wire_type: WireType, part: &mut SmolStr, buf: &mut impl Buf, context: DecodeContext) -> Result<(), DecodeError> {
    check_wire_type(WireType::LengthDelimited, wire_type)?;
    let mut ahead = buf.chunk();
    let before = ahead.len();
    let length = decode_varint(&mut ahead).ok().and_then(|length| usize::try_from(length).ok());
    if let Some(bytes) = length.and_then(|length| ahead.get(..length))
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        *part = SmolStr::new(text);
        let read = before - ahead.len() + text.len();
        buf.advance(read);
        return Ok(());
    }
    let mut text = String::new();
    string::merge(wire_type, &mut text, buf, context)?;
    *part = text.into();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same message as derived by prost.
    #[derive(Clone, PartialEq, Message)]
    struct Derived {
        #[prost(string, tag = "1")]
        kind: String,
        #[prost(string, tag = "2")]
        scope: String,
        #[prost(string, tag = "3")]
        value: String,
    }

    fn both(kind: &str, scope: &str, value: &str) -> (Identifier, Derived) {
        (Identifier::new(kind, scope, value), Derived { kind: kind.into(), scope: scope.into(), value: value.into() })
    }

    #[test]
    fn has_the_bytes_that_prost_derives() {
        let long = "x".repeat(300);
        for (kind, scope, value) in
            [("", "", ""), ("email", "", "a@b.example"), ("wechat_openid", "wx1", "o"), ("k", &long, &long)]
        {
            let (ours, derived) = both(kind, scope, value);
            let bytes = derived.encode_to_vec();
            assert_eq!((ours.encode_to_vec(), ours.encoded_len()), (bytes.clone(), bytes.len()));
            assert_eq!(Identifier::decode(&*bytes), Ok(ours.clone()));
            // With the buffer in two pieces, and with a field of a later version.
            for at in 0..bytes.len() {
                let (left, right) = bytes.split_at(at);
                assert_eq!(Identifier::decode(left.chain(right).chain(&b"\x22\x01z"[..])), Ok(ours.clone()), "{at}");
            }
        }
    }

    #[test]
    fn refuses_what_prost_refuses() {
        for bytes in
            [&b"\x0a\x05ab"[..], b"\x0a\x02\xff\xfe", b"\x08\x01", b"\x0a", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"]
        {
            let (ours, derived) = (Identifier::decode(bytes), Derived::decode(bytes));
            let says = |error: DecodeError| error.to_string().replace("Derived", "Identifier");
            assert_eq!(ours.map_err(says).err(), derived.map_err(says).err(), "{bytes:?}");
        }
    }
}
