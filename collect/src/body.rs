//! Reads a body within its limits: as it comes, and while it is inflated, so that neither a long one nor a bomb fills the memory.

use std::io::Read;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use tributary_runtime::http::BodyError;

use crate::budget::Room;
use crate::refusal::Refusal;

/// Honest JSON shrinks to a twentieth, repetitive JSON to a fiftieth. What shrinks more than this is a bomb.
const RATIO_MAX: usize = 200;
/// Up to here the ratio does not matter, bytes.
const RATIO_FROM: usize = 64 << 10;
/// Inflated at a time, bytes.
const STEP: usize = 16 << 10;

/// Reads a body of at most `max` bytes into `room`, inflated where it is compressed.
///
/// # Errors
/// When it is larger, compressed in another way or wrongly, comes too slowly, finds no room, or the sender breaks off.
pub async fn read(headers: &HeaderMap, body: Body, max: usize, room: &mut Room) -> Result<Bytes, Refusal> {
    let gzip = match headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase()) {
        None => false,
        Some(coding) if coding == b"identity" => false,
        Some(coding) if coding == b"gzip" => true,
        Some(_) => return Err(Refusal::UnsupportedEncoding),
    };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > max) {
        return Err(too_large(max));
    }
    let sent = receive(body, max, room).await?;
    room.is_whole();
    if !gzip {
        return Ok(sent);
    }
    let inflated = inflate(&sent, max)?;
    room.grow(inflated.len())?;
    Ok(Bytes::from(inflated))
}

/// Takes a body as it comes. One that is there at once is not copied.
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
            // Small pieces would each keep the buffer that they came in.
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

fn inflate(sent: &[u8], max: usize) -> Result<Vec<u8>, Refusal> {
    let mut decoder = MultiGzDecoder::new(sent);
    let mut out = Vec::with_capacity(sent.len().saturating_mul(4).min(max));
    let mut step = vec![0; STEP];
    loop {
        let read = decoder.read(&mut step).map_err(|_| Refusal::Malformed("the body is not gzip"))?;
        let Some(piece) = step.get(..read).filter(|piece| !piece.is_empty()) else { return Ok(out) };
        if out.len() + piece.len() > max {
            return Err(too_large(max));
        }
        out.extend_from_slice(piece);
        if out.len() > RATIO_FROM.max(sent.len().saturating_mul(RATIO_MAX)) {
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
        assert_eq!(run(&[("content-encoding", "br")], vec![], 10), Err(Refusal::UnsupportedEncoding));
    }

    #[test]
    fn gzip_is_inflated_and_bombs_are_not() {
        let zipped = [("content-encoding", "GZIP")];
        assert_eq!(run(&zipped, gzip(b"{\"a\":1}"), 100).unwrap(), "{\"a\":1}");
        assert_eq!(run(&zipped, [gzip(b"{\"a\""), gzip(b":1}")].concat(), 100).unwrap(), "{\"a\":1}");
        assert_eq!(run(&zipped, gzip(&vec![b'x'; 1_001]), 1_000), Err(too_large(1_000)));
        let bomb = run(&zipped, gzip(&vec![b' '; 8 << 20]), 16 << 20);
        assert!(matches!(bomb, Err(Refusal::TooLarge { max: RATIO_MAX, .. })), "{bomb:?}");
        assert!(matches!(run(&zipped, b"{}".to_vec(), 100), Err(Refusal::Malformed(_))));
        let cut = gzip(b"{\"a\":1}");
        assert!(matches!(run(&zipped, cut[..cut.len() - 9].to_vec(), 100), Err(Refusal::Malformed(_))));
    }
}
