//! Reads a body within its limits, both compressed and decompressed, so that neither a long body nor a decompression bomb fills the memory.

use std::io::Read;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http_body_util::BodyExt;
use tributary_runtime::http::BodyError;

use crate::budget::Room;
use crate::refusal::Refusal;

/// Largest compression ratio. Ordinary JSON compresses to a twentieth, repetitive JSON to a fiftieth; more is a decompression bomb.
const RATIO_MAX: usize = 200;
/// Up to this size the ratio does not matter, bytes.
const RATIO_FROM: usize = 64 << 10;
/// Bytes decompressed per step.
const STEP: usize = 16 << 10;

/// The compression of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    /// Deflate in zlib format, as the standard says.
    Zlib,
    /// Raw deflate, as some clients send.
    Deflate,
}

/// Reads a body of at most `max` bytes into `room`, decompressed. A body that does not match its `Content-Encoding` is read as it is.
///
/// # Errors
/// When it is too large, its compression is unknown or malformed, it is too slow, there is no room, or the sender disconnects.
pub async fn read(headers: &HeaderMap, body: Body, max: usize, room: &mut Room) -> Result<Bytes, Refusal> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > max) {
        return Err(too_large(max));
    }
    let sent = receive(body, max, room).await?;
    room.is_whole();
    let Some(coding) = coding(headers, &sent)? else { return Ok(sent) };
    let inflated = match coding {
        Coding::Gzip => inflate(MultiGzDecoder::new(&*sent), sent.len(), max)?,
        Coding::Zlib => inflate(ZlibDecoder::new(&*sent), sent.len(), max)?,
        Coding::Deflate => inflate(DeflateDecoder::new(&*sent), sent.len(), max)?,
    };
    room.grow(inflated.len())?;
    Ok(Bytes::from(inflated))
}

/// The compression of a body, by its first bytes: proxies and libraries leave headers that are no longer true.
fn coding(headers: &HeaderMap, sent: &[u8]) -> Result<Option<Coding>, Refusal> {
    let said = headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes().trim_ascii().to_ascii_lowercase());
    let said = said.as_deref().unwrap_or_default();
    if sent.starts_with(&[0x1f, 0x8b]) {
        return Ok(Some(Coding::Gzip));
    }
    // JSON, XML or empty: not compressed.
    let text = sent.strip_prefix(b"\xef\xbb\xbf").unwrap_or(sent).trim_ascii_start();
    if text.first().is_none_or(|byte| matches!(byte, b'{' | b'[' | b'<')) {
        return Ok(None);
    }
    match said {
        b"deflate" | b"x-deflate" if is_zlib(sent) => Ok(Some(Coding::Zlib)),
        b"deflate" | b"x-deflate" => Ok(Some(Coding::Deflate)),
        b"" | b"identity" | b"gzip" | b"x-gzip" => Ok(None),
        _ => Err(Refusal::UnsupportedEncoding),
    }
}

/// Whether bytes begin as zlib does (RFC 1950, section 2.2).
fn is_zlib(sent: &[u8]) -> bool {
    matches!(sent, [method, flags, ..] if method & 0x0f == 8 && (u16::from(*method) << 8 | u16::from(*flags)) % 31 == 0)
}

/// Receives a body. One that arrives in one piece is not copied.
async fn receive(mut body: Body, max: usize, room: &mut Room) -> Result<Bytes, Refusal> {
    let (mut first, mut all) = (Bytes::new(), Vec::new());
    loop {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            () = room.broken_off() => return Err(Refusal::Busy),
        };
        let Some(frame) = frame else { break };
        let Ok(piece) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
        if first.len() + all.len() + piece.len() > max {
            return Err(too_large(max));
        }
        room.grow(piece.len())?;
        if first.is_empty() && all.is_empty() {
            first = piece;
        } else {
            // Copied, because each small piece would keep its whole buffer alive.
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&piece);
        }
    }
    Ok(if all.is_empty() { first } else { all.into() })
}

fn broken(error: &axum::Error) -> Refusal {
    if BodyError::is_slow(error) { Refusal::Slow } else { Refusal::Malformed("the body broke off") }
}

fn too_large(max: usize) -> Refusal {
    Refusal::TooLarge { what: "bytes of the body", max }
}

/// Decompresses a body of `sent` compressed bytes.
fn inflate(mut decoder: impl Read, sent: usize, max: usize) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::with_capacity(sent.saturating_mul(4).min(max));
    let mut step = vec![0; STEP];
    loop {
        let read = decoder.read(&mut step).map_err(|_| Refusal::Malformed("the compressed body is broken"))?;
        let Some(piece) = step.get(..read).filter(|piece| !piece.is_empty()) else { return Ok(out) };
        if out.len() + piece.len() > max {
            return Err(too_large(max));
        }
        out.extend_from_slice(piece);
        if out.len() > RATIO_FROM.max(sent.saturating_mul(RATIO_MAX)) {
            return Err(Refusal::TooLarge { what: "times that the body grows when it is inflated", max: RATIO_MAX });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::budget::Budget;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn run(headers: &[(&'static str, &str)], body: Vec<u8>, max: usize) -> Result<Bytes, Refusal> {
        let headers = crate::signature::tests::headers(headers);
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(read(
            &headers,
            Body::from(body),
            max,
            &mut Budget::new(usize::MAX, 100).room(None),
        ))
    }

    #[test]
    fn bodies_are_read_up_to_the_limit() {
        assert_eq!(run(&[], vec![b'x'; 10], 10).unwrap().len(), 10);
        assert_eq!(run(&[], vec![b'x'; 11], 10), Err(too_large(10)));
        assert_eq!(run(&[("content-length", "11")], vec![], 10), Err(too_large(10)));
        assert_eq!(run(&[("content-encoding", "br")], vec![0x0b, 0x02], 10), Err(Refusal::UnsupportedEncoding));
    }

    #[test]
    fn a_body_is_decoded_by_its_content_and_not_by_its_headers() {
        for coding in ["gzip", "x-gzip", "deflate", "br", "zstd", "gzip, deflate"] {
            for text in ["{\"a\":1}", " [1]", "\u{feff}{}", "<xml/>", ""] {
                assert_eq!(run(&[("content-encoding", coding)], text.into(), 100).unwrap(), text, "{coding}");
            }
        }
        for headers in [&[][..], &[("content-encoding", "identity")], &[("content-encoding", "X-GZIP")]] {
            assert_eq!(run(headers, gzip(b"{\"a\":1}"), 100).unwrap(), "{\"a\":1}");
        }
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(b"{\"a\":1}").unwrap();
        let mut bare = flate2::write::DeflateEncoder::new(Vec::new(), Compression::best());
        bare.write_all(b"{\"a\":1}").unwrap();
        for body in [zlib.finish().unwrap(), bare.finish().unwrap()] {
            assert_eq!(run(&[("content-encoding", "deflate")], body.clone(), 100).unwrap(), "{\"a\":1}");
            let cut = body[..body.len() / 2].to_vec();
            assert!(matches!(run(&[("content-encoding", "deflate")], cut, 100), Err(Refusal::Malformed(_))));
        }
    }

    #[test]
    fn gzip_is_inflated_and_bombs_are_not() {
        let zipped = [("content-encoding", "GZIP")];
        assert_eq!(run(&zipped, gzip(b"{\"a\":1}"), 100).unwrap(), "{\"a\":1}");
        assert_eq!(run(&zipped, [gzip(b"{\"a\""), gzip(b":1}")].concat(), 100).unwrap(), "{\"a\":1}");
        assert_eq!(run(&zipped, gzip(&vec![b'x'; 1_001]), 1_000), Err(too_large(1_000)));
        let bomb = run(&zipped, gzip(&vec![b' '; 8 << 20]), 16 << 20);
        assert!(matches!(bomb, Err(Refusal::TooLarge { max: RATIO_MAX, .. })), "{bomb:?}");
        let cut = gzip(b"{\"a\":1}");
        assert!(matches!(run(&zipped, cut[..cut.len() - 9].to_vec(), 100), Err(Refusal::Malformed(_))));
    }
}
