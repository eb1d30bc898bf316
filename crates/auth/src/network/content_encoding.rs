//! Decodes the content encodings of response bodies (RFC 9110, section 8.4), within bounded memory.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::{DeflateDecoder, GzipDecoder, ZlibDecoder};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, BufReader, ReadBuf};
use tokio_util::io::{ReaderStream, StreamReader};

use super::pauses::{Pauses, TURN_BYTES};
use super::response::BodyError;

/// The maximum number of encodings of one body. More than one is unusual.
const MAX_ENCODINGS: usize = 3;
/// The maximum length of the name of an encoding in an error, in bytes.
const MAX_NAME_BYTES: usize = 40;
/// The base-2 logarithm of the largest zstd window: 8 MiB, as RFC 9659, section 3, requires.
#[cfg(feature = "zstd")]
const ZSTD_WINDOW_LOG: u32 = 23;

/// How much of a body may decode to nothing, in bytes. A block of zstd has up to 128 KiB, and is read as a whole.
const MAX_BYTES_WITHOUT_OUTPUT: u64 = 256 * 1024;
/// How much longer a body may be than its decoded form. The flushes of an event stream can double the length of short events.
const MAX_EXPANSION: u64 = 4;

type Reader = Pin<Box<dyn AsyncBufRead + Send>>;

/// The body of a response, without its content encodings. It yields the error [`BodyError::Encoding`] if the body can't be decoded.
///
/// A small body can decode to a very large one, so limit how much you read. A large body that decodes to almost nothing is an error,
/// because it would cost time without a limit.
///
/// The chunks are small, and the stream pauses between them, so that other tasks get their turn however fast a server sends.
pub fn decoded_body(response: reqwest::Response) -> BoxStream<'static, Result<Bytes, BodyError>> {
    in_turns(chunks(response, false))
}

/// Like [`decoded_body`], but a body that begins with an object of JSON is not decoded, even if its header names an encoding: the response may
/// grant tokens that are not sent again.
pub(crate) fn decoded_body_or_json(
    response: reqwest::Response,
) -> BoxStream<'static, Result<Bytes, BodyError>> {
    in_turns(chunks(response, true))
}

fn in_turns(
    mut chunks: BoxStream<'static, Result<Bytes, BodyError>>,
) -> BoxStream<'static, Result<Bytes, BodyError>> {
    let mut rest = Bytes::new();
    let mut pauses = Pauses::default();
    stream::poll_fn(move |context| {
        ready!(pauses.poll_pause(context));
        if rest.is_empty() {
            match ready!(chunks.poll_next_unpin(context)) {
                Some(Ok(chunk)) => rest = chunk,
                other => return Poll::Ready(other),
            }
        }
        let chunk = rest.split_to(rest.len().min(TURN_BYTES));
        pauses.handled(chunk.len());
        Poll::Ready(Some(Ok(chunk)))
    })
    .boxed()
}

/// The decoded chunks of a body, of any size.
fn chunks(
    response: reqwest::Response,
    may_be_json: bool,
) -> BoxStream<'static, Result<Bytes, BodyError>> {
    let encodings = encodings(response.headers());
    let bytes = response.bytes_stream();
    if encodings.is_empty() {
        return bytes.map(|chunk| Ok(chunk?)).boxed();
    }
    let shown = encodings.join(", ");
    let reader = StreamReader::new(bytes.map(|chunk| chunk.map_err(io::Error::other)));
    let decoding = async move {
        let mut reader: Reader = Box::pin(reader);
        let encodings = match may_be_json && begins_with_object(&mut reader).await {
            true => Vec::new(),
            false => encodings,
        };
        match decode(reader, &encodings).await {
            Ok(reader) => {
                let chunks = ReaderStream::new(reader);
                chunks
                    .map(move |chunk| chunk.map_err(|error| body_error(error, &shown)))
                    .boxed()
            }
            Err(error) => stream::iter([Err(body_error(error, &shown))]).boxed(),
        }
    };
    stream::once(decoding).flatten().boxed()
}

/// Removes the encodings in the reverse order of their application.
async fn decode(mut reader: Reader, encodings: &[String]) -> io::Result<Reader> {
    if encodings.len() > MAX_ENCODINGS {
        return Err(io::ErrorKind::Unsupported.into());
    }
    for encoding in encodings.iter().rev() {
        let allowance = Arc::new(AtomicU64::new(MAX_BYTES_WITHOUT_OUTPUT));
        let mut input = Input {
            reader,
            allowance: allowance.clone(),
        };
        reader = match encoding.as_str() {
            "gzip" | "x-gzip" => {
                let mut decoder = GzipDecoder::new(input);
                decoder.multiple_members(true);
                buffered(decoder, allowance)
            }
            "deflate" => match is_zlib(input.fill_buf().await?) {
                true => buffered(ZlibDecoder::new(input), allowance),
                // Some servers leave out the zlib format, although RFC 9110, section 8.4.1.2, requires it.
                false => buffered(DeflateDecoder::new(input), allowance),
            },
            #[cfg(feature = "brotli")]
            "br" => {
                use async_compression::tokio::bufread::BrotliDecoder;
                buffered(BrotliDecoder::new(input), allowance)
            }
            #[cfg(feature = "zstd")]
            "zstd" => {
                use async_compression::tokio::bufread::ZstdDecoder;
                use async_compression::zstd::DParameter;
                let limits = [DParameter::window_log_max(ZSTD_WINDOW_LOG)];
                buffered(ZstdDecoder::with_params(input, &limits), allowance)
            }
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
    }
    Ok(reader)
}

/// Whether the first bytes are those of a JSON object with a member. No compressed data begins with them.
async fn begins_with_object(reader: &mut Reader) -> bool {
    let first = reader.fill_buf().await.unwrap_or_default();
    let inside = first.trim_ascii_start().strip_prefix(b"{");
    inside.is_some_and(|inside| inside.trim_ascii_start().starts_with(b"\""))
}

fn buffered(decoder: impl AsyncRead + Send + 'static, allowance: Arc<AtomicU64>) -> Reader {
    Box::pin(BufReader::new(Output {
        decoder: Box::pin(decoder),
        allowance,
    }))
}

/// The encoded bytes. They end with an error if the decoder reads too much without any output.
struct Input {
    reader: Reader,
    /// How many bytes the decoder may read until its next output. [`Output`] increases it.
    allowance: Arc<AtomicU64>,
}

impl AsyncRead for Input {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let available = ready!(self.as_mut().poll_fill_buf(context))?;
        let count = available.len().min(into.remaining());
        into.put_slice(&available[..count]);
        self.consume(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncBufRead for Input {
    fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        match this.allowance.load(Ordering::Relaxed) {
            0 => Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            _ => this.reader.as_mut().poll_fill_buf(context),
        }
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        let left = self.allowance.load(Ordering::Relaxed);
        let left = left.saturating_sub(count as u64);
        self.allowance.store(left, Ordering::Relaxed);
        self.reader.as_mut().consume(count);
    }
}

/// The decoded bytes.
struct Output<D> {
    decoder: Pin<Box<D>>,
    allowance: Arc<AtomicU64>,
}

impl<D: AsyncRead> AsyncRead for Output<D> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(self.decoder.as_mut().poll_read(context, into))?;
        let decoded = (into.filled().len() - before) as u64;
        let left = self.allowance.load(Ordering::Relaxed);
        let left = left.saturating_add(decoded.saturating_mul(MAX_EXPANSION));
        self.allowance
            .store(left.min(MAX_BYTES_WITHOUT_OUTPUT), Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

/// Whether data begins with the header of the zlib format (RFC 1950, section 2.2).
fn is_zlib(data: &[u8]) -> bool {
    match data {
        [method, flags, ..] => {
            method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]).is_multiple_of(31)
        }
        _ => true,
    }
}

/// The encodings of a body in the order of their application, in lower case. `identity` is none.
fn encodings(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(CONTENT_ENCODING).iter();
    let names = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let names = names.map(|name| {
        let name = &name[..name.len().min(MAX_NAME_BYTES)];
        String::from_utf8_lossy(name).trim().to_ascii_lowercase()
    });
    let names = names.filter(|name| !matches!(name.as_str(), "" | "identity"));
    names.take(MAX_ENCODINGS + 1).collect()
}

/// Tells a broken connection from a body that can't be decoded.
fn body_error(error: io::Error, encodings: &str) -> BodyError {
    match error.downcast::<reqwest::Error>() {
        Ok(broken) => BodyError::Broken(broken),
        Err(_) => BodyError::Encoding(encodings.to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use async_compression::tokio::bufread::{DeflateEncoder, GzipEncoder, ZlibEncoder};
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::network::read_body;

    const LIMIT: usize = 100_000;

    async fn encoded(mut encoder: impl AsyncRead + Unpin) -> Vec<u8> {
        let mut bytes = Vec::new();
        encoder.read_to_end(&mut bytes).await.unwrap();
        bytes
    }

    fn response(encoding: &str, body: Vec<u8>) -> reqwest::Response {
        let response = http::Response::builder().header(CONTENT_ENCODING, encoding);
        response.body(body).unwrap().into()
    }

    #[tokio::test]
    async fn known_encodings_are_decoded_and_others_are_named() {
        const TEXT: &[u8] = b"{\"resource\":\"https://mcp.example\"}";
        let gzip = encoded(GzipEncoder::new(TEXT)).await;
        let twice = encoded(ZlibEncoder::new(gzip.as_slice())).await;
        let rows = [
            ("", TEXT.to_vec(), Ok(TEXT)),
            ("identity", TEXT.to_vec(), Ok(TEXT)),
            ("gzip", gzip.clone(), Ok(TEXT)),
            ("GZIP", gzip.clone(), Ok(TEXT)),
            (
                "x-gzip",
                [gzip.clone(), gzip.clone()].concat(),
                Ok(&*[TEXT, TEXT].concat()),
            ),
            ("deflate", encoded(ZlibEncoder::new(TEXT)).await, Ok(TEXT)),
            (
                "deflate",
                encoded(DeflateEncoder::new(TEXT)).await,
                Ok(TEXT),
            ),
            ("gzip, deflate", twice, Ok(TEXT)),
            ("gzip", TEXT.to_vec(), Err("gzip")),
            ("gzip", gzip[..gzip.len() - 9].to_vec(), Err("gzip")),
            ("lzma", TEXT.to_vec(), Err("lzma")),
            (
                "gzip, gzip, gzip, gzip",
                TEXT.to_vec(),
                Err("gzip, gzip, gzip, gzip"),
            ),
        ]
        .map(|(encoding, body, expected)| (encoding, body, expected.map(<[u8]>::to_vec)));
        for (encoding, body, expected) in rows {
            match (read_body(response(encoding, body), LIMIT).await, expected) {
                (Ok(read), Ok(expected)) => assert_eq!(read, expected, "{encoding}"),
                (Err(BodyError::Encoding(named)), Err(expected)) => assert_eq!(named, expected),
                other => panic!("{encoding}: {other:?}"),
            }
        }
    }

    #[cfg(all(feature = "brotli", feature = "zstd"))]
    #[tokio::test]
    async fn brotli_and_zstd_are_decoded() {
        use async_compression::tokio::bufread::{BrotliEncoder, ZstdEncoder};
        const TEXT: &[u8] = b"event: message\ndata: {}\n\n";
        let brotli = encoded(BrotliEncoder::new(TEXT)).await;
        let zstd = encoded(ZstdEncoder::new(TEXT)).await;
        for (encoding, body) in [("br", brotli), ("zstd", zstd)] {
            assert_eq!(
                read_body(response(encoding, body), LIMIT).await.unwrap(),
                TEXT
            );
        }
    }

    #[tokio::test]
    async fn a_body_that_decodes_to_too_much_is_not_read_further() {
        let zeros = vec![b' '; 50 * LIMIT];
        let bomb = encoded(GzipEncoder::new(zeros.as_slice())).await;
        assert!(bomb.len() < LIMIT);
        let read = read_body(response("gzip", bomb), LIMIT).await;
        assert!(matches!(read, Err(BodyError::TooLarge(LIMIT))), "{read:?}");
    }

    #[tokio::test]
    async fn a_body_that_decodes_to_nothing_is_not_read_further() {
        const GZIP: &[u8] = b"\x1f\x8b\x08\x00\0\0\0\0\0\xff";
        const EMPTY_BLOCK: &[u8] = b"\x00\x00\x00\xff\xff";
        let member = [GZIP, b"\x03\x00", &[0; 8]].concat();
        // The encoding, the beginning of the body, and the part that is repeated.
        let mut rows = vec![
            ("gzip", GZIP, EMPTY_BLOCK),
            ("gzip", b"\x1f\x8b\x08\x08\0\0\0\0\0\xff", b"a"),
            ("gzip", b"", &*member),
            ("deflate", b"\x78\x9c", EMPTY_BLOCK),
            ("deflate", b"", EMPTY_BLOCK),
        ];
        if cfg!(feature = "zstd") {
            rows.push(("zstd", b"\x28\xb5\x2f\xfd\x00\x88", b"\0\0\0"));
        }
        if cfg!(feature = "brotli") {
            // Blocks of metadata, each with one byte (RFC 7932, section 9.2).
            rows.push(("br", b"\x0c", b"\x2c\x00\x61"));
        }
        for (encoding, beginning, repeated) in rows {
            let read = Arc::new(AtomicU64::new(0));
            let count = read.clone();
            let chunk = Bytes::from(repeated.repeat(10_000));
            let chunks = stream::once(async { Bytes::copy_from_slice(beginning) });
            let body = chunks.chain(stream::repeat(chunk)).map(move |chunk| {
                count.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                io::Result::Ok(chunk)
            });
            let response = http::Response::builder().header(CONTENT_ENCODING, encoding);
            let response = response.body(reqwest::Body::wrap_stream(body)).unwrap();
            let result = read_body(response.into(), LIMIT).await;
            assert!(
                matches!(result, Err(BodyError::Encoding(_))),
                "{encoding}: {result:?}"
            );
            assert!(read.load(Ordering::Relaxed) < 2 * MAX_BYTES_WITHOUT_OUTPUT);
        }
    }
}
