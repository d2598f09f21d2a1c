//! Reads a layer blob: decompresses by what the bytes are, and checks the digest of the archive when
//! its end is reached. Whoever stops reading early has not been told that the layer is genuine.

use std::io::{self, Read};

use super::compression::Decoder;
use crate::oci::digest::{Digest, Hashing};

/// The uncompressed archive of a layer blob.
pub struct LayerReader<R: Read> {
    stream: Option<Hashing<Decoder<R>>>,
    expected: Option<Digest>,
    diff_id: Option<Digest>,
}

impl<R: Read> LayerReader<R> {
    /// Reads from `blob`. With `diff_id` given, the last read fails when the archive's digest is
    /// another one.
    ///
    /// # Errors
    /// The blob's first bytes cannot be read.
    pub fn new(blob: R, diff_id: Option<Digest>) -> io::Result<Self> {
        let stream = Some(Hashing::new(Decoder::new(blob)?));
        Ok(Self { stream, expected: diff_id, diff_id: None })
    }

    /// Reads to the end and tells the digest of the archive.
    ///
    /// # Errors
    /// The stream is damaged, or the digest is not the expected one.
    pub fn finish(mut self) -> io::Result<Digest> {
        io::copy(&mut self, &mut io::sink())?;
        self.diff_id.ok_or_else(|| io::Error::other("the layer was already found to be damaged"))
    }
}

impl<R: Read> Read for LayerReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(stream) = &mut self.stream else { return Ok(0) };
        if buffer.is_empty() {
            return Ok(0);
        }
        match stream.read(buffer) {
            Ok(0) => {}
            Err(fault) => {
                let read = stream.count();
                let name = self.stream.take().map_or("layer", |stream| stream.finish().0.name());
                return Err(explain(fault, name, read));
            }
            other => return other,
        }
        let Some(stream) = self.stream.take() else { return Ok(0) };
        let (_, actual, _) = stream.finish();
        match self.expected {
            Some(expected) if expected != actual => {
                let text = format!(
                    "the layer's content is {actual}, but the image configuration promises \
                     {expected}"
                );
                Err(io::Error::new(io::ErrorKind::InvalidData, text))
            }
            _ => {
                self.diff_id = Some(actual);
                Ok(0)
            }
        }
    }
}

/// Says of what the stream is damaged; errors that come from below (a wrong blob digest, a network)
/// keep their own words.
fn explain(fault: io::Error, name: &str, read: u64) -> io::Error {
    match fault.kind() {
        io::ErrorKind::UnexpectedEof => {
            let text = format!("the {name} stream ends after {read} bytes: the layer is truncated");
            io::Error::new(io::ErrorKind::UnexpectedEof, text)
        }
        io::ErrorKind::InvalidInput => {
            let text = format!("the {name} stream is damaged after {read} bytes: {fault}");
            io::Error::new(io::ErrorKind::InvalidData, text)
        }
        _ => fault,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::{
        layer::{Compression, LayerWriter},
        oci::media_type,
    };

    const ALL: [Compression; 3] =
        [Compression::None, Compression::Gzip { level: 3 }, Compression::Zstd { level: 3 }];

    fn blob(compression: Compression) -> (crate::layer::Layer, Vec<u8>) {
        let mut writer = LayerWriter::new(Vec::new(), compression).unwrap();
        for number in 0..20_000_u32 {
            writer.write_all(&(number / 7).to_le_bytes()).unwrap();
        }
        writer.finish().unwrap()
    }

    fn read(blob: &[u8], diff_id: Option<Digest>) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        LayerReader::new(blob, diff_id)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn every_compression_round_trips_with_both_digests() {
        let plain = blob(Compression::None).1;
        for compression in ALL {
            let (layer, bytes) = blob(compression);
            assert_eq!(layer.diff_id, Digest::of(&plain));
            assert_eq!(layer.descriptor.digest, Digest::of(&bytes));
            assert_eq!(layer.descriptor.size, bytes.len() as u64);
            assert_eq!(Compression::of_media_type(&layer.descriptor.media_type), Some(compression));
            assert_eq!(read(&bytes, Some(layer.diff_id)).unwrap(), plain);
            assert_eq!(blob(compression).1, bytes, "same input, same bytes");
            let reader = LayerReader::new(&bytes[..], None).unwrap();
            assert_eq!(reader.finish().unwrap(), layer.diff_id);
        }
        let docker = Compression::of_media_type(media_type::DOCKER_LAYER_GZIP).unwrap();
        assert_eq!(docker.media_type(), media_type::LAYER_GZIP);
    }

    #[test]
    fn the_gzip_header_tells_nothing() {
        let bytes = blob(Compression::default()).1;
        assert_eq!(bytes[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    }

    #[test]
    fn another_content_fails_at_the_end() {
        let (_, bytes) = blob(Compression::default());
        let fault = read(&bytes, Some(Digest::of(b""))).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "the layer's content is sha256:\
             04954680697641f3879e1d0cfb8e48d95c7d283a15e8affec4ddc68b1c2817f4, but the image \
             configuration promises \
             sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn truncation_is_said() {
        let (_, bytes) = blob(Compression::default());
        let fault = read(&bytes[..bytes.len() - 3], None).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "the gzip stream ends after 80000 bytes: the layer is truncated"
        );
        for cut in 1..bytes.len() {
            assert!(read(&bytes[..cut], Some(Digest::of(b"x"))).is_err(), "{cut}");
        }
    }
}
