//! Layer archives (OCI image-spec, layer.md). `member` is one entry of an archive; `archive` reads and
//! `emit` writes a stream of them; `unpack` and `pack` move them to and from a directory (`below` tells what of it is new); `tree` is the
//! view over many layers without any directory; `compression`, `reader` and `writer` deal with blobs, `ahead` reads them in a
//! thread of their own; `lookout` sees them pass.
//!
//! Everything here is synchronous and streams: no layer is ever held in memory.

pub mod ahead;
pub mod archive;
mod below;
mod capability;
pub mod compression;
pub mod emit;
pub mod lookout;
pub mod member;
pub mod pack;
mod pax;
pub mod reader;
mod root;
pub mod tree;
pub mod unpack;
pub mod writer;

pub use ahead::ReadAhead;
pub use compression::{Compression, limit_threads};
pub use pack::{PackOptions, pack};
pub use reader::LayerReader;
pub use unpack::{UnpackOptions, Unpacked, Whiteouts, unpack};
pub use writer::{Layer, LayerTail, LayerWriter};
