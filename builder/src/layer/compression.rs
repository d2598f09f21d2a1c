//! How layers are compressed. The output depends on the input, the level and the library versions in
//! the lock file alone: no name, no time, a fixed operating system byte.

use std::io::{self, BufReader, Read, Write};

use flate2::read::MultiGzDecoder;

use self::blocks::BlockEncoder;
use crate::oci::media_type;

mod blocks;
mod deflate;
mod pool;

pub use self::pool::limit_threads;

/// The compression of a layer blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// None at all.
    None,
    /// gzip (RFC 1952), level 0 to 9.
    Gzip {
        /// 0 stores, 9 is smallest.
        level: u32,
    },
    /// Zstandard (RFC 8878), level 1 to 22.
    Zstd {
        /// 1 is fastest, 22 is smallest.
        level: i32,
    },
}

impl Default for Compression {
    fn default() -> Self {
        Self::Gzip { level: Self::GZIP_LEVEL }
    }
}

impl Compression {
    /// The level of gzip where none is asked for: smaller than zlib's level 6, in a third of the time of its
    /// level 5 (decision 69).
    pub const GZIP_LEVEL: u32 = 3;

    /// The OCI media type of a layer compressed so.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::None => media_type::LAYER_TAR,
            Self::Gzip { .. } => media_type::LAYER_GZIP,
            Self::Zstd { .. } => media_type::LAYER_ZSTD,
        }
    }

    /// The compression, at its default level, that a layer's media type names; `None` for what is
    /// not a layer.
    #[must_use]
    pub fn of_media_type(text: &str) -> Option<Self> {
        Some(match media_type::oci_layer(text)? {
            media_type::LAYER_GZIP => Self::Gzip { level: Self::GZIP_LEVEL },
            media_type::LAYER_ZSTD => Self::Zstd { level: 3 },
            _ => Self::None,
        })
    }
}

/// The compressing half.
pub(super) enum Encoder<W: Write> {
    Plain(W),
    Gzip(BlockEncoder<W>),
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    pub(super) fn new(inner: W, compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::Plain(inner),
            Compression::Gzip { level } => Self::Gzip(BlockEncoder::new(inner, level)),
            Compression::Zstd { level } => {
                let mut encoder = zstd::Encoder::new(inner, level)?;
                // Any number of threads from one on gives the same bytes, none gives others.
                encoder
                    .multithread(std::thread::available_parallelism().map_or(1, zstd_threads))?;
                Self::Zstd(encoder)
            }
        })
    }

    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(inner) => Ok(inner),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

fn zstd_threads(processors: std::num::NonZero<usize>) -> u32 {
    u32::try_from(processors.get()).unwrap_or(1).min(8)
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(inner) => inner.write(buffer),
            Self::Gzip(encoder) => encoder.write(buffer),
            Self::Zstd(encoder) => encoder.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(inner) => inner.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}

/// What was read ahead to see the compression, then the rest.
type Peeked<R> = io::Chain<io::Cursor<Vec<u8>>, R>;

/// The decompressing half; which compression it is, the first bytes say, because media types lie.
pub(super) enum Decoder<R: Read> {
    Plain(BufReader<Peeked<R>>),
    Gzip(Box<MultiGzDecoder<BufReader<Peeked<R>>>>),
    Zstd(Box<zstd::Decoder<'static, BufReader<BufReader<Peeked<R>>>>>),
}

/// 128 MiB, the most that `zstd -d` accepts without being told otherwise.
const MAX_WINDOW_LOG: u32 = 27;

impl<R: Read> Decoder<R> {
    pub(super) fn new(mut inner: R) -> io::Result<Self> {
        let mut start = Vec::new();
        (&mut inner).take(4).read_to_end(&mut start)?;
        let is = |magic: &[u8]| start.starts_with(magic);
        let (gzip, zstd) = (is(&[0x1f, 0x8b]), is(&[0x28, 0xb5, 0x2f, 0xfd]));
        let stream = BufReader::with_capacity(64 * 1024, io::Cursor::new(start).chain(inner));
        Ok(if gzip {
            Self::Gzip(Box::new(MultiGzDecoder::new(stream)))
        } else if zstd {
            let mut decoder = zstd::Decoder::new(stream)?;
            decoder.window_log_max(MAX_WINDOW_LOG)?;
            Self::Zstd(Box::new(decoder))
        } else {
            Self::Plain(stream)
        })
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Plain(_) => "tar",
            Self::Gzip(_) => "gzip",
            Self::Zstd(_) => "zstd",
        }
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(inner) => inner.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}
