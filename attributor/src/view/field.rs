//! Iterates over the fields of a Protobuf message, in place.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// The error for bytes that are not the expected message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the Protobuf message expected here")]
pub struct Malformed;

impl From<prost::DecodeError> for Malformed {
    fn from(_: prost::DecodeError) -> Self {
        Self
    }
}

/// A field's value, borrowed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed64(u64),
    Fixed32(u32),
    Other,
}

impl<'a> Value<'a> {
    pub(super) fn bytes(self) -> Result<&'a [u8], Malformed> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(Malformed) }
    }

    pub(super) fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }

    pub(super) fn fixed64(self) -> Result<u64, Malformed> {
        if let Self::Fixed64(value) = self { Ok(value) } else { Err(Malformed) }
    }

    pub(super) fn varint(self) -> Result<u64, Malformed> {
        if let Self::Varint(value) = self { Ok(value) } else { Err(Malformed) }
    }
}

/// The next field of a message; `None` at its end.
pub(super) fn next_field<'a>(rest: &mut &'a [u8]) -> Result<Option<(u32, Value<'a>)>, Malformed> {
    if rest.is_empty() {
        return Ok(None);
    }
    let (tag, wire_type) = decode_key(rest)?;
    let value = match wire_type {
        WireType::Varint => Value::Varint(decode_varint(rest)?),
        WireType::LengthDelimited => {
            let length = usize::try_from(decode_varint(rest)?).map_err(|_| Malformed)?;
            let (bytes, after) = rest.split_at_checked(length).ok_or(Malformed)?;
            *rest = after;
            Value::Bytes(bytes)
        }
        WireType::SixtyFourBit => {
            let (bytes, after) = rest.split_first_chunk::<8>().ok_or(Malformed)?;
            *rest = after;
            Value::Fixed64(u64::from_le_bytes(*bytes))
        }
        WireType::ThirtyTwoBit => {
            let (bytes, after) = rest.split_first_chunk::<4>().ok_or(Malformed)?;
            *rest = after;
            Value::Fixed32(u32::from_le_bytes(*bytes))
        }
        other => {
            skip_field(other, tag, rest, DecodeContext::default())?;
            Value::Other
        }
    };
    Ok(Some((tag, value)))
}
