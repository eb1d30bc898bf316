//! Decodes the content encodings of response bodies (RFC 9110, section 8.4), within bounded memory.

use std::io;
use std::pin::Pin;

use async_compression::tokio::bufread::{DeflateDecoder, GzipDecoder, ZlibDecoder};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, BufReader};
use tokio_util::io::{ReaderStream, StreamReader};

use super::response::BodyError;

/// The maximum number of encodings of one body. More than one is unusual.
const MAX_ENCODINGS: usize = 3;
/// The maximum length of the name of an encoding in an error, in bytes.
const MAX_NAME_BYTES: usize = 40;
/// The base-2 logarithm of the largest zstd window: 8 MiB, as RFC 9659, section 3, requires.
#[cfg(feature = "zstd")]
const ZSTD_WINDOW_LOG: u32 = 23;

type Reader = Pin<Box<dyn AsyncBufRead + Send>>;

/// The body of a response, without its content encodings. It yields the error [`BodyError::Encoding`] if the body can't be decoded.
///
/// A small body can decode to a very large one, so limit how much you read.
pub fn decoded_body(response: reqwest::Response) -> BoxStream<'static, Result<Bytes, BodyError>> {
    let encodings = encodings(response.headers());
    let bytes = response.bytes_stream();
    if encodings.is_empty() {
        return bytes.map(|chunk| Ok(chunk?)).boxed();
    }
    let shown = encodings.join(", ");
    let reader = StreamReader::new(bytes.map(|chunk| chunk.map_err(io::Error::other)));
    let decoding = async move {
        match decode(Box::pin(reader), &encodings).await {
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
        reader = match encoding.as_str() {
            "gzip" | "x-gzip" => {
                let mut decoder = GzipDecoder::new(reader);
                decoder.multiple_members(true);
                buffered(decoder)
            }
            "deflate" => match is_zlib(reader.fill_buf().await?) {
                true => buffered(ZlibDecoder::new(reader)),
                // Some servers leave out the zlib format, although RFC 9110, section 8.4.1.2, requires it.
                false => buffered(DeflateDecoder::new(reader)),
            },
            #[cfg(feature = "brotli")]
            "br" => buffered(async_compression::tokio::bufread::BrotliDecoder::new(
                reader,
            )),
            #[cfg(feature = "zstd")]
            "zstd" => {
                use async_compression::tokio::bufread::ZstdDecoder;
                use async_compression::zstd::DParameter;
                let limits = [DParameter::window_log_max(ZSTD_WINDOW_LOG)];
                buffered(ZstdDecoder::with_params(reader, &limits))
            }
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
    }
    Ok(reader)
}

fn buffered(decoder: impl AsyncRead + Send + 'static) -> Reader {
    Box::pin(BufReader::new(decoder))
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
}
